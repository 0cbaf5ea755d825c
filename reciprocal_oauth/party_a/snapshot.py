"""What a person was shown when they were asked. Their answer counts for that, and for nothing else.

A page may stay open while its link changes: another account at the peer is connected, or the person
decides something in another window. The answer carries a keyed hash of what the page was made from,
and is refused where it no longer fits.
"""

import json
from collections.abc import Sequence

from django.utils.crypto import constant_time_compare, salted_hmac

from ..models import Link

_SALT = "reciprocal_oauth.party_a.snapshot"


def take(link: Link, *shown: str | Sequence[str]) -> str:
    """The hash of what a person is shown of ``link``: of our access at the peer, which says whose
    account it is, of the last decision, and of ``shown``."""
    facts = [str(link.pk), str(link.outgoing_grant), link.generation, *shown]
    return salted_hmac(_SALT, json.dumps(facts), algorithm="sha256").hexdigest()


def is_same(sent: str, now: str) -> bool:
    """Whether what an answer carries fits what is so now."""
    return constant_time_compare(sent, now)
