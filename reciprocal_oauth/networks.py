"""Which network addresses a peer may have."""

import ipaddress
from collections.abc import Iterable

from django.core.exceptions import ImproperlyConfigured

from .conf import settings

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Ranges that carry another IPv4 address inside: NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo
#: (RFC 4380). Refused whole, so that no private address hides in them.
_CARRIERS = tuple(
    ipaddress.ip_network(text)
    for text in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)
#: All that is routed of IPv6 (RFC 4291, section 2.4). Python calls some of the rest global, such
#: as the site-local addresses.
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


def is_allowed(text: str) -> bool:
    """Whether the address is public, or in a network that the settings allow."""
    address: IPAddress = ipaddress.ip_address(text.split("%", 1)[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if any(address in network for network in _allowed_networks()):
        return True
    if address.is_loopback:
        return settings.HTTP_ALLOW_LOOPBACK
    if isinstance(address, ipaddress.IPv6Address) and (
        address not in _GLOBAL_UNICAST or any(address in carrier for carrier in _CARRIERS)
    ):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _allowed_networks() -> Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    try:
        return [ipaddress.ip_network(text, strict=False) for text in settings.HTTP_ALLOWED_NETWORKS]
    except ValueError as error:
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_ALLOWED_NETWORKS']: {error}") from None
