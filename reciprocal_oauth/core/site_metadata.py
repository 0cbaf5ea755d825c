"""What this site says of itself to other sites: the setting ``SITE_METADATA``.

RFC 7591, section 2, defines ``logo_uri``, ``policy_uri`` and ``tos_uri``. The other keys belong to
this app: a description, and where an API of this site tells whose access token it got.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..conf import settings
from . import site_address
from .peer_urls import origin_of, url_problem

#: The keys that RFC 7591, section 2, defines as members of a registration.
RFC_7591 = ("logo_uri", "policy_uri", "tos_uri")
ACCOUNT = ("account_endpoint", "account_member")
#: All keys, each with the largest number of characters of its value.
LENGTHS: Mapping[str, int] = {
    "description": 500,
    **dict.fromkeys(RFC_7591, 500),
    "account_endpoint": 500,
    "account_member": 100,
}
_URLS = (*RFC_7591, "account_endpoint")
_MEMBER = re.compile(r"[^\s.]+(?:\.[^\s.]+)*")


def is_member(text: str) -> bool:
    """Return whether ``text`` can be the value of ``account_member``: the name of a member of a
    JSON object, such as ``username``, or ``user.email`` for a member of an inner object."""
    return bool(_MEMBER.fullmatch(text))


def values(home: str) -> dict[str, str]:
    """Return the values of ``SITE_METADATA`` that can be sent to other sites. Values that are empty
    or wrong are left out; a system check reports them.

    :param home: a URL of this site. The URLs in the result have the same origin.
    """
    texts = _texts()
    wrong = {name for name, _text in _problems(texts, home)}
    if wrong.intersection(ACCOUNT):
        wrong.update(ACCOUNT)
    return {name: texts[name] for name in LENGTHS if texts.get(name) and name not in wrong}


def problems() -> Iterator[tuple[str, str]]:
    """Yield each known key of ``SITE_METADATA`` whose value is wrong, and what is expected, in
    English."""
    home = site_address.configured_issuer() or site_address.configured_base_url()
    yield from _problems(_texts(), home)


def _texts() -> dict[str, str]:
    given: Any = settings.SITE_METADATA
    # str() translates a text that is translated lazily.
    return {str(name): str(value) for name, value in given.items()}


def _problems(texts: Mapping[str, str], home: str) -> Iterator[tuple[str, str]]:
    for name, length in LENGTHS.items():
        text = texts.get(name, "")
        if len(text) > length:
            yield name, f"must have at most {length} characters"
        elif name in _URLS and text and (problem := _problem_of_url(text, home)):
            yield name, problem
    endpoint, member = (texts.get(name, "") for name in ACCOUNT)
    if bool(endpoint) != bool(member):
        missing, given = ACCOUNT if member else reversed(ACCOUNT)
        yield missing, f'must be set, because "{given}" is set'
    elif member and not is_member(member):
        yield "account_member", 'must be the name of a member, such as "username" or "user.email"'


def _problem_of_url(url: str, home: str) -> str:
    # Whether a peer calls a loopback address is decided by the settings of the peer.
    if not url.isascii() or url_problem(url, allow_loopback=True):
        return "must be an absolute https URL; http is for addresses of this machine only"
    if home and origin_of(url) != origin_of(home):
        # Peers leave such a URL out: a site could otherwise make them call other sites.
        return f"must be at the address of this site, {origin_of(home)}"
    return ""
