"""The addresses of a peer: resolve once, check every one."""

import socket
from collections.abc import Sequence

from ..exceptions import AddressRefused, PeerUnreachable
from ..networks import is_allowed


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of ``host``, all of them checked.

    :raises AddressRefused: any of them is one that we never call. One bad address is enough: a
        name that resolves to a public and a private one is an attack, not a peer.
    :raises PeerUnreachable: the name does not resolve.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise PeerUnreachable(f"{host} does not resolve: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_allowed(address):
            raise AddressRefused(f"{host} resolves to {address}, which is not called.")
    return addresses
