"""What the other site of a pairing says of itself to people, and how it comes into the fields of
the peer. :mod:`reciprocal_oauth.peers.site_display` has the rules for the values."""

import logging
from collections.abc import Mapping
from typing import Any

from ..core.site_metadata import ACCOUNT, LENGTHS, RFC_7591
from ..models import Pairing, Peer
from ..peers import site_display

logger = logging.getLogger("reciprocal_oauth.pairing")


def read(sent: Mapping[str, Any], issuer: str) -> dict[str, str]:
    """Return what a site says of itself in a message, by the name of the peer's field. What is
    missing or wrong is left out.

    :param issuer: the issuer of this site; see :func:`.site_display.read`.
    """
    said = site_display.read(sent, issuer)
    for name in said.left_out:
        member = site_display.MEMBERS[name]
        logger.warning("%s of %s cannot be used, and is left out", member, issuer)
    return dict(said.values)


def offered(pairing: Pairing | None) -> dict[str, str]:
    """Return what the other site says of itself: in its registration, and before that in its
    metadata (``op_policy_uri`` and ``op_tos_uri``: RFC 8414, section 2)."""
    if pairing is None:
        return {}
    pages = {name: pairing.metadata.get(name, "") for name in RFC_7591}
    return {**{name: url for name, url in pages.items() if url}, **pairing.display}


def put_in(peer: Peer, new: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Set the fields of ``peer`` to what the other site says of itself, without saving it. A field
    that an administrator of this site has changed stays as it is.

    :param new: what it says now, from :func:`offered`.
    :param before: what it said before; empty if the peer had no pairing.
    """
    groups = [*((name,) for name in LENGTHS if name not in ACCOUNT), ACCOUNT]
    for names in groups:
        if all(getattr(peer, name) == before.get(name, "") for name in names):
            for name in names:
                setattr(peer, name, new.get(name, ""))


__all__ = ["offered", "put_in", "read"]
