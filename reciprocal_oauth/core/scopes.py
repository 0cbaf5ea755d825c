"""Functions for scope values (RFC 6749, section 3.3) and for the descriptions of scopes.

A scope value is a text of scope tokens separated by spaces. The functions keep the order of the
tokens and remove duplicates.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from ..compat import get_scopes_backend
from ..conf import settings
from .protocol import OPENID

#: Matches a scope token: ``scope-token = 1*( %x21 / %x23-5B / %x5D-7E )`` (RFC 6749, section 3.3).
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

#: The longest value of the parameters ``scope`` and ``reciprocal`` that is accepted, in characters.
MAX_LENGTH = 4096


def parse(value: object) -> list[str] | None:
    """Return the list of scope tokens in ``value``, or ``None`` if ``value`` is not a valid scope
    value (RFC 6749, section 3.3).

    :param value: any object that a peer can send in JSON. The result is ``None`` if it is not a
        text, is too long or contains an invalid character.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        return None
    tokens = list(dict.fromkeys(value.split(" "))) if value.strip(" ") else []
    tokens = [token for token in tokens if token]
    return tokens if all(_TOKEN.fullmatch(token) for token in tokens) else None


def read(value: object) -> list[str] | None:
    """Return the list of scope tokens in the ``scope`` parameter of a peer's token response
    (RFC 6749, section 5.1), or ``None`` if it is not valid.

    In addition to the standard form, this accepts two forms that some peers send: a list of tokens,
    and tokens separated by commas, such as ``a,b`` or ``a, b``. But a valid token may itself
    contain a comma. So if two tokens are separated only by spaces, as in ``a,b c``, commas do not
    separate.
    """
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = " ".join(value)
    elif isinstance(value, str):
        by_comma = [part.strip(" ") for part in value.split(",")]
        if not any(" " in part for part in by_comma):
            value = " ".join(by_comma)
    return parse(value)


def split(value: str) -> list[str]:
    """Return the list of tokens in a scope value that this site has stored."""
    return list(dict.fromkeys(value.split()))


def join(tokens: Iterable[str]) -> str:
    """Return the scope value that consists of these tokens, without duplicates."""
    return " ".join(dict.fromkeys(tokens))


def cut(value: str, *limits: str | Iterable[str]) -> str:
    """Return ``value`` without the scope tokens that are missing in at least one of ``limits``. A
    scope token is one word of a scope value (RFC 6749, section 3.3)."""
    tokens = split(value)
    for limit in limits:
        allowed = set(split(limit) if isinstance(limit, str) else limit)
        tokens = [token for token in tokens if token in allowed]
    return join(tokens)


def without_openid(value: str) -> str:
    """Return the scope ``value`` without the token ``openid``. The scope of a reciprocal code must
    not contain ``openid`` (see :data:`~reciprocal_oauth.core.protocol.OPENID`)."""
    return join(token for token in split(value) if token != OPENID)


def described() -> Mapping[str, str]:
    """Return the description of each scope of this site, by the name of the scope. DOT's scopes
    backend provides the descriptions."""
    return get_scopes_backend().get_all_scopes()


def described_at(slug: str) -> Mapping[str, str]:
    """Return the descriptions of the scopes of one peer, from the setting ``PEER_SCOPES``. The
    peer itself may have described more of its scopes: see ``Peer.described_scopes``.

    :param slug: the short name of the peer.
    """
    return settings.PEER_SCOPES.get(slug, {})


def has_words(token: str, described: Mapping[str, str]) -> bool:
    """Return whether ``described`` contains a description of ``token`` that is not blank."""
    return bool(str(described.get(token, "")).strip())


def in_words(token: str, described: Mapping[str, str], *, of_peer: bool = False) -> str:
    """Return the description of ``token``. If it has none, return a text that says whose name for
    an access ``token`` is, so that people do not take the name for a sentence.

    :param of_peer: whether ``token`` is a scope of a peer; otherwise it is a scope of this site.
    """
    if has_words(token, described):
        return str(described[token])
    if of_peer:
        return _("Access that the other site calls “%s”") % token
    return _("Access that this site calls “%s”") % token


def available(application: Any) -> Iterable[str]:
    """Return the scopes that ``application`` can get, according to DOT's scopes backend."""
    available: Iterable[str] = get_scopes_backend().get_available_scopes(application=application)
    return available
