"""The front end to which the user returns after a visit that the API started.

``API_RETURN_TO`` is checked when the visit starts and again when it ends. So this site is no open
redirector (RFC 9700, section 4.11.1), even for a front end that was tricked or for an old visit.
"""

import re
from urllib.parse import urlencode, urlsplit

from ..conf import settings
from ..models import AuthorizationRequest

#: Longest return URL, in characters.
MAX_LENGTH = 300

#: The characters that RFC 3986, section 2, allows in a URL, without the one that starts a fragment.
#: Browsers interpret other characters: a backslash as a slash, a line break as nothing.
URL_CHARACTERS = r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_valid_entry(text: str) -> bool:
    """Whether ``text`` is a valid entry of ``API_RETURN_TO``: an origin such as
    ``https://app.example``, as browsers write it, or a whole URL. The scheme is https, or http for
    a loopback address."""
    try:
        parts = urlsplit(text)
        well_formed = re.fullmatch(URL_CHARACTERS, text) and parts.hostname and parts.port != 0
    except ValueError:
        return False
    if not well_formed or "@" in parts.netloc or parts.netloc != parts.netloc.lower():
        return False
    on_loopback = text.startswith("http://") and parts.hostname in _LOOPBACK
    return on_loopback or text.startswith("https://")


def is_allowed(url: str) -> bool:
    """Whether ``API_RETURN_TO`` contains ``url`` or its origin. Strings are compared, because two
    parsers may read the same URL differently."""
    if len(url) > MAX_LENGTH or not re.fullmatch(URL_CHARACTERS, url):
        return False
    entries = [entry for entry in settings.API_RETURN_TO if is_valid_entry(entry)]
    return any(
        url == entry or (not urlsplit(entry).path and url.startswith(f"{entry}/"))
        for entry in entries
    )


def return_url(visit: AuthorizationRequest) -> str:
    """Return the URL to which the user returns after ``visit``; empty: the pages of this app.

    Query parameters tell the result: ``peer``, and ``link`` or ``problem`` (a value of
    ``AuthorizationRequest.Problem``).
    """
    url = visit.return_to
    if not url or not is_allowed(url):
        return ""
    result = {"peer": visit.peer.slug}
    if visit.link_id:
        result["link"] = str(visit.link_id)
    elif visit.problem:
        result["problem"] = visit.problem
    return f"{url}{'&' if '?' in url else '?'}{urlencode(result)}"
