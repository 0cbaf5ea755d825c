"""Decides which IP addresses a peer may have."""

import ipaddress
from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured

from ..conf import settings
from . import special_networks

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: The network of all global unicast addresses of IPv6 (RFC 4291, section 2.4).
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
#: An IPv6 address is an ISATAP address if its bits 64 to 95 have one of these values. A peer must
#: not have such an address, because packets to it are tunnelled to the IPv4 address in its last 32
#: bits (RFC 5214, section 6.1), and this IPv4 address may be private.
_ISATAP = (0x00005EFE, 0x02005EFE)


def is_allowed(text: str) -> bool:
    """Return whether a peer may have this IP address: either the address is public, or the settings
    allow it.

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
