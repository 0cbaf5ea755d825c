"""Scope values (RFC 6749, section 3.3) as ordered sets, and what they are called here."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..compat import get_scopes_backend
from ..conf import settings
from .protocol import OPENID

#: RFC 6749, section 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

#: Longest ``scope`` or ``reciprocal`` that is believed, in characters.
MAX_LENGTH = 4096


def parse(value: object) -> list[str] | None:
    """The scope tokens in ``value``, each once, in its order; ``None`` if it is not a scope.

    Anything a peer can send may be passed: other types, over-long text and bad characters give
    ``None``.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        return None
    tokens = list(dict.fromkeys(value.split(" "))) if value.strip(" ") else []
    tokens = [token for token in tokens if token]
    return tokens if all(_TOKEN.fullmatch(token) for token in tokens) else None


def read(value: object) -> list[str] | None:
    """The tokens of the ``scope`` in a peer's token response, as :func:`parse` gives them. Some
    peers separate them by commas, or send a list.

    A comma may also be a part of a token: where there are spaces, it is one.
    """
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = " ".join(value)
    elif isinstance(value, str):
        by_comma = [part.strip(" ") for part in value.split(",")]
        if not any(" " in part for part in by_comma):
            value = " ".join(by_comma)
    return parse(value)


def split(value: str) -> list[str]:
    """The tokens of a scope that is stored here, each once, in its order."""
    return list(dict.fromkeys(value.split()))


def join(tokens: Iterable[str]) -> str:
    """The scope value with these tokens, each once."""
    return " ".join(dict.fromkeys(tokens))


def cut(value: str, *limits: str | Iterable[str]) -> str:
    """The part of the scope ``value`` that is in every one of ``limits``, in its order."""
    tokens = split(value)
    for limit in limits:
        allowed = set(split(limit) if isinstance(limit, str) else limit)
        tokens = [token for token in tokens if token in allowed]
    return join(tokens)


def without_openid(value: str) -> str:
    """``value`` less ``openid``, which a reciprocal grant can never carry."""
    return join(token for token in split(value) if token != OPENID)


def described() -> Mapping[str, str]:
    """Every scope of this site with its description, from the site's DOT scopes backend."""
    return get_scopes_backend().get_all_scopes()


def described_at(slug: str) -> Mapping[str, str]:
    """What scopes at the peer ``slug`` are called, as far as the site has words for them."""
    return settings.PEER_SCOPES.get(slug, {})


def has_words(token: str, described: Mapping[str, str]) -> bool:
    """Whether ``described`` says what ``token`` means: a site may have left that blank."""
    return bool(str(described.get(token, "")).strip())


def in_words(token: str, described: Mapping[str, str]) -> str:
    """What ``token`` is called; its name, for want of words."""
    return str(described[token]) if has_words(token, described) else token


def available(application: Any) -> Iterable[str]:
    """The scopes that the site's DOT scopes backend lets ``application`` have."""
    available: Iterable[str] = get_scopes_backend().get_available_scopes(application=application)
    return available
