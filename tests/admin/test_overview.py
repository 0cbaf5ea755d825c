"""The overview: what it counts, who may see it, and what it costs."""

import html
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reciprocal_oauth.admin import statistics
from reciprocal_oauth.admin.peer_states import PeerState
from reciprocal_oauth.models import (
    AuthorizationRequest,
    Heartbeat,
    InboxItem,
    Link,
    OutboxItem,
    Peer,
)

from .conftest import admin_url, text_of

State = OutboxItem.State


@pytest.fixture(autouse=True)
def _no_midnight() -> Iterator[None]:
    """No day begins during a test."""
    today = timezone.make_aware(datetime.combine(timezone.localdate(), time(13)))
    with time_machine.travel(today, tick=True):
        yield


@pytest.fixture
def make_links(user: Any) -> Callable[..., None]:
    """Links of a peer that began, and perhaps ended, so many days ago; at noon."""

    def make(peer: Peer, *spans: tuple[int, int | None]) -> None:
        for begun, ended in spans:
            link = Link.objects.create(
                user=user,
                peer=peer,
                account_key=f"key-{Link.objects.count()}",
                status=Link.Status.ACTIVE if ended is None else Link.Status.ENDED,
                ended_at=None if ended is None else noon(ended),
            )
            Link.objects.filter(pk=link.pk).update(created_at=noon(begun))

    return make


def noon(days_ago: int) -> datetime:
    today = timezone.localdate() - timedelta(days=days_ago)
    return timezone.make_aware(datetime.combine(today, time(12)))


def hand_over(peer: Peer, state: str, days_ago: int = 1, seconds: float = 5, **values: Any) -> None:
    ended = state in (State.DONE, State.FAILED)
    finished = noon(days_ago)
    OutboxItem.objects.create(
        peer=peer,
        state=state,
        created_at=finished - timedelta(seconds=seconds),
        finished_at=finished if ended else None,
        **values,
    )


def page(client: Client) -> str:
    return html.unescape(text_of(client.get(admin_url(Peer, "overview"))))


def numbers(text: str) -> list[str]:
    return re.findall(r"<dd>(.*?)</dd>", text)


def attempt(user: Any, peer: Peer, **values: Any) -> AuthorizationRequest:
    return AuthorizationRequest.objects.create(
        user=user,
        peer=peer,
        state_hash=str(uuid.uuid4()),
        redirect_uri="https://a.example",
        **values,
    )


def test_links_over_time(peer: Peer, make_links: Callable[..., None]) -> None:
    make_links(peer, (100, None), (100, 50), (3, None), (3, 2), (0, None))

    days = statistics.overview_of_site().days

    assert len(days) == statistics.DAYS
    assert days[-1].date == timezone.localdate()
    assert [day.active for day in days[-5:]] == [1, 3, 2, 2, 3]
    assert [day.begun for day in days[-5:]] == [0, 2, 0, 0, 1]
    assert [day.ended for day in days[-5:]] == [0, 0, 1, 0, 0]
    assert days[0].active == 1


def test_a_day_begins_at_midnight_of_the_time_zone(
    peer: Peer, make_links: Callable[..., None]
) -> None:
    make_links(peer, (1, None))
    midnight = noon(0) - timedelta(hours=12)

    for moment, expected in ((midnight - timedelta(seconds=1), [1, 0]), (midnight, [0, 1])):
        Link.objects.update(created_at=moment)
        assert [day.begun for day in statistics.overview_of_site().days[-2:]] == expected


def test_hand_overs_that_have_ended(peer: Peer) -> None:
    for state, count in ((State.DONE, 3), (State.FAILED, 1), (State.CANCELLED, 1)):
        for _ in range(count):
            hand_over(peer, state)
    hand_over(peer, State.DONE, days_ago=statistics.DAYS)
    hand_over(peer, State.FAILED, kind=OutboxItem.Kind.REVOCATION)

    found = statistics.overview_of_site()

    assert (found.done, found.failed, found.success) == (3, 1, 75)
    assert (found.days[-2].done, found.days[-2].failed) == (3, 1)


def test_how_long_it_takes(peer: Peer) -> None:
    for seconds in range(1, 101):
        hand_over(peer, State.DONE, seconds=seconds)
    hand_over(peer, State.FAILED, seconds=10_000)

    found = statistics.overview_of_site()

    assert found.median == timedelta(seconds=50)
    assert found.p95 == timedelta(seconds=95)
    assert found.durations == [0, 9, 50, 41, 0, 0, 0]


def test_what_waits_and_what_was_given_up(
    peer: Peer, link_as_a: Link, make_peer: Callable[..., Peer]
) -> None:
    other = make_peer("tv")
    for state in (State.PENDING, State.CLAIMED, State.ACCEPTED, State.FAILED, State.DONE):
        hand_over(peer, state)
    hand_over(peer, State.PENDING, kind=OutboxItem.Kind.REVOCATION)
    for number, state in enumerate((State.PENDING, State.FAILED, State.FAILED)):
        InboxItem.objects.create(peer=peer, link=link_as_a, code_hash=str(number), state=state)

    of_music, of_other = statistics.overview_of_site().peers

    assert of_music == PeerState(
        peer, links=1, sent_waiting=3, sent_failed=1, received_waiting=1, received_failed=2
    )
    assert of_other == PeerState(other)


def test_the_page(admin: Client, peer: Peer, make_links: Callable[..., None]) -> None:
    make_links(peer, (3, None), (0, None))
    for state in (State.DONE, State.DONE, State.FAILED):
        hand_over(peer, state, seconds=90)

    text = page(admin)

    assert numbers(text) == ["2", "66.6 %", "1.5 min", "1.5 min"]
    assert text.count('<svg class="ro-chart" role="img" aria-labelledby=') == 4
    yesterday = f"{timezone.localdate() - timedelta(days=1):%m/%d/%Y}"
    assert f"<title>{yesterday}: 2 redeemed, 1 failed</title>" in text
    assert "1 min to 10 min: 2. " in text  # What is drawn, for those who do not see it.
    assert "Music: 0 pending, 1 failed. " in text
    given_up = f"?peer__id__exact={peer.pk}&kind__exact=handover&state__exact=failed"
    assert f'{given_up}">1</a>' in text


def test_a_peer_for_which_nothing_waits_is_not_drawn_among_those_for_which_something_does(
    admin: Client, peer: Peer, make_peer: Callable[..., Peer], link_as_a: Link
) -> None:
    make_peer("tv")
    hand_over(peer, State.FAILED)

    text = page(admin)

    assert "Music: 0 pending, 1 failed. " in text
    assert ": 0 pending, 0 failed" not in text


def test_what_the_numbers_lead_to(admin: Client, peer: Peer, link_as_a: Link) -> None:
    hand_over(peer, State.FAILED)
    hand_over(peer, State.ACCEPTED)

    for link in re.findall(r'href="([^"]+handover[^"]+)"', page(admin)):
        assert admin.get(link).context["cl"].result_count == 1


def test_nothing_yet(admin: Client, db: None) -> None:
    text = page(admin)

    assert "nobody has connected an account" in text
    assert "ro-chart" not in text


def test_links_without_any_hand_over(admin: Client, peer: Peer, link_as_a: Link) -> None:
    text = page(admin)

    assert numbers(text) == ["1", "–", "–", "–"]
    assert "No hand-over of this site ended in this time." in text


@pytest.fixture
def six_attempts(peer: Peer, link_as_a: Link, user: Any) -> None:
    """One that led to a link, one under way, and four that failed, one of them long ago."""
    now = timezone.now()
    attempt(user, peer, answered_at=now, link=link_as_a)
    attempt(user, peer)
    attempt(user, peer, problem="scope", error="invalid_scope")
    attempt(user, peer, problem="scope", created_at=now - timedelta(days=8))
    attempt(user, peer, created_at=now - timedelta(hours=1))
    attempt(user, peer, problem="scope", created_at=now - timedelta(days=31))


def test_attempts_to_connect(six_attempts: None) -> None:
    found = statistics.overview_of_site()

    assert (found.attempts.started, found.attempts.connected, found.attempts.failed) == (5, 1, 3)
    assert found.attempts.failures == [("scope", 2), ("no_answer", 1)]
    assert [each.failed_attempts for each in found.peers] == [2]


def test_the_reasons_lead_to_the_attempts(admin: Client, six_attempts: None) -> None:
    text = page(admin)

    assert "Started at this site in 30 days: 5. Connected: 1. Failed: 3." in text
    lists = dict(re.findall(r'href="([^"]+authorizationrequest/\?outcome=\w+)">(\d+)<', text))
    assert sorted(lists.values()) == ["1", "2"]
    for address, count in lists.items():
        # The list goes back further than the overview.
        assert admin.get(address).context["cl"].result_count >= int(count)


def test_attempts_are_counted_for_all_and_lead_to_the_list_only_with_its_permission(
    staff: Callable[..., Client], six_attempts: None
) -> None:
    text = page(staff("view_peer", "view_link"))

    assert "Failed: 3." in text
    assert "authorizationrequest" not in text


def test_broken_directions_and_the_last_success_of_a_peer(
    peer: Peer, make_links: Callable[..., None]
) -> None:
    make_links(peer, (3, None), (2, None), (1, 0))
    linked = noon(1)
    Link.objects.update(outgoing_state="broken", incoming_state="broken", linked_at=linked)
    Link.objects.filter(account_key="key-1").update(incoming_state="active", linked_at=noon(2))

    (found,) = statistics.overview_of_site().peers

    assert (found.outgoing_broken, found.incoming_broken) == (2, 1)
    assert found.last_linked_at == linked


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "working"),
        ({"enabled": False}, "disabled"),
        ({"reverse_refused_at": noon(1)}, "one way only"),
        ({"paused_at": noon(1), "paused_reason": "credentials_refused"}, "paused since"),
    ],
    ids=["working", "disabled", "one way", "paused"],
)
def test_how_a_peer_is(
    admin: Client, peer: Peer, link_as_a: Link, values: dict[str, Any], words: str
) -> None:
    Peer.objects.update(**values)

    assert f'<td class="ro-peer-state">{words}' in page(admin)


def test_broken_links_are_counted_and_need_no_attention_of_an_administrator(
    admin: Client, peer: Peer, link_as_a: Link
) -> None:
    """Only the people can connect again."""
    Link.objects.update(outgoing_state="broken")

    assert '<td class="ro-peer-state">working' in page(admin)
    assert statistics.overview_of_site().peers[0].outgoing_broken == 1


def test_a_peer_that_works_one_way_needs_attention_too(
    admin: Client, peer: Peer, link_as_a: Link
) -> None:
    Peer.objects.update(reverse_refused_at=noon(1))
    hand_over(peer, State.FAILED)

    assert '<td class="ro-peer-state">needs attention' in page(admin)


def test_a_peer_with_a_failed_hand_over_does_not_count_as_working(
    admin: Client, peer: Peer, link_as_a: Link
) -> None:
    hand_over(peer, State.FAILED)

    assert '<td class="ro-peer-state">needs attention' in page(admin)


@pytest.mark.parametrize(
    ("problem", "words"), [("scope", "needs attention"), ("denied", "working")]
)
def test_a_peer_that_nobody_can_connect_does_not_count_as_working(
    admin: Client, peer: Peer, link_as_a: Link, user: Any, problem: str, words: str
) -> None:
    AuthorizationRequest.objects.create(
        user=user, peer=peer, state_hash="1", redirect_uri="x", problem=problem
    )

    assert f'<td class="ro-peer-state">{words}' in page(admin)


def test_a_site_without_a_worker_is_told_so(
    admin: Client, peer: Peer, link_as_a: Link, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER": "none"}
    hand_over(peer, State.PENDING)
    seen = Heartbeat.objects.create(kind="command", host="worker-1", seen_at=noon(3))

    text = page(admin)

    assert "No worker runs, so nothing is delivered" in text
    assert '<td class="ro-peer-state">waiting: no worker runs' in text
    assert "<td>worker-1</td>" in text

    Heartbeat.objects.filter(pk=seen.pk).update(seen_at=timezone.now())
    assert "No worker runs" not in page(admin)


def test_a_site_without_peers_needs_no_worker(admin: Client, settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DISPATCHER": "none"}

    assert "No worker runs" not in page(admin)


def test_the_day_of_a_pause_is_that_of_the_reader(
    admin: Client, peer: Peer, link_as_a: Link, settings: Any
) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    paused = datetime(2026, 5, 1, 23, 30, tzinfo=UTC)
    Peer.objects.update(paused_at=paused, paused_reason="credentials_refused")

    assert "paused since 05/02/2026" in page(admin)


def test_from_right_to_left(admin: Client, peer: Peer, link_as_a: Link, settings: Any) -> None:
    settings.LANGUAGE_CODE = "ar"

    assert '<text class="ro-chart-text" x="100%"' in page(admin)


@pytest.mark.threat("W3")
def test_markup_in_the_name_of_a_peer(admin: Client, peer: Peer, link_as_a: Link) -> None:
    Peer.objects.update(name="<script>alert(1)</script>")
    hand_over(peer, State.FAILED)

    assert "<script>alert(1)" not in text_of(admin.get(admin_url(Peer, "overview")))


@pytest.mark.threat("W7")
@pytest.mark.parametrize("permission", ["view_peer", "view_link"])
def test_it_needs_both_permissions_to_look(
    staff: Callable[..., Client], peer: Peer, permission: str
) -> None:
    client = staff(permission)

    assert client.get(admin_url(Peer, "overview")).status_code == 403
    pages = [reverse("admin:app_list", args=["reciprocal_oauth"])]
    if permission == "view_peer":
        pages.append(admin_url(Peer, "changelist"))
    for url in pages:
        assert admin_url(Peer, "overview") not in text_of(client.get(url))


def test_the_list_of_peers_and_the_index_lead_to_it(
    staff: Callable[..., Client], peer: Peer
) -> None:
    client = staff("view_peer", "view_link")

    for url in (
        admin_url(Peer, "changelist"),
        reverse("admin:app_list", args=["reciprocal_oauth"]),
    ):
        assert f'href="{admin_url(Peer, "overview")}"' in text_of(client.get(url))


@pytest.mark.parametrize("queue", ["outboxitem", "inboxitem"])
def test_its_numbers_lead_to_the_lists_that_one_may_see(
    staff: Callable[..., Client], peer: Peer, queue: str
) -> None:
    page = text_of(
        staff("view_peer", "view_link", f"view_{queue}").get(admin_url(Peer, "overview"))
    )

    for each in ("outboxitem", "inboxitem"):
        listed = reverse(f"admin:reciprocal_oauth_{each}_changelist")
        assert (f'<td><a href="{listed}?' in page) == (each == queue)


def test_the_number_of_queries_is_fixed(
    peer: Peer,
    make_peer: Callable[..., Peer],
    make_links: Callable[..., None],
    django_assert_num_queries: Any,
) -> None:
    for number in range(3):
        other = make_peer(f"peer-{number}")
        make_links(other, (number, None))
        hand_over(other, State.DONE, days_ago=number)
        hand_over(other, State.FAILED, days_ago=number)

    with django_assert_num_queries(14):
        statistics.overview_of_site()


def test_without_time_zones(admin: Client, peer: Peer, link_as_a: Link, settings: Any) -> None:
    settings.USE_TZ = False

    assert admin.get(admin_url(Peer, "overview")).status_code == 200
