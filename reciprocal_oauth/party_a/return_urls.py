"""The URL to which the user returns after a visit (the trip of the user to the peer and back) that
a front end has started through the JSON API of this site.

The URL must be in the setting ``API_RETURN_TO``. This is checked when the visit starts and again
when it ends. So nobody can use this site to redirect users to another URL (an open redirector, RFC
9700, section 4.11.1), even if the setting was changed during the visit.
"""

import re
from urllib.parse import urlencode, urlsplit

from ..conf import settings
from ..models import AuthorizationRequest

#: The largest length of a return URL, in characters.
MAX_LENGTH = 300

#: The characters that RFC 3986, section 2, allows in a URL, except ``#``, which starts a fragment.
#: Other characters are not allowed, because browsers change them: for example, they read a
#: backslash as a slash and remove a line break.
URL_CHARACTERS = r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_valid_entry(text: str) -> bool:
    """Return whether ``text`` is a valid entry of the setting ``API_RETURN_TO``. An entry is a
    whole URL, or an origin in the form that browsers use, such as ``https://app.example``. Its
    scheme is https; http is allowed for a loopback address (this computer)."""
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
    """Return whether the setting ``API_RETURN_TO`` contains ``url`` or the origin of ``url``.
    Compare them as strings, because this app and a browser can parse the same URL differently."""
    if len(url) > MAX_LENGTH or not re.fullmatch(URL_CHARACTERS, url):
        return False
    entries = [entry for entry in settings.API_RETURN_TO if is_valid_entry(entry)]
    return any(
        url == entry or (not urlsplit(entry).path and url.startswith(f"{entry}/"))
        for entry in entries
    )


def return_url(visit: AuthorizationRequest) -> str:
    """Return the URL to which the user returns after ``visit``, or an empty string if the user
    returns to a page of this app.

    The query of the URL contains the result: ``peer`` is the slug of the peer, and ``link`` is the
    ID of the link. If there is no link, ``problem`` is a value of ``AuthorizationRequest.Problem``.
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
