"""Checks the URLs of a peer without a DNS lookup.

:mod:`reciprocal_oauth.client.http` looks up the host and checks its IP addresses when it connects.
"""

import ipaddress
from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

from django.utils.translation import gettext as _


def url_problem(
    url: str, *, allow_loopback: bool, example: str = "https://peer.example/o/token/"
) -> str | None:
    """Return an error message if ``url`` cannot be an endpoint of a peer; otherwise ``None``.

    TLS is required, and a fragment is not allowed (RFC 6749, sections 3.1 and 3.2). A user name is
    not allowed, because a person may mistake it for the host.

    :param allow_loopback: ``True`` if plain http is accepted for a host that is this machine.
    :param example: a valid URL, which the error message shows.
    """
    if any(character.isspace() or ord(character) < 0x21 or character == "\\" for character in url):
        return _("The URL contains a space, a backslash or a control character.")
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        return _("Enter a URL such as %(example)s.") % {"example": example}
    if not parts.scheme or not host:
        return _("Enter a URL such as %(example)s.") % {"example": example}
    if parts.username is not None or parts.password is not None:
        return _("The URL must not contain a user name or a password.")
    if "#" in url:
        return _("The URL must not contain a fragment (#).")
    if port == 0:
        return _("The URL names port 0, which does not exist.")
    is_plain_but_local = parts.scheme == "http" and allow_loopback and is_loopback_host(host)
    if parts.scheme != "https" and not is_plain_but_local:
        return _("The URL must begin with https://; what is sent there is secret.")
    return None


def address_problem(url: str, is_allowed: Callable[[str], bool]) -> str | None:
    """Return an error message if this site may not call the host in ``url``; otherwise ``None``.

    Only two kinds of hosts are checked: IP addresses, and names of this machine such as
    ``localhost``. For other host names, the result is ``None``: their IP addresses are checked
    later, when this site connects.

    :param url: a URL for which :func:`url_problem` returns ``None``.
    :param is_allowed: a function that returns whether an IP address may be called.
    """
    host = urlsplit(url).hostname or ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        address = "127.0.0.1" if is_loopback_host(host) else ""
    else:
        address = host
    if not address or is_allowed(address):
        return None
    if is_loopback_host(host):
        return _(
            "%(host)s is this machine itself. It is called only if the setting "
            "HTTP_ALLOW_LOOPBACK is on."
        ) % {"host": host}
    return _(
        "%(host)s is not a public address, and no network in the setting HTTP_ALLOWED_NETWORKS "
        "contains it."
    ) % {"host": host}


def is_endpoint(url: str, named: str) -> bool:
    """Return whether ``url`` and ``named`` are the same endpoint. ``url`` may have more query
    parameters than ``named`` (RFC 6749, section 3.1, allows a query in an endpoint).

    :param url: the URL that is configured at this site.
    :param named: the URL in the metadata of the peer.
    """
    if url == named:
        return True
    here, there = urlsplit(url), urlsplit(named)
    own, asked = parse_qsl(here.query, True), parse_qsl(there.query, True)
    same_place = here._replace(query="") == there._replace(query="")
    return same_place and all(parameter in own for parameter in asked)


def origin_of(url: str) -> str:
    """Return the origin of ``url``: scheme, host and port (RFC 6454, section 4). The port is left
    out if it is the default port of the scheme. Return ``""`` if ``url`` is not a valid URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if not host:
        return ""
    host = f"[{host}]" if ":" in host else host
    is_usual = port is None or port == {"https": 443, "http": 80}.get(parts.scheme)
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{port}"


def is_loopback_host(host: str) -> bool:
    """Return whether ``host`` is a name or an IP address of this machine (loopback)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
