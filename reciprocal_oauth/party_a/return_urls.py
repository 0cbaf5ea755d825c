"""Where a visit that the API began goes on when the person is back: at the front end.

The list of allowed places is asked when the visit begins and again when it ends, so that neither a
front end that was tricked nor an old visit makes this site send people anywhere else.
"""

import re
from urllib.parse import urlencode, urlsplit

from ..conf import settings
from ..models import AuthorizationRequest

#: Characters of a URL to return to.
MAX_LENGTH = 300

#: The characters of RFC 3986 without those of a fragment. Browsers read others in ways of their
#: own: a backslash as a slash, a line break as nothing.
CHARACTERS = r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_entry(text: str) -> bool:
    """Whether ``text`` can stand in ``API_RETURN_TO``: an origin such as ``https://app.example``,
    as browsers write it, or a whole URL. Of https; of http only on this machine."""
    try:
        parts = urlsplit(text)
        well_formed = re.fullmatch(CHARACTERS, text) and parts.hostname and parts.port != 0
    except ValueError:
        return False
    if not well_formed or "@" in parts.netloc or parts.netloc != parts.netloc.lower():
        return False
    on_loopback = text.startswith("http://") and parts.hostname in _LOOPBACK
    return on_loopback or text.startswith("https://")


def is_allowed(url: str) -> bool:
    """Whether ``API_RETURN_TO`` allows to send people to ``url``: it stands there, or its origin
    does. Texts are compared, so that no two readings of a URL can be played off against each
    other."""
    if len(url) > MAX_LENGTH or not re.fullmatch(CHARACTERS, url):
        return False
    entries = [entry for entry in settings.API_RETURN_TO if is_entry(entry)]
    return any(
        url == entry or (not urlsplit(entry).path and url.startswith(f"{entry}/"))
        for entry in entries
    )


def address(visit: AuthorizationRequest) -> str:
    """Where ``visit`` goes on, with what came of it: ``link``, or ``problem`` (a value of
    ``AuthorizationRequest.Problem``) and ``peer``. Empty: at the pages of this site."""
    url = visit.return_to
    if not url or not is_allowed(url):
        return ""
    came_of_it = {"peer": visit.peer.slug}
    if visit.link_id:
        came_of_it["link"] = str(visit.link_id)
    elif visit.problem:
        came_of_it["problem"] = visit.problem
    return f"{url}{'&' if '?' in url else '?'}{urlencode(came_of_it)}"
