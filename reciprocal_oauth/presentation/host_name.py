"""The host name of another site, as a person compares it with the one that they expect."""

from dataclasses import dataclass

from ..core import site_address
from ..core.plain_text import plain
from .pairing_status import host_of


@dataclass(frozen=True)
class HostName:
    """A host name.

    :ivar name: the name in ASCII, as the domain name system has it, and the port if there is one.
    :ivar unicode: the name in the letters of its language; ``""`` if it has only ASCII letters. It
        can look like the name of another site, so show it only beside ``name``.
    """

    name: str
    unicode: str = ""


def host_in(url: str) -> HostName | None:
    """Return the host in ``url``; ``None`` if there is none."""
    host, shown = site_address.host_of(url), host_of(url)
    if not host:
        return None
    try:
        ascii_name = host.encode("idna").decode("ascii")
        readable = plain(ascii_name.encode("ascii").decode("idna"))
    except UnicodeError:
        return HostName(shown)
    if readable == ascii_name:
        return HostName(shown)
    port = shown.rpartition("]")[2].rpartition(":")[2] if ":" in shown else ""
    return HostName(f"{ascii_name}:{port}" if port else ascii_name, readable)
