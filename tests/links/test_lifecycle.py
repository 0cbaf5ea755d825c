"""How the state of a link changes: a direction breaks, the link is deleted."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import Q
from oauth2_provider.models import get_access_token_model

from reciprocal_oauth.core.database import atomic
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, LinkEvent, OutboxItem
from reciprocal_oauth.secret import Secret

pytestmark = pytest.mark.django_db(transaction=True)

Broken = list[tuple[str, str]]
REFUSED = Link.Reason.REFRESH_REFUSED


class TestBreakingADirection:
    def test_a_peer_at_other_addresses_breaks_it_once(self, link_as_a: Link) -> None:
        assert lifecycle.break_reconfigured(link_as_a)
        assert not lifecycle.break_reconfigured(Link.objects.get())

    def test_the_state_the_reason_and_the_tokens_are_changed_and_announced(
        self, link_as_a: Link, broken: Broken
    ) -> None:
        before = Link.objects.get().updated_at

        assert lifecycle.break_outgoing(link_as_a, REFUSED, still=Q())

        link = Link.objects.get()
        assert (link.outgoing_state, link.outgoing_reason) == (Link.Outgoing.BROKEN, REFUSED)
        assert (link.access_token, link.refresh_token) == (Secret(""), Secret(""))
        assert link.access_token_expires_at is None
        assert link.updated_at > before
        assert link.incoming_state == Link.Incoming.OFFERED
        assert link_as_a.outgoing_state == Link.Outgoing.BROKEN, "the object is up to date"
        assert broken == [("outgoing", REFUSED)]

    @pytest.mark.parametrize(("detail", "recorded"), [("", REFUSED), ("invalid_grant", None)])
    def test_the_history_has_the_detail_or_else_the_reason(
        self, link_as_a: Link, detail: str, recorded: str | None
    ) -> None:
        lifecycle.break_outgoing(link_as_a, REFUSED, detail, still=Q())

        event = link_as_a.events.get()
        assert (event.outcome, event.detail) == (LinkEvent.Outcome.FAILED, recorded or detail)

    @pytest.mark.parametrize(
        "values",
        [
            {"status": Link.Status.ENDED},
            {"outgoing_state": Link.Outgoing.WAITING},
            {"outgoing_state": Link.Outgoing.BROKEN},
            {"outgoing_scope": "changed meanwhile"},
        ],
        ids=str,
    )
    def test_nothing_changes_when_the_link_is_not_what_it_was(
        self, link_as_a: Link, broken: Broken, values: dict[str, str]
    ) -> None:
        Link.objects.update(**values)
        before = Link.objects.values().get()

        assert not lifecycle.break_outgoing(link_as_a, REFUSED, still=Q(outgoing_scope="play"))

        assert Link.objects.values().get() == before
        assert broken == []
        assert not LinkEvent.objects.exists()

    def test_other_links_stay_as_they_are(
        self, link_as_a: Link, other_user: Any, broken: Broken
    ) -> None:
        values = {"peer": link_as_a.peer, "outgoing_state": Link.Outgoing.ACTIVE}
        other = Link.objects.create(user=other_user, **values)

        assert lifecycle.break_outgoing(link_as_a, REFUSED, still=Q())

        other.refresh_from_db()
        assert other.outgoing_state == Link.Outgoing.ACTIVE
        assert len(broken) == 1


class TestBeforeDeletion:
    @pytest.fixture(autouse=True)
    def _in_the_transaction_of_the_deletion(self, transactional_db: None) -> Iterator[None]:
        """Django sends ``pre_delete`` in a transaction. Rows can be locked only in one."""
        with atomic():
            yield

    @pytest.fixture
    def both_accesses(self, link_as_a: Link, make_token: Any, user: Any) -> Link:
        """A link with tokens of this site at the peer, and of the peer at this site."""
        make_token(link_as_a.peer.application, user)
        return link_as_a

    @pytest.mark.parametrize("revoke_outgoing", [True, False])
    def test_the_tokens_of_the_peer_are_revoked_and_those_at_the_peer_if_asked_for(
        self, both_accesses: Link, revoke_outgoing: bool
    ) -> None:
        was_queued = lifecycle.revoke_before_deletion(
            both_accesses, revoke_outgoing=revoke_outgoing
        )

        assert was_queued is revoke_outgoing
        assert not get_access_token_model().objects.exists()
        tokens = [(row.link, row.token.reveal()) for row in OutboxItem.objects.all()]
        assert tokens == [(None, "refresh-of-the-peer")] * revoke_outgoing

    def test_without_a_token_at_the_peer_no_revocation_is_queued(self, both_accesses: Link) -> None:
        both_accesses.access_token = both_accesses.refresh_token = Secret("")

        assert not lifecycle.revoke_before_deletion(both_accesses, revoke_outgoing=True)

        assert not OutboxItem.objects.exists()
        assert not get_access_token_model().objects.exists()

    def test_of_a_link_that_has_ended_no_token_is_revoked(self, both_accesses: Link) -> None:
        """The tokens of the peer belong to a newer link."""
        Link.objects.update(status=Link.Status.ENDED)

        assert not lifecycle.revoke_before_deletion(both_accesses, revoke_outgoing=True)

        assert not OutboxItem.objects.exists()
        assert get_access_token_model().objects.exists()

    def test_an_active_link_beside_it_changes_nothing(
        self, both_accesses: Link, other_user: Any
    ) -> None:
        Link.objects.update(status=Link.Status.ENDED)
        Link.objects.create(user=other_user, peer=both_accesses.peer)

        assert not lifecycle.revoke_before_deletion(both_accesses, revoke_outgoing=True)

    @pytest.mark.parametrize("status", [Link.Status.ACTIVE, Link.Status.ENDED])
    @pytest.mark.parametrize("state", OutboxItem.State)
    def test_only_unfinished_revocations_keep_their_token(
        self, link_as_a: Link, state: str, status: str
    ) -> None:
        Link.objects.update(status=status)
        row = OutboxItem.objects.create(
            kind=OutboxItem.Kind.REVOCATION,
            peer=link_as_a.peer,
            link=link_as_a,
            state=state,
            token=Secret("earlier"),
        )

        lifecycle.revoke_before_deletion(link_as_a, revoke_outgoing=False)

        row.refresh_from_db()
        is_kept = state in OutboxItem.LIVE_STATES
        assert row.token.reveal() == ("earlier" if is_kept else "")
