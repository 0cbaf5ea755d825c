"""The URL to which the user returns after a visit (the trip of the user to the peer and back) that
a front end or an app has started through the JSON API of this site.

The URL must be in the setting ``API_RETURN_TO``. This is checked when the visit starts and again
when it ends. So nobody can use this site to redirect users to another URL (an open redirector, RFC
9700, section 4.11.1), even if the setting was changed during the visit.

The setting may contain the URLs of native apps too: https URLs that belong to an app, private-use
schemes, and loopback addresses (RFC 8252, section 7).
"""

import re
from urllib.parse import urlencode, urlsplit

from ..conf import settings
from ..models import AuthorizationRequest, Link

#: The largest length of a return URL, in characters.
MAX_LENGTH = 300

#: The characters that RFC 3986, section 2, allows in a URL, except ``#``, which starts a fragment.
#: Other characters are not allowed, because browsers change them: for example, they read a
#: backslash as a slash and remove a line break.
URL_CHARACTERS = r"[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=%]+"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: A private-use scheme is a domain name in reverse order, such as ``com.example.app`` (RFC 8252,
#: section 7.1). The dot keeps out every scheme that browsers and systems handle themselves, such
#: as ``javascript``, ``data``, ``intent`` and ``file``.
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+\-]*(?:\.[a-z0-9+\-]+)+:/")
#: An app on a desktop gets a port from its system (RFC 8252, section 7.3). The name ``localhost``
#: is not meant here, because it can lead to another network interface (RFC 8252, section 8.3).
_ANY_PORT = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(/.*)")
_WITH_PORT = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\])):([1-9][0-9]{0,4})(/.*)")
_LARGEST_PORT = 65535


def is_valid_entry(text: str) -> bool:
    """Return whether ``text`` is a valid entry of the setting ``API_RETURN_TO``. An entry is

    - a whole URL, or an origin in the form that browsers use, such as ``https://app.example``. Its
      scheme is https; http is allowed for a loopback address (this computer);
    - or a whole URL with a private-use scheme, such as ``com.example.app:/done`` (RFC 8252, section
      7.1).
    """
    if not re.fullmatch(URL_CHARACTERS, text):
        return False
    return bool(_PRIVATE_USE.match(text)) or _is_valid_web_entry(text)


def _is_valid_web_entry(text: str) -> bool:
    try:
        parts = urlsplit(text)
        well_formed = parts.hostname and parts.port != 0
    except ValueError:
        return False
    if not well_formed or "@" in parts.netloc or parts.netloc != parts.netloc.lower():
        return False
    on_loopback = text.startswith("http://") and parts.hostname in _LOOPBACK
    return on_loopback or text.startswith("https://")


def is_allowed(url: str) -> bool:
    """Return whether the setting ``API_RETURN_TO`` contains ``url`` or the origin of ``url``.
    Compare them as strings, because this app and a browser can parse the same URL differently.

    An entry such as ``http://127.0.0.1/done``, without a port and with a path, allows this path at
    every port (RFC 8252, section 7.3). This does not apply to ``localhost``.
    """
    if len(url) > MAX_LENGTH or not re.fullmatch(URL_CHARACTERS, url):
        return False
    entries = [entry for entry in settings.API_RETURN_TO if is_valid_entry(entry)]
    return _without_port(url) in filter(_ANY_PORT.fullmatch, entries) or any(
        url == entry or (not urlsplit(entry).path and url.startswith(f"{entry}/"))
        for entry in entries
    )


def _without_port(url: str) -> str:
    """Return ``url`` without its port if its host is the IP address of a loopback interface, and an
    empty string for any other URL."""
    found = _WITH_PORT.fullmatch(url)
    return found[1] + found[3] if found and int(found[2]) <= _LARGEST_PORT else ""


def is_of_web(url: str) -> bool:
    """Return whether a browser opens ``url`` itself. Otherwise ``url`` has the private-use scheme
    of an app, and the system opens the app (RFC 8252, section 7.1)."""
    return url.startswith(("https://", "http://"))


def return_url(visit: AuthorizationRequest) -> str:
    """Return the URL to which the user returns after ``visit``, or an empty string if the user
    returns to a page of this app.

    The query of the URL contains the result: ``peer`` is the slug of the peer, and ``link`` is the
    ID of the link. If there is no link, ``problem`` is a value of ``AuthorizationRequest.Problem``.
    If this site has asked for consent on its own page, ``result`` is a value of
    :func:`result_of`, and ``state`` is the text of the app.
    """
    result = {"result": result_of(visit)} if visit.asks_here else {}
    if visit.link_id:
        result["link"] = str(visit.link_id)
    elif visit.problem:
        result["problem"] = visit.problem
    return with_result(visit.return_to, visit.peer.slug, visit.app_state, **result)


def with_result(url: str, peer_slug: str, state: str, **result: str) -> str:
    """Return ``url`` with the result of an attempt to connect in its query, or an empty string if
    ``API_RETURN_TO`` does not allow ``url``. Values that are empty are left out.

    :param state: the text of the app that started the attempt.
    """
    if not url or not is_allowed(url):
        return ""
    given = {"peer": peer_slug, **result, "state": state}
    query = urlencode({name: value for name, value in given.items() if value})
    return f"{url}{'&' if '?' in url else '?'}{query}"


def result_of(visit: AuthorizationRequest) -> str:
    """Return what became of ``visit``, for the app that started it:

    - ``linked``: the person has allowed both directions. The peer gets its access in a moment.
    - ``one_way``: there is a link, but the person has not allowed the peer access at this site, or
      could not be asked.
    - ``denied``: the person did not allow access at the peer. There is no link.
    - ``failed``: there is no link, because something went wrong.
    - an empty string: the visit is not over.
    """
    link = visit.link
    if link is not None:
        if not link.is_active:
            return "failed"
        given = (Link.Incoming.GRANTED, Link.Incoming.ACTIVE)
        return "linked" if link.incoming_state in given else "one_way"
    if not visit.problem:
        return ""
    return "denied" if visit.problem == AuthorizationRequest.Problem.DENIED else "failed"
