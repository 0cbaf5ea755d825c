"""Says in words what a scope allows (RFC 6749, section 3.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..core import scopes
from ..models import Peer


@dataclass(frozen=True)
class Permission:
    """One scope in words: one thing that a site may do with its access.

    :ivar name: the name of the scope, for administrators.
    :ivar text: the description of the scope. If there is none, a text that contains the name and
        says which site uses it.
    :ivar is_name: whether the scope has no description.
    :ivar is_quoted: whether ``text`` was written by the peer.
    """

    name: str
    text: str
    is_name: bool
    is_quoted: bool = False


def in_scope_words(scope: str, described: Mapping[str, str]) -> list[Permission]:
    """Return one permission for each scope in ``scope``, which are scopes of this site.

    :param scope: scope names, separated by spaces (RFC 6749, section 3.3).
    :param described: the description of each scope, by its name.
    """
    return [
        Permission(
            name=token,
            text=scopes.in_words(token, described),
            is_name=not scopes.has_words(token, described),
        )
        for token in scopes.split(scope)
    ]


def in_words_of_peer(scope: str, peer: Peer) -> list[Permission]:
    """Return one permission for each scope in ``scope``, which are scopes of ``peer``.

    :param scope: scope names, separated by spaces (RFC 6749, section 3.3).
    """
    described = peer.described_scopes()
    return [
        Permission(
            name=token,
            text=scopes.in_words(token, described, of_peer=True),
            is_name=not scopes.has_words(token, described),
            is_quoted=peer.is_in_its_words(token),
        )
        for token in scopes.split(scope)
    ]
