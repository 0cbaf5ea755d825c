"""Scope values (RFC 6749, section 3.3) as ordered sets, and their descriptions."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..compat import get_scopes_backend
from ..conf import settings
from .protocol import OPENID

#: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749, section 3.3)
_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")

#: The longest ``scope`` or ``reciprocal`` that is accepted, in characters.
MAX_LENGTH = 4096


def parse(value: object) -> list[str] | None:
    """Return the scope tokens in ``value``, in their order, without duplicates; ``None`` if
    ``value`` is not a scope (RFC 6749, section 3.3).

    ``value`` may be anything that a peer can send. Other types, text that is too long and invalid
    characters give ``None``.
    """
    if not isinstance(value, str) or len(value) > MAX_LENGTH:
        return None
    tokens = list(dict.fromkeys(value.split(" "))) if value.strip(" ") else []
    tokens = [token for token in tokens if token]
    return tokens if all(_TOKEN.fullmatch(token) for token in tokens) else None


def read(value: object) -> list[str] | None:
    """Return the tokens of the ``scope`` in a peer's token response (RFC 6749, section 5.1), as
    :func:`parse` does. Some peers send a list, or separate the tokens by commas.

    A scope token may contain a comma. So a value with spaces is split at the spaces only.
    """
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        value = " ".join(value)
    elif isinstance(value, str):
        by_comma = [part.strip(" ") for part in value.split(",")]
        if not any(" " in part for part in by_comma):
            value = " ".join(by_comma)
    return parse(value)


def split(value: str) -> list[str]:
    """Return the tokens of a stored scope, in their order, without duplicates."""
    return list(dict.fromkeys(value.split()))


def join(tokens: Iterable[str]) -> str:
    """Return the scope value with these tokens, without duplicates."""
    return " ".join(dict.fromkeys(tokens))


def cut(value: str, *limits: str | Iterable[str]) -> str:
    """Return the tokens of the scope ``value`` that are in all of ``limits``, in their order."""
    tokens = split(value)
    for limit in limits:
        allowed = set(split(limit) if isinstance(limit, str) else limit)
        tokens = [token for token in tokens if token in allowed]
    return join(tokens)


def without_openid(value: str) -> str:
    """Return the scope ``value`` without ``openid``, which a reciprocal grant never includes."""
    return join(token for token in split(value) if token != OPENID)


def described() -> Mapping[str, str]:
    """Return all scopes of this site with their descriptions, from the scopes backend of DOT."""
    return get_scopes_backend().get_all_scopes()


def described_at(slug: str) -> Mapping[str, str]:
    """Return the descriptions of scopes at the peer ``slug``, from ``PEER_SCOPES``."""
    return settings.PEER_SCOPES.get(slug, {})


def has_words(token: str, described: Mapping[str, str]) -> bool:
    """Whether ``described`` has a description of ``token`` that is not blank."""
    return bool(str(described.get(token, "")).strip())


def in_words(token: str, described: Mapping[str, str]) -> str:
    """Return the description of ``token``, or its name if it has no description."""
    return str(described[token]) if has_words(token, described) else token


def available(application: Any) -> Iterable[str]:
    """Return the scopes that the scopes backend of DOT allows ``application`` to have."""
    available: Iterable[str] = get_scopes_backend().get_available_scopes(application=application)
    return available
