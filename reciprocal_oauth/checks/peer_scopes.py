"""System check of the setting ``PEER_SCOPES``, which says in words what the scopes of the peers
mean."""

import difflib
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from ..conf import settings
from ..core import scopes
from ..core.database import database
from ..core.protocol import OPENID
from .guards import needs_settings
from .ids import Id


@register(Tags.database)
@needs_settings("PEER_SCOPES")
def check_peer_scopes(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that each scope that this site asks a peer for has words, from ``PEER_SCOPES`` or from
    the peer itself, and that ``PEER_SCOPES`` names only peers that exist.

    :param databases: the databases that checks may use.
    """
    from ..models import Peer

    alias = database()
    if alias not in (databases or ()):
        return []
    try:
        peers = list(Peer.objects.using(alias).order_by("slug"))
    except DatabaseError:
        return []  # The tables are not created yet.
    slugs = [peer.slug for peer in peers]
    return [*_unknown_peers(slugs), *_without_words([each for each in peers if each.enabled])]


def _unknown_peers(slugs: Sequence[str]) -> Iterator[CheckMessage]:
    if not slugs:
        return  # The peers are not set up yet.
    for name in sorted(set(settings.PEER_SCOPES) - set(slugs), key=str):
        near = difflib.get_close_matches(str(name), slugs, n=1)
        known = f'Did you mean "{near[0]}"?' if near else f"The peers are: {', '.join(slugs)}."
        yield Warning(
            f'RECIPROCAL_OAUTH["PEER_SCOPES"] has the key {name!r}, and no peer has this short '
            "name.",
            hint=known,
            id=Id.PEER_SCOPES,
        )


def _without_words(peers: Sequence[Any]) -> Iterator[CheckMessage]:
    for peer in peers:
        described = peer.described_scopes()
        missing = [
            token
            for token in scopes.split(f"{peer.scope} {peer.reciprocal_scope}")
            if token != OPENID and not scopes.has_words(token, described)
        ]
        if not missing:
            continue
        entries = ", ".join(f'"{token}": "…"' for token in missing)
        yield Warning(
            f"This site asks the peer {peer.slug} for scopes that have no words: "
            f"{', '.join(missing)}. People read these names.",
            hint=f'Set RECIPROCAL_OAUTH["PEER_SCOPES"]["{peer.slug}"] = {{{entries}}}, with what '
            "each scope allows.",
            id=Id.PEER_SCOPES,
        )
