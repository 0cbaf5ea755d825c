"""``reciprocal_links``: the links, for people and for programs."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from reciprocal_oauth.models import Link, Party, Peer, Step
from reciprocal_oauth.models.events import LinkEvent, record_event
from reciprocal_oauth.models.links import key_of_subject

CANARIES = ("token-of-the-peer", "refresh-of-the-peer", "our-secret-at-the-peer")


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("reciprocal_links", *arguments, stdout=out)
    text = out.getvalue()
    assert not any(canary in text for canary in CANARIES)
    return text


@pytest.fixture
def links(link_as_a: Link, make_peer: Any, user: Any, other_user: Any) -> list[Link]:
    """Alice at music and at tv, bob at music; the one at tv has ended."""
    link_as_a.account_name = "alice@music"
    link_as_a.save()
    bobs = Link.objects.create(
        user=other_user,
        peer=link_as_a.peer,
        account_key=key_of_subject("17"),
        subject="17",
        outgoing_state=Link.Outgoing.BROKEN,
        outgoing_reason=Link.Reason.REFRESH_REFUSED,
        incoming_state=Link.Incoming.ACTIVE,
    )
    ended = Link.objects.create(
        user=user, peer=make_peer("tv"), account_key="x", status=Link.Status.ENDED
    )
    return [link_as_a, bobs, ended]


def test_one_line_per_active_link(links: list[Link]) -> None:
    first, second = run().splitlines()

    assert first.startswith(f"{links[0].pk}  music  alice  alice@music  outgoing active ")
    assert "incoming offered" in first
    assert "since 2" in first
    assert "bob    17 " in second
    assert "outgoing broken (the other site no longer renews the access)" in second


def test_a_long_name_leaves_the_other_columns_in_sight(links: list[Link]) -> None:
    Link.objects.filter(pk=links[0].pk).update(account_name="a" * 255)

    assert f"  {'a' * 39}…  outgoing" in run()
    assert "a" * 255 in {each["account_name"] for each in json.loads(run("--json"))}


def test_ended_ones_too(links: list[Link]) -> None:
    assert len(run("--all").splitlines()) == 3
    assert "(unknown account)" in run("--all")


def test_of_an_ended_one_it_says_when_it_ended(links: list[Link], settings: Any) -> None:
    settings.TIME_ZONE = "UTC"
    ended_at = datetime(2026, 11, 23, 8, 30, 5, tzinfo=UTC)
    Link.objects.filter(pk=links[2].pk).update(ended_at=ended_at)

    (active, ended) = run("--all", "--user", "alice").splitlines()

    assert "since" in active
    assert ended.endswith("  ended 2026-11-23 08:30:05")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--user", "alice"), [0]),
        (("--user", "alice", "--all"), [0, 2]),
        (("--peer", "music"), [0, 1]),
        (("--peer", "tv"), []),
        (("--peer", "music", "--user", "bob"), [1]),
    ],
)
def test_filters(links: list[Link], arguments: tuple[str, ...], expected: list[int]) -> None:
    documents = json.loads(run(*arguments, "--json"))

    assert [each["id"] for each in documents] == [str(links[index].pk) for index in expected]


@pytest.mark.parametrize(
    ("arguments", "why"), [(("--user", "eve"), "no user “eve”"), (("--peer", "x"), "no peer “x”")]
)
@pytest.mark.django_db
def test_a_filter_that_matches_nothing_that_exists(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(CommandError, match=why):
        run(*arguments)


@pytest.mark.django_db
def test_no_links() -> None:
    assert run() == "There are no active links.\n"
    assert run("--all") == "There are no links.\n"
    assert json.loads(run("--json")) == []


def test_as_json(link_as_a: Link, user: Any) -> None:
    linked_at = datetime(2026, 11, 23, 8, 30, 5, tzinfo=UTC)
    Link.objects.update(
        linked_at=linked_at,
        last_used_at=datetime(2026, 11, 24, 17, 0, tzinfo=UTC),
        incoming_state=Link.Incoming.ACTIVE,
        incoming_scope="playback",
        generation=3,
        confirmed_generation=2,
    )

    (document,) = json.loads(run("--json"))

    assert document.pop("linked_at") == "2026-11-23T08:30:05+00:00"
    assert document.pop("last_used_at") == "2026-11-24T17:00:00+00:00"
    for name in ("created_at", "updated_at", "access_token_expires_at"):
        assert datetime.fromisoformat(document.pop(name)).tzinfo is not None
    assert document == {
        "id": str(link_as_a.pk),
        "peer": "music",
        "user": "alice",
        "user_id": str(user.pk),
        "subject": "",
        "account_name": "",
        "status": "active",
        "two_way": True,
        "outgoing_state": "active",
        "outgoing_reason": "",
        "outgoing_scope": "play",
        "incoming_state": "active",
        "incoming_reason": "",
        "incoming_scope": "playback",
        "incoming_scope_in_force": "playback",
        "offered_scope": "profile playback",
        "generation": 3,
        "confirmed_generation": 2,
        "ended_at": None,
    }


def add_history(link: Link) -> None:
    record_event(link, Step.A, party=Party.A)
    record_event(
        link,
        Step.E,
        party=Party.A,
        outcome=LinkEvent.Outcome.FAILED,
        detail="attempt 1: HTTP 503",
    )


def test_the_history(link_as_a: Link) -> None:
    add_history(link_as_a)

    _, first, second = run("--events").splitlines()
    (document,) = json.loads(run("--events", "--json"))

    assert first.split()[2:] == ["party", "A", "A", "ok"]
    assert second.endswith("party A  E  failed  attempt 1: HTTP 503")
    events = document["events"]
    assert datetime.fromisoformat(events[0].pop("at")) <= datetime.fromisoformat(
        events[1].pop("at")
    )
    assert events == [
        {"party": "A", "step": "A", "outcome": "ok", "generation": 0, "detail": ""},
        {
            "party": "A",
            "step": "E",
            "outcome": "failed",
            "generation": 0,
            "detail": "attempt 1: HTTP 503",
        },
    ]
    assert "events" not in json.loads(run("--json"))[0]


def test_no_query_per_link(peer: Peer, user: Any, django_assert_num_queries: Any) -> None:
    for number in range(5):
        add_history(Link.objects.create(user=user, peer=peer, account_key=str(number)))

    with django_assert_num_queries(2):
        run("--events", "--json")


def test_times_without_a_time_zone(link_as_a: Link, settings: Any) -> None:
    settings.USE_TZ = False

    (document,) = json.loads(run("--json"))

    assert datetime.fromisoformat(document["created_at"]).tzinfo is None
    assert "since 2" in run()


def test_an_account_cannot_spoil_a_terminal(link_as_a: Link) -> None:
    Link.objects.update(account_name="a\x1b]0;x\x07\nb")
    LinkEvent.objects.create(link=link_as_a, detail="\x1b[2J")

    text = run("--events")

    assert "\x1b" not in text
    assert len(text.splitlines()) == 2
