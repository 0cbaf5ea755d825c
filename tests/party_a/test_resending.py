"""An administrator sends failed rows again, or cancels rows that have not ended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, OutboxItem, ReciprocalCode
from reciprocal_oauth.party_a import consent, resending, scope_changes
from reciprocal_oauth.party_a.resending import NotPossible
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply, token_response

State = OutboxItem.State
Incoming = Link.Incoming


@pytest.fixture
def failed(link_as_a: Link, fake_peer: FakePeer) -> OutboxItem:
    """A hand-over that the peer has refused."""
    consent.allow(link_as_a, ["playback"])
    fake_peer.answers["/token/"] = Reply(403, b"")
    worker.drain()
    row = OutboxItem.objects.get()
    link_as_a.refresh_from_db()
    assert (row.state, row.reason) == (State.FAILED, Link.Reason.HANDOVER_REFUSED)
    assert link_as_a.incoming_state == Incoming.BROKEN
    return row


@pytest.mark.threat("R3")
def test_a_failed_row_has_all_its_attempts_again(
    failed: OutboxItem, link_as_a: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply()

    resending.resend(failed)

    assert (failed.state, failed.attempts, failed.reason, failed.last_error) == (
        State.PENDING,
        0,
        "",
        "",
    )
    link_as_a.refresh_from_db()
    assert (link_as_a.incoming_state, link_as_a.incoming_reason) == (Incoming.GRANTED, "")
    worker.drain()
    failed.refresh_from_db()
    assert failed.state == State.ACCEPTED
    first, second = [each.form["code"] for each in fake_peer.to("/token/")]
    assert first != second


def test_a_revocation_is_sent_again_with_the_token_that_was_kept(
    link_as_a: Link, fake_peer: FakePeer
) -> None:
    row = OutboxItem.objects.create(
        kind=OutboxItem.Kind.REVOCATION,
        peer=link_as_a.peer,
        link=link_as_a,
        token=Secret("token-to-revoke"),
    )
    fake_peer.answers["/revoke/"] = [Reply(403, b""), Reply()]
    worker.drain()

    row.refresh_from_db()
    resending.resend(row)
    worker.drain()

    row.refresh_from_db()
    assert row.state == State.DONE
    assert [each.form["token"] for each in fake_peer.to("/revoke/")] == ["token-to-revoke"] * 2


def _end(link: Link) -> None:
    scope_changes.change(link, [])


def _decide_again(link: Link) -> None:
    consent.allow(link, ["profile"])


def _lose_access_there(link: Link) -> None:
    Link.objects.update(outgoing_state=Link.Outgoing.BROKEN)


def _disable_peer(link: Link) -> None:
    type(link.peer).objects.update(enabled=False)


def _deactivate_user(link: Link) -> None:
    type(link.user).objects.update(is_active=False)


@pytest.mark.parametrize(
    ("meanwhile", "complaint"),
    [
        (_end, "The link has ended"),
        (_decide_again, "has made a newer decision"),
        (_lose_access_there, "has to connect again"),
        (_disable_peer, "is disabled"),
        (_deactivate_user, "is disabled"),
    ],
)
def test_a_hand_over_whose_link_has_moved_on_is_not_sent_again(
    meanwhile: Callable[[Link], None], complaint: str, failed: OutboxItem, link_as_a: Link
) -> None:
    meanwhile(link_as_a)

    with pytest.raises(NotPossible, match=complaint):
        resending.resend(failed)

    failed.refresh_from_db()
    assert failed.state == State.FAILED


def test_a_decision_that_arrived_after_all_and_was_revoked_is_not_sent_again(
    failed: OutboxItem, link_as_a: Link
) -> None:
    Link.objects.update(incoming_reason=Link.Reason.REVOKED_HERE)

    with pytest.raises(NotPossible, match="has made a newer decision"):
        resending.resend(failed)


def test_a_row_that_was_deleted_meanwhile_is_not_sent_again(failed: OutboxItem) -> None:
    OutboxItem.objects.all().delete()

    with pytest.raises(NotPossible, match="no longer exists"):
        resending.resend(failed)


@pytest.mark.parametrize("state", [State.PENDING, State.CLAIMED, State.ACCEPTED, State.DONE])
def test_a_row_that_is_pending_or_done_is_not_sent_again(state: str, failed: OutboxItem) -> None:
    OutboxItem.objects.update(state=state)

    with pytest.raises(NotPossible, match="has not failed"):
        resending.resend(failed)


def test_a_revocation_whose_token_was_deleted_is_not_sent_again(link_as_a: Link) -> None:
    row = OutboxItem.objects.create(
        kind=OutboxItem.Kind.REVOCATION, peer=link_as_a.peer, state=State.CANCELLED
    )

    with pytest.raises(NotPossible, match="was deleted"):
        resending.resend(row)


@pytest.mark.usefixtures("shared_database")
class TestStopping:
    def test_nothing_is_sent_and_the_link_says_why(
        self, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        consent.allow(link_as_a, ["playback"])
        row = OutboxItem.objects.get()

        resending.cancel(row)
        worker.drain()

        assert (row.state, row.reason) == (State.CANCELLED, Link.Reason.STOPPED)
        assert fake_peer.to("/token/") == []
        link_as_a.refresh_from_db()
        assert (link_as_a.incoming_state, link_as_a.incoming_reason) == (
            Incoming.BROKEN,
            Link.Reason.STOPPED,
        )
        assert consent.can_answer(link_as_a), "the person may allow it again"

    def test_a_code_that_has_arrived_is_refused(
        self, link_as_a: Link, fake_peer: FakePeer, redeem: Callable[..., Any]
    ) -> None:
        consent.allow(link_as_a, ["playback"])
        fake_peer.answers["/token/"] = Reply()
        worker.drain()
        code = fake_peer.to("/token/")[0].form["code"]

        resending.cancel(OutboxItem.objects.get())

        assert redeem(code=code).status_code == 400
        assert ReciprocalCode.objects.get().state == ReciprocalCode.State.REVOKED

    @pytest.mark.threat("S10")
    def test_the_worker_that_is_sending_sends_no_second_code(
        self, link_as_a: Link, fake_peer: FakePeer
    ) -> None:
        consent.allow(link_as_a, ["playback"])

        def stopped_meanwhile(received: Any) -> Reply:
            if "access_token" in received.form:
                resending.cancel(OutboxItem.objects.get())
                return Reply.json(400, error="invalid_grant")
            return token_response(access_token="renewed")

        fake_peer.answers["/token/"] = stopped_meanwhile
        worker.drain()

        handed_over = [each for each in fake_peer.requests if "access_token" in each.form]
        assert len(handed_over) == 1
        assert not ReciprocalCode.objects.filter(state=ReciprocalCode.State.LIVE).exists()
        link_as_a.refresh_from_db()
        assert link_as_a.incoming_reason == Link.Reason.STOPPED

    def test_it_can_be_sent_again(self, link_as_a: Link, fake_peer: FakePeer) -> None:
        consent.allow(link_as_a, ["playback"])
        row = OutboxItem.objects.get()
        resending.cancel(row)
        fake_peer.answers["/token/"] = Reply()

        resending.resend(row)
        worker.drain()

        row.refresh_from_db()
        assert row.state == State.ACCEPTED

    def test_what_has_ended_is_not_stopped(self, failed: OutboxItem) -> None:
        with pytest.raises(NotPossible, match="ended already"):
            resending.cancel(failed)

    @pytest.mark.django_db(transaction=True)
    def test_nothing_changes_where_it_is_rolled_back(self, link_as_a: Link) -> None:
        consent.allow(link_as_a, ["playback"])
        row = OutboxItem.objects.get()

        with transaction.atomic():
            resending.cancel(row)
            transaction.set_rollback(True)

        row.refresh_from_db()
        assert row.state == State.PENDING
