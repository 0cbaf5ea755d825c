"""Which URLs of a peer are acceptable, judged from the text alone.

What the host resolves to is judged by :mod:`reciprocal_oauth.client.http` when it connects.
"""

import ipaddress
from urllib.parse import urlsplit

from django.utils.translation import gettext as _


def url_problem(url: str, *, allow_loopback: bool) -> str | None:
    """Why ``url`` is not an endpoint to call: ``None`` if it is one.

    RFC 6749, section 3.1 and 3.2: TLS, no fragment. Plain http is accepted for loopback only, and
    only with ``allow_loopback``. User information and odd ports hide where a URL leads.
    """
    if any(character.isspace() or ord(character) < 0x21 or character == "\\" for character in url):
        return _("The URL contains a space, a backslash or a control character.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return _("Enter a URL such as https://peer.example/o/token/.")
    if parts.scheme not in ("http", "https") or not host:
        return _("Enter a URL such as https://peer.example/o/token/.")
    if parts.username is not None or parts.password is not None:
        return _("The URL must not contain a user name or a password.")
    if "#" in url:
        return _("The URL must not contain a fragment (#).")
    if port == 0:
        return _("The URL names port 0, which does not exist.")
    if parts.scheme == "http" and not (allow_loopback and is_loopback_host(host)):
        return _("The URL must begin with https://; what is sent there is secret.")
    return None


def is_loopback_host(host: str) -> bool:
    """Whether ``host`` names this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
