"""Snapshots: hashes of what a page shows, so that this app can refuse a decision that the user made
on an outdated page.

A page can stay open while the link changes, for example because the user decides something in
another window. So the form on the page contains a keyed hash of what the page shows. When the user
sends the form, this app computes the hash again and refuses the decision if the hash is different.
"""

import json
from collections.abc import Sequence

from django.utils.crypto import constant_time_compare, salted_hmac

from ..models import Link

_SALT = "reciprocal_oauth.party_a.snapshot"


def make_snapshot(link: Link, *shown: str | Sequence[str]) -> str:
    """Return a keyed hash of what a page shows about ``link``. The hash covers the ID of the link,
    ``outgoing_grant`` (which changes when the user connects again), the number of the user's last
    decision, and ``shown``.

    :param shown: other values that the page shows, such as scopes.
    """
    facts = [str(link.pk), str(link.outgoing_grant), link.generation, *shown]
    return salted_hmac(_SALT, json.dumps(facts), algorithm="sha256").hexdigest()


def is_same(sent: str, now: str) -> bool:
    """Return whether the snapshot ``sent`` in the form of the user equals the snapshot ``now``,
    which was computed for the current state of the link."""
    return constant_time_compare(sent, now)
