"""Whatever a peer or a person does over and over, the tables and the pages stay small."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.maintenance.pruning import MAX_FINISHED_PER_LINK
from reciprocal_oauth.models import (
    AuthorizationRequest,
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    Party,
    Peer,
    ReciprocalCode,
    Step,
)
from reciprocal_oauth.models.events import MAX_EVENTS_PER_LINK, SHOWN_EVENTS_PER_LINK, record_event
from reciprocal_oauth.party_a.authorization import MAX_VISITS

from .provider.conftest import reciprocal_code, redeem  # noqa: F401

pytestmark = [pytest.mark.django_db, pytest.mark.threat("D90")]


def lines(link: Link, count: int, *, at: datetime | None = None) -> None:
    """``count`` lines of the history, a second after each other."""
    at = at or timezone.now() - timedelta(days=1)
    LinkEvent.objects.bulk_create(
        LinkEvent(link=link, step=Step.F, party=Party.A, at=at + timedelta(seconds=number))
        for number in range(count)
    )


# The history


@pytest.mark.rfc("6749", "4.1.2")
def test_a_code_that_is_replayed_over_and_over_has_one_line(
    link_as_a: Link,
    reciprocal_code: Callable[..., str],  # noqa: F811
    redeem: Callable[..., Any],  # noqa: F811
) -> None:
    code = reciprocal_code()
    assert redeem(code).status_code == 200
    before = link_as_a.events.count()

    assert {redeem(code).status_code for _time in range(20)} == {400}

    assert link_as_a.events.count() == before + 1
    assert ReciprocalCode.objects.get(replays__gt=0).replays == 20


@pytest.mark.parametrize("step", [Step.NONE, Step.CONSENT, Step.F])
def test_a_history_keeps_its_newest_lines(link_as_a: Link, step: Step) -> None:
    lines(link_as_a, MAX_EVENTS_PER_LINK)

    for _time in range(3):
        newest = record_event(link_as_a, step)

    assert link_as_a.events.count() == MAX_EVENTS_PER_LINK
    assert link_as_a.events.last() == newest


def test_a_history_that_was_long_before_is_cut(link_as_a: Link) -> None:
    lines(link_as_a, 2 * MAX_EVENTS_PER_LINK - 1)

    record_event(link_as_a, Step.G)

    assert link_as_a.events.count() == MAX_EVENTS_PER_LINK


def test_another_links_history_is_its_own(link_as_a: Link, other_user: Any, peer: Peer) -> None:
    other = Link.objects.create(user=other_user, peer=peer, account_key="other")
    lines(other, MAX_EVENTS_PER_LINK)

    record_event(link_as_a, Step.G)

    assert other.events.count() == MAX_EVENTS_PER_LINK


@pytest.mark.parametrize("page", ["", "status/"])
def test_the_page_shows_the_newest_lines(browser: Client, link_as_a: Link, page: str) -> None:
    lines(link_as_a, 20_000)

    html = browser.get(f"/connections/links/{link_as_a.pk}/{page}").content.decode()

    assert html.count("data-outcome=") == SHOWN_EVENTS_PER_LINK
    assert "Only the newest entries are shown." in html
    assert len(html) < 150_000


def test_a_short_history_is_shown_whole(browser: Client, link_as_a: Link) -> None:
    lines(link_as_a, SHOWN_EVENTS_PER_LINK)

    html = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    assert html.count("data-outcome=") == SHOWN_EVENTS_PER_LINK
    assert "Only the newest entries are shown." not in html


def test_old_lines_of_an_active_link_go_and_its_newest_stay(link_as_a: Link) -> None:
    old = timezone.now() - timedelta(days=400)
    lines(link_as_a, SHOWN_EVENTS_PER_LINK + 30, at=old)

    call_command("reciprocal_prune", verbosity=0)

    kept = list(link_as_a.events.values_list("at", flat=True))
    assert len(kept) == SHOWN_EVENTS_PER_LINK
    assert kept[0] == old + timedelta(seconds=30)


# The list


def test_the_list_shows_the_newest_of_what_has_ended(
    browser: Client, user: Any, peer: Peer
) -> None:
    now = timezone.now()
    for number in range(30):
        Link.objects.create(
            user=user,
            peer=peer,
            account_key=f"account-{number}",
            status=Link.Status.ENDED,
            ended_at=now - timedelta(hours=number),
        )

    ended = browser.get("/connections/").context["ended"]

    assert [link.account_key for link in ended] == [f"account-{n}" for n in range(20)]


# Visits to a peer


def test_pressing_connect_over_and_over_leaves_a_few_visits(browser: Client, peer: Peer) -> None:
    for _time in range(MAX_VISITS + 10):
        response = browser.post(f"/connections/{peer.slug}/connect/")

    assert response.status_code == 303
    assert AuthorizationRequest.objects.count() == MAX_VISITS


def test_the_newest_visit_can_come_back(browser: Client, peer: Peer) -> None:
    for _time in range(MAX_VISITS + 1):
        location = browser.post(f"/connections/{peer.slug}/connect/").headers["Location"]
    state = location.partition("state=")[2].partition("&")[0]

    back = browser.get(
        f"/connections/{peer.slug}/callback/", {"state": state, "error": "access_denied"}
    )

    assert back.status_code == 303


def test_visits_of_others_and_what_is_being_worked_on_stay(
    browser: Client, peer: Peer, user: Any, other_user: Any, make_peer: Callable[..., Peer]
) -> None:
    now = timezone.now()
    stay = [(other_user, peer, None), (user, make_peer("other"), None), (user, peer, now)]
    for number, (who, where, answered) in enumerate(stay):
        AuthorizationRequest.objects.create(
            user=who,
            peer=where,
            state_hash=str(number),
            redirect_uri="https://testserver/",
            created_at=now - timedelta(hours=1),
            answered_at=answered,
        )

    for _time in range(MAX_VISITS + 5):
        browser.post(f"/connections/{peer.slug}/connect/")

    assert AuthorizationRequest.objects.filter(state_hash__in=["0", "1", "2"]).count() == 3


# Hand-overs and codes


@pytest.mark.parametrize("model", [OutboxItem, InboxItem, ReciprocalCode])
def test_what_is_over_goes_early_where_a_link_has_very_much_of_it(
    link_as_a: Link, model: Any, other_user: Any
) -> None:
    now = timezone.now()
    other = Link.objects.create(user=other_user, peer=link_as_a.peer, account_key="other")

    def make(link: Link, count: int, **values: Any) -> None:
        model.objects.bulk_create(
            model(
                link=link,
                created_at=now - timedelta(seconds=number),
                **{name: value(f"{link.pk}-{number}") for name, value in values.items()},
            )
            for number in range(count)
        )

    if model is ReciprocalCode:
        values = {
            "code_hash": lambda name: name[-40:] + str(len(name)),
            "generation": lambda name: 1,
            "state": lambda name: ReciprocalCode.State.REVOKED,
            "expires_at": lambda name: now,
        }
    else:
        values = {
            "peer_id": lambda name: link_as_a.peer_id,
            "state": lambda name: model.State.DONE,
            "finished_at": lambda name: now,
        }
        if model is InboxItem:
            values["code_hash"] = lambda name: name[-60:]
    make(link_as_a, MAX_FINISHED_PER_LINK + 20, **values)
    make(other, 10, **values)

    call_command("reciprocal_prune", verbosity=0)

    assert model.objects.filter(link=link_as_a).count() == MAX_FINISHED_PER_LINK
    assert model.objects.filter(link=other).count() == 10
    oldest = model.objects.filter(link=link_as_a).order_by("created_at").first()
    assert oldest.created_at == now - timedelta(seconds=MAX_FINISHED_PER_LINK - 1)


@pytest.mark.threat("B120")
def test_codes_that_a_peer_sends_only_to_refuse_them_go_early_as_well(link_as_a: Link) -> None:
    now = timezone.now()
    InboxItem.objects.bulk_create(
        InboxItem(
            peer=link_as_a.peer,
            link=link_as_a,
            code_hash=str(number),
            state=state,
            created_at=now - timedelta(seconds=number),
            finished_at=now,
        )
        for number, state in enumerate(
            [InboxItem.State.DONE, InboxItem.State.FAILED] * MAX_FINISHED_PER_LINK
        )
    )

    call_command("reciprocal_prune", verbosity=0)

    assert InboxItem.objects.count() == MAX_FINISHED_PER_LINK


def test_a_redeemed_code_stays_however_many_came_after(link_as_a: Link, settings: Settings) -> None:
    now = timezone.now()
    states = [ReciprocalCode.State.REDEEMED] + [
        ReciprocalCode.State.REVOKED
    ] * MAX_FINISHED_PER_LINK
    ReciprocalCode.objects.bulk_create(
        ReciprocalCode(
            link=link_as_a,
            code_hash=str(number),
            generation=1,
            state=state,
            expires_at=now,
            created_at=now - timedelta(days=1) + timedelta(seconds=number),
        )
        for number, state in enumerate(states)
    )

    call_command("reciprocal_prune", verbosity=0)

    assert ReciprocalCode.objects.filter(state=ReciprocalCode.State.REDEEMED).exists()
