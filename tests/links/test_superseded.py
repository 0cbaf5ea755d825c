"""Which older link ends when a newer one of the same person works."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from reciprocal_oauth.links.superseded import end_link_if_superseded
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import key_of_family

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("T30")]

Reason = Link.Reason
BROKEN = {"outgoing_state": Link.Outgoing.BROKEN, "outgoing_reason": Reason.REFRESH_REFUSED}


@pytest.fixture
def older(link_as_a: Link, user: Any, peer: Peer) -> Link:
    """A link whose tokens the peer no longer renews, last used two days ago; another one works."""
    Link.objects.create(
        user=user,
        peer=peer,
        account_key=key_of_family(None),
        outgoing_state=Link.Outgoing.ACTIVE,
        linked_at=timezone.now(),
    )
    then = timezone.now() - timedelta(days=2)
    Link.objects.filter(pk=link_as_a.pk).update(**BROKEN, linked_at=then, created_at=then)
    link_as_a.refresh_from_db()
    return link_as_a


def status_of(older: Link, **values: Any) -> str:
    Link.objects.filter(pk=older.pk).update(**values)
    end_link_if_superseded(Link.objects.get(pk=older.pk))
    older.refresh_from_db()
    return older.status


@pytest.mark.parametrize("reason", [Reason.REFRESH_REFUSED, Reason.TOKEN_REFUSED, Reason.EXPIRED])
def test_one_whose_access_cannot_work_again_ends(older: Link, reason: str) -> None:
    assert status_of(older, outgoing_reason=reason) == Link.Status.ENDED
    assert older.incoming_reason == Reason.REPLACED


@pytest.mark.parametrize(
    "values",
    [
        {"outgoing_state": Link.Outgoing.ACTIVE},
        {"outgoing_reason": Reason.UNREADABLE},
        {"outgoing_reason": Reason.RECONFIGURED},
    ],
    ids=str,
)
def test_one_that_may_work_again_stays(older: Link, values: dict[str, Any]) -> None:
    assert status_of(older, **values) == Link.Status.ACTIVE


def test_one_that_the_peer_has_just_used_stays(older: Link) -> None:
    assert status_of(older, last_used_at=timezone.now()) == Link.Status.ACTIVE


def test_one_stays_while_no_other_one_works(older: Link) -> None:
    Link.objects.exclude(pk=older.pk).update(outgoing_state=Link.Outgoing.BROKEN)

    assert status_of(older) == Link.Status.ACTIVE
