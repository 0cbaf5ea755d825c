"""Snapshots: an answer of the user counts only for what the page has shown.

A page may stay open while its link changes: the user connects another account at the peer, or
decides something in another window. So the form contains a keyed hash of what the page shows, and
the answer is refused if the link has another snapshot by then.
"""

import json
from collections.abc import Sequence

from django.utils.crypto import constant_time_compare, salted_hmac

from ..models import Link

_SALT = "reciprocal_oauth.party_a.snapshot"


def make_snapshot(link: Link, *shown: str | Sequence[str]) -> str:
    """Return the keyed hash of what a page shows of ``link``: the outgoing access (it stands for
    the account at the peer), the last decision, and ``shown``."""
    facts = [str(link.pk), str(link.outgoing_grant), link.generation, *shown]
    return salted_hmac(_SALT, json.dumps(facts), algorithm="sha256").hexdigest()


def is_same(sent: str, now: str) -> bool:
    """Whether the snapshot that was sent with an answer equals the current one."""
    return constant_time_compare(sent, now)
