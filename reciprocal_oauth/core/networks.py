"""Which network addresses a peer may have."""

import ipaddress
from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured

from ..conf import settings
from . import special_networks

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: The global unicast addresses of IPv6 (RFC 4291, section 2.4).
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
#: Bits 64 to 95 of an ISATAP address. The last 32 bits are an IPv4 address, to which packets are
#: tunnelled (RFC 5214, section 6.1).
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_allowed(text: str) -> bool:
    """Whether a peer may have this IP address: it is public, or the settings allow its network.

    :raises ImproperlyConfigured: ``HTTP_ALLOWED_NETWORKS`` has an invalid entry.
    """
    address: IPAddress = ipaddress.ip_address(text.split("%", 1)[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in _allowed_networks()):
        return True
    if address.is_loopback:
        return settings.HTTP_ALLOW_LOOPBACK
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
    ):
        return False
    return not any(address in network for network in special_networks.NETWORKS)


def _allowed_networks() -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text, strict=False) for text in settings.HTTP_ALLOWED_NETWORKS]
    except ValueError as error:
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_ALLOWED_NETWORKS']: {error}") from None
