"""The addresses that another site names of itself in a message."""

from ..conf import settings
from ..core.peer_urls import origin_of, url_problem

_MAX_LENGTH = 500


def url_trouble(url: str) -> str:
    """Return why ``url`` cannot be an address of another site, or ``""``. The host name is not
    looked up."""
    if len(url) > _MAX_LENGTH or not url.isascii():
        return f"It must be ASCII and have at most {_MAX_LENGTH} characters."
    return url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK) or ""


def is_at(url: str, issuer: str) -> bool:
    """Return whether ``url`` can be an address of the site ``issuer``, and has the same origin.
    Secrets may be sent to all addresses that a peer has, so no other addresses are taken."""
    return not url_trouble(url) and origin_of(url) == origin_of(issuer)
