"""Hand-overs in the admin: sent again and stopped by those who may; peers that are paused."""

import html
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.admin.deliveries import OutboxItemAdmin
from reciprocal_oauth.models import Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret

from .conftest import admin_url, text_of

State = OutboxItem.State


@pytest.fixture
def rows(link_as_a: Link) -> list[OutboxItem]:
    """One failed revocation and one pending revocation."""
    return [
        OutboxItem.objects.create(
            kind=OutboxItem.Kind.REVOCATION,
            peer=link_as_a.peer,
            link=link_as_a,
            token=Secret("canary-revoked-token"),
            state=state,
        )
        for state in (State.FAILED, State.PENDING)
    ]


def _choose(client: Client, action: str, *rows: Any, query: str = "", **sent: str) -> Any:
    url = admin_url(type(rows[0]), "changelist") + query
    chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
    response = client.post(url, {**chosen, **sent}, follow=True)
    text_of(response)
    return response


def _act(client: Client, action: str, *rows: Any) -> list[str]:
    """What is said once the question is answered with yes."""
    response = _choose(client, action, *rows, sure="yes")
    return [str(message) for message in get_messages(response.wsgi_request)]


def _states(rows: list[OutboxItem]) -> list[str]:
    return [OutboxItem.objects.get(pk=row.pk).state for row in rows]


def test_what_was_given_up_is_sent_again_and_the_rest_is_named(
    admin: Client, rows: list[OutboxItem]
) -> None:
    said = _act(admin, "resend", *rows)

    assert _states(rows) == [State.PENDING, State.PENDING]
    assert said == [
        f"revocation of a token at the peer #{rows[1].pk}: The delivery has not failed.",
        "Sent again: 1 revocation.",
    ]
    assert LogEntry.objects.get().get_change_message() == "Sent again."


def test_what_is_under_way_is_stopped(admin: Client, rows: list[OutboxItem]) -> None:
    said = _act(admin, "cancel", *rows)

    assert _states(rows) == [State.FAILED, State.CANCELLED]
    assert said[-1] == "Cancelled: 1 revocation."


@pytest.mark.parametrize(
    ("action", "place", "question", "consequence"),
    [
        ("resend", 0, "Send 1 revocation again?", "asks the other site again to revoke our token"),
        ("cancel", 1, "Cancel 1 revocation?", "our token at the other site stays valid"),
    ],
)
def test_both_ask_first_and_name_what_they_are_about(
    admin: Client,
    rows: list[OutboxItem],
    action: str,
    place: int,
    question: str,
    consequence: str,
) -> None:
    text = text_of(_choose(admin, action, *rows))

    assert question in text
    assert consequence in text
    assert f'name="_selected_action" value="{rows[place].pk}"' in text
    assert f'name="_selected_action" value="{rows[1 - place].pk}"' not in text
    assert _states(rows) == [State.FAILED, State.PENDING]


@pytest.mark.parametrize(
    ("action", "state", "consequence"),
    [
        ("resend", State.FAILED, "this site sends a new code to the other site"),
        ("cancel", State.PENDING, "A code that was sent already is refused"),
    ],
)
def test_of_hand_overs_it_is_said_what_comes_of_them(
    admin: Client, link_as_a: Link, action: str, state: str, consequence: str
) -> None:
    row = OutboxItem.objects.create(peer=link_as_a.peer, link=link_as_a, state=state)

    text = text_of(_choose(admin, action, row))

    assert consequence in text
    assert "revocation" not in text


def test_what_cannot_be_done_is_said_without_a_question(
    admin: Client, rows: list[OutboxItem]
) -> None:
    response = _choose(admin, "resend", rows[1])

    said = [str(message) for message in get_messages(response.wsgi_request)]
    assert said == [
        f"revocation of a token at the peer #{rows[1].pk}: The delivery has not failed."
    ]


def test_question_and_answer_lead_back_to_the_list_as_it_was_filtered(
    admin: Client, rows: list[OutboxItem]
) -> None:
    url = admin_url(OutboxItem, "changelist") + "?state__exact=failed&q=music"

    question = _choose(admin, "resend", rows[0], query="?state__exact=failed&q=music")

    assert text_of(question).count(f'"{html.escape(url)}"') == 2
    sent = {"action": "resend", "_selected_action": rows[0].pk, "sure": "yes"}
    assert admin.post(url, sent)["Location"] == url


def test_only_so_many_at_once(
    admin: Client, rows: list[OutboxItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OutboxItemAdmin, "max_rows", 1)

    assert _act(admin, "resend", *rows) == ["Select at most 1 rows at once."]
    assert _states(rows) == [State.FAILED, State.PENDING]


@pytest.mark.threat("W7")
@pytest.mark.parametrize("action", ["resend", "cancel"])
def test_both_need_the_permission_to_change(
    action: str, staff: Callable[..., Client], rows: list[OutboxItem]
) -> None:
    looks_only = staff("view_outboxitem")

    assert f'value="{action}"' not in text_of(looks_only.get(admin_url(OutboxItem, "changelist")))
    _act(looks_only, action, *rows)

    assert _states(rows) == [State.FAILED, State.PENDING]


@pytest.mark.threat("W7")
def test_nothing_is_sent_again_by_get(admin: Client, rows: list[OutboxItem]) -> None:
    admin.get(
        admin_url(OutboxItem, "changelist"),
        {"action": "resend", "_selected_action": [rows[0].pk], "sure": "yes"},
    )

    assert _states(rows) == [State.FAILED, State.PENDING]


class TestAPausedPeer:
    @pytest.fixture(autouse=True)
    def _paused(self, peer: Peer, rows: list[OutboxItem]) -> None:
        peer.paused_at, peer.paused_reason = timezone.now(), Link.Reason.CREDENTIALS_REFUSED
        peer.save()
        OutboxItem.objects.filter(pk=rows[0].pk).update(reason=Link.Reason.CREDENTIALS_REFUSED)

    def test_it_says_so_in_the_list_and_on_its_page(self, admin: Client, peer: Peer) -> None:
        listed = text_of(admin.get(admin_url(Peer, "changelist")))
        page = text_of(admin.get(admin_url(Peer, "change", peer.pk)))

        assert "paused: the other site refused the credentials of this site" in listed
        assert "Delivery to this peer is paused: the other site refused" in page

    def test_it_is_resumed_with_what_it_had_refused(
        self, admin: Client, peer: Peer, rows: list[OutboxItem]
    ) -> None:
        said = _act(admin, "resume", peer)

        peer.refresh_from_db()
        assert peer.paused_at is None
        assert _states(rows) == [State.PENDING, State.PENDING]
        assert said == ["Delivery to Music is resumed. Sent again: 1 revocation."]

    def test_what_is_sent_again_to_it_goes_once_it_is_resumed(
        self, admin: Client, rows: list[OutboxItem]
    ) -> None:
        said = _act(admin, "resend", rows[0])

        assert said == [
            "To be sent when delivery to the peer is resumed: 1 revocation. Nothing is delivered "
            "to Music until it is resumed: the other site refused the credentials of this site."
        ]

    def test_resuming_needs_the_permission_to_change(
        self, staff: Callable[..., Client], peer: Peer
    ) -> None:
        _act(staff("view_peer"), "resume", peer)

        peer.refresh_from_db()
        assert peer.paused_at

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        ("changes", "goes_on"),
        [({"client_secret": "a-new-one"}, True), ({"name": "Music!"}, False)],
    )
    def test_correcting_our_registration_there_resumes_it(
        self, changes: dict[str, str], goes_on: bool, admin: Client, peer: Peer
    ) -> None:
        form = admin.get(admin_url(Peer, "change", peer.pk)).context["adminform"].form
        values = {name: form.initial.get(name) or "" for name in form.fields}
        values["enabled"] = "on"

        response = admin.post(admin_url(Peer, "change", peer.pk), {**values, **changes})

        assert response.status_code == 302
        peer.refresh_from_db()
        assert (peer.paused_at is None) == goes_on


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("T61")
@pytest.mark.parametrize(
    ("changes", "is_asked"), [({"client_secret": "a-new-one"}, True), ({"name": "Music!"}, False)]
)
def test_correcting_our_registration_there_ends_the_wait_of_links_that_it_has_refused(
    changes: dict[str, str], is_asked: bool, admin: Client, link_as_a: Link, peer: Peer
) -> None:
    in_an_hour = timezone.now() + timedelta(hours=1)
    Link.objects.update(refresh_refusals=3, refresh_not_before=in_an_hour)
    form = admin.get(admin_url(Peer, "change", peer.pk)).context["adminform"].form
    values = {name: form.initial.get(name) or "" for name in form.fields}
    values["enabled"] = "on"

    response = admin.post(admin_url(Peer, "change", peer.pk), {**values, **changes})

    assert response.status_code == 302
    link_as_a.refresh_from_db()
    assert (link_as_a.refresh_not_before is None) == is_asked


def test_the_page_of_one_says_how_it_stands_and_a_reason_only_where_there_is_one(
    admin: Client, rows: list[OutboxItem]
) -> None:
    failed, pending = rows
    OutboxItem.objects.filter(pk=failed.pk).update(reason="unreachable")

    page = text_of(admin.get(admin_url(OutboxItem, "change", failed.pk)))
    assert "failed: the other site could not be reached" in page
    assert "no reason" not in text_of(admin.get(admin_url(OutboxItem, "change", pending.pk)))
