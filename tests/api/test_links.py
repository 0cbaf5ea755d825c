"""The person's links: seen, changed, ended, sent again."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Party, Peer, Step
from reciprocal_oauth.models.events import record_event
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.party_a.scope_changes import change
from reciprocal_oauth.party_b.link_opening import open_link
from reciprocal_oauth.secret import Secret

from ..columns import columns_of
from ..fakes import FakePeer
from ..party_a.visits import call_api, connect, link_both_ways
from ..rules import Rules
from .conftest import Api, problem, shown

SECRETS = ("token-of-the-peer", "refresh-of-the-peer", "our-secret", "secret-of-the-peer")


def named(scopes: list[dict[str, str]]) -> set[str]:
    return {scope["name"] for scope in scopes}


# Seen


def test_a_link_says_what_each_side_may_do(api: Api, link: Link) -> None:
    response = api.get(f"/links/{link.pk}/")

    assert response.status_code == 200
    said = response.said
    assert said["url"] == f"http://testserver/api/reciprocal/links/{link.pk}/"
    assert said["peer"] == {
        "slug": "music",
        "name": "Music",
        "homepage": "",
        "description": "",
        "logo_url": "",
        "policy_uri": "",
        "tos_uri": "",
    }
    assert (said["status"], said["is_two_way"], said["next_step"]) == ("active", True, None)
    assert said["text"] == "Connected both ways"
    assert said["incoming"]["state"] == said["outgoing"]["state"] == "active"
    assert {"name": "playback", "description": "Control what is playing"} in (
        said["incoming"]["scopes"]
    )
    assert said["outgoing"]["scopes"] == [
        {"name": "play", "description": "Access that the other site calls “play”"}
    ]
    assert said["question"] is None
    assert named(said["choices"]) == {"profile", "playback"}
    assert response["Cache-Control"] == "no-store"


def test_a_link_says_which_steps_led_to_it(api: Api, link: Link) -> None:
    flow = api.get(f"/links/{link.pk}/").said["flow"]

    assert (flow["party"], flow["is_under_way"]) == ("A", False)
    assert [step["step"] for step in flow["steps"]] == [*"ABCD", "consent", *"EFG"]
    assert {step["state"] for step in flow["steps"]} == {"done"}
    assert all(step["at"] for step in flow["steps"])


def test_the_steps_say_nothing_of_what_only_an_administrator_can_use(api: Api, link: Link) -> None:
    change(link, ["profile"])
    failed = LinkEvent.Outcome.FAILED
    record_event(link, Step.E, party=Party.A, outcome=failed, detail="attempt 1: HTTP 503")

    steps = api.get(f"/links/{link.pk}/").said["flow"]["steps"]

    (step,) = [step for step in steps if step["state"] == "running"]
    assert (step["step"], step["explanation"]) == (
        "E",
        "The last attempt failed. This site tries again by itself.",
    )


def test_a_broken_direction_says_why_and_what_helps(api: Api, link: Link) -> None:
    Link.objects.update(outgoing_state="broken", outgoing_reason="refresh_refused")

    said = api.get(f"/links/{link.pk}/").said

    assert (said["outgoing"]["state"], said["outgoing"]["reason"]) == ("broken", "refresh_refused")
    assert said["outgoing"]["explanation"] == "Music no longer renews the access."
    assert said["outgoing"]["advice"]
    assert said["incoming"]["reason"] is None
    assert said["next_step"] == "connect"


def test_a_side_may_do_only_what_it_may_do_now(api: Api, link: Link) -> None:
    Peer.objects.update(allowed_scope="profile")
    assert named(api.get(f"/links/{link.pk}/").said["incoming"]["scopes"]) == {"profile"}

    api.delete(f"/links/{link.pk}/")

    said = api.get(f"/links/{link.pk}/").said
    assert said["incoming"]["scopes"] == said["outgoing"]["scopes"] == []


def test_the_account_there_is_named_if_it_is_known(api: Api, link: Link) -> None:
    assert api.get(f"/links/{link.pk}/").said["account"] is None

    Link.objects.update(subject="42", account_name="alice@music")

    assert api.get(f"/links/{link.pk}/").said["account"] == {"id": "42", "name": "alice@music"}


def test_the_list_has_the_links_in_force_unless_it_is_asked_for_the_others(
    api: Api, link: Link, make_peer: Callable[..., Peer]
) -> None:
    ended = Link.objects.create(
        user=link.user, peer=make_peer("heating"), account_key="x", status="ended"
    )

    assert [each["id"] for each in api.get("/links/").said["results"]] == [str(link.pk)]
    assert [each["id"] for each in api.get("/links/?status=ended").said["results"]] == [
        str(ended.pk)
    ]
    for wrong in ("gone", ""):
        assert problem(api.get(f"/links/?status={wrong}")) == (400, "invalid")


def test_a_list_comes_in_pages_that_lead_to_each_other(
    api: Api, peer: Peer, user: Any, other_user: Any
) -> None:
    for number in range(25):
        Link.objects.create(user=user, peer=peer, account_key=str(number))
    Link.objects.create(user=other_user, peer=peer, account_key="x")

    first = api.get("/links/").said
    second = api.get(first["next"].partition("/api/reciprocal")[2]).said

    assert [len(page["results"]) for page in (first, second)] == [20, 5]
    assert (first["previous"], second["next"]) == (None, None)
    ids = [each["id"] for page in (first, second) for each in page["results"]]
    assert len(set(ids)) == 25
    newest_first = [str(pk) for pk in user.reciprocal_links.values_list("pk", flat=True)]
    assert ids == newest_first


@pytest.mark.threat("A8")
@pytest.mark.parametrize("size", ["0", "101", "-1", "1000000", "many", "", "1.5", "²"])
def test_a_page_has_a_size_within_bounds(api: Api, size: str) -> None:
    response = api.get(f"/links/?page_size={size}")

    assert problem(response) == (400, "invalid")
    assert [error["field"] for error in response.said["errors"]] == ["page_size"]


@pytest.mark.parametrize(
    "cursor", ["x", "cD1tYWRlLXVw", "cD0lMDA=", "bz05OTk5OTk5OTk5OTk5", "cD0yMDI2LTk5LTk5"]
)
def test_a_cursor_that_is_made_up_leads_nowhere(api: Api, link: Link, cursor: str) -> None:
    """``p=made-up``, ``p=%00``, an offset of a million million, and a day that is none."""
    for path in ("/links/", "/peers/"):
        response = api.get(f"{path}?cursor={cursor}")
        assert response.status_code in (200, 404)
        if response.status_code == 404:
            assert problem(response) == (404, "not_found")


def test_the_list_makes_as_many_queries_for_ten_links_as_for_one(
    api: Api,
    link: Link,
    user: Any,
    make_peer: Callable[..., Peer],
    django_assert_num_queries: Any,
) -> None:
    with CaptureQueriesContext(connection) as one:
        api.get("/links/")
    for number in range(9):
        Link.objects.create(
            user=user,
            peer=make_peer(f"peer-{number}"),
            account_key="x",
            outgoing_state="active",
            incoming_state=["offered", "active", "broken"][number % 3],
            offered_scope="profile",
            incoming_scope="profile",
        )

    with django_assert_num_queries(len(one)):
        assert len(api.get("/links/").said["results"]) == 10


@pytest.mark.threat("A7")
def test_no_answer_has_a_token_a_code_or_a_secret(api: Api, link: Link) -> None:
    answers = [
        api.get("/peers/"),
        api.get("/links/"),
        api.get(f"/links/{link.pk}/"),
        api.choose(link, "profile"),
        api.delete(f"/links/{link.pk}/"),
        api.get(f"/links/{link.pk}/"),
    ]

    said = b"".join(answer.content for answer in answers).decode()
    assert not [secret for secret in SECRETS if secret in said]


# Another's


@pytest.mark.threat("A1")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("get", "", None),
        ("delete", "", None),
        ("post", "consent/", {"scopes": ["profile"]}),
        ("put", "scopes/", {"scopes": ["profile"]}),
        ("post", "retry/", None),
    ],
)
def test_the_link_of_another_person_does_not_exist(
    method: str,
    path: str,
    body: Any,
    link: Link,
    other_user: Any,
    api_with: Callable[..., Api],
) -> None:
    """The same answer as for one that there is not, whatever the token."""
    other_user.is_staff = other_user.is_superuser = True
    other_user.save()
    before = columns_of(Link.objects.get())
    bobs = api_with(of=other_user)
    made_up = "00000000-0000-4000-8000-000000000000"

    for pk in (link.pk, made_up):
        response = bobs.call(method, f"/links/{pk}/{path}", body)
        assert problem(response) == (404, "not_found")
    assert bobs.get("/links/").said["results"] == []
    assert columns_of(Link.objects.get()) == before


# Changed


def test_less_takes_effect_at_once_and_the_peer_is_told(
    browser: Client, fake_peer: FakePeer, application: Any, api: Api
) -> None:
    link_both_ways(browser, fake_peer, application)
    link = Link.objects.get()

    response = api.choose(link, "profile")

    assert response.status_code == 200
    assert named(response.said["incoming"]["scopes"]) == {"profile"}
    assert response.said["incoming"]["state"] == "active"
    assert response.said["incoming"]["pending"]["state"] == "granted"
    assert response.said["flow"]["is_under_way"] is True
    assert link.outbox.filter(state=OutboxItem.State.PENDING).count() == 1


def test_what_is_chosen_twice_counts_once(api: Api, link: Link) -> None:
    response = api.choose(link, "profile", "profile")

    assert response.status_code == 200
    assert Link.objects.get().incoming_scope == "profile"


def test_the_same_choice_again_changes_nothing(api: Api, link: Link) -> None:
    """Also not what cannot be chosen."""
    Link.objects.update(incoming_scope="openid profile")
    before = columns_of(Link.objects.get())

    response = api.choose(link, "profile")

    assert response.status_code == 200
    assert columns_of(Link.objects.get()) == before


@pytest.mark.threat("A9")
def test_a_page_that_was_left_open_allows_nothing_again(
    api: Api, front_end: Api, link: Link
) -> None:
    url = f"/links/{link.pk}/scopes/"
    seen = api.get(f"/links/{link.pk}/").said
    wanted = sorted(named(seen["choices"]))
    now = front_end.choose(link, "profile").said
    before = columns_of(Link.objects.get())

    response = api.put(url, {"scopes": wanted, "shown": seen["shown"]})

    assert problem(response) == (409, "changed")
    assert columns_of(Link.objects.get()) == before
    response = api.put(url, {"scopes": wanted, "shown": now["shown"]})
    assert response.status_code == 200
    assert set(Link.objects.get().incoming_scope.split()) == set(wanted)


@pytest.mark.threat("L40")
@pytest.mark.parametrize("path", ["scopes", "consent"])
def test_what_was_chosen_for_one_account_is_not_allowed_to_another(
    browser: Client, api: Api, link: Link, path: str
) -> None:
    """The peer does not say whose account it is."""
    connect(browser, reciprocal="profile playback")
    seen = api.get(f"/links/{link.pk}/").said
    connect(browser, reciprocal="profile playback")
    if path == "scopes":
        now = {"incoming_state": "active", "incoming_scope": "profile playback"}
        Link.objects.update(**now, outgoing_grant=None)
        seen = api.get(f"/links/{link.pk}/").said
        Link.objects.update(**now, outgoing_grant=uuid4())
    before = columns_of(Link.objects.get())

    shown = seen["shown"] if path == "scopes" else seen["question"]["shown"]
    method = "put" if path == "scopes" else "post"
    body = {"scopes": ["profile"], "shown": shown}
    response = api.call(method, f"/links/{link.pk}/{path}/", body)

    assert problem(response) == (409, "changed")
    assert columns_of(Link.objects.get()) == before


@pytest.mark.threat("L40")
@pytest.mark.parametrize("path", ["scopes", "consent"])
def test_it_must_be_said_what_the_person_was_shown(api: Api, link: Link, path: str) -> None:
    if path == "consent":
        Link.objects.update(incoming_state="offered", offered_scope="profile")
    before = columns_of(Link.objects.get())
    method = "put" if path == "scopes" else "post"

    response = api.call(method, f"/links/{link.pk}/{path}/", {"scopes": ["profile"]})

    assert problem(response) == (400, "invalid")
    assert [error["field"] for error in response.said["errors"]] == ["shown"]
    assert columns_of(Link.objects.get()) == before


@pytest.mark.threat("A9")
@pytest.mark.parametrize("path", ["scopes", "consent"])
def test_what_is_not_offered_cannot_be_chosen(api: Api, link: Link, path: str) -> None:
    if path == "consent":
        Link.objects.update(incoming_state="offered", offered_scope="profile")
    before = columns_of(Link.objects.get())
    choose = api.choose if path == "scopes" else api.answer

    response = choose(link, "profile", "history")

    assert problem(response) == (409, "not_offered")
    assert "history" in response.said["detail"]
    assert columns_of(Link.objects.get()) == before


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"scopes": []}, ["scopes"]),
        ({}, ["scopes"]),
        ({"scopes": "profile"}, ["scopes"]),
        ({"scopes": None}, ["scopes"]),
        ({"scopes": ["profile", 1, None]}, ["scopes.1", "scopes.2"]),
        ({"scopes": ["a" * 256]}, ["scopes.0"]),
        ({"scopes": ["a b"]}, ["scopes.0"]),
        ({"scopes": [""]}, ["scopes.0"]),
        ({"scopes": ["profile\n"]}, ["scopes.0"]),
        ({"scopes": ["profile"] * 101}, ["scopes"]),
        ({"scopes": ["profile"], "shown": ["profile"]}, ["shown"]),
        ({"scopes": ["profile"], "shown": "<b>"}, ["shown"]),
        ([], [""]),
        ("profile", [""]),
    ],
)
def test_a_body_that_is_wrong_is_refused_and_says_where(
    api: Api, link: Link, body: Any, fields: list[str]
) -> None:
    before = columns_of(Link.objects.get())

    if isinstance(body, dict):
        body = {"shown": shown(link), **body}

    response = api.put(f"/links/{link.pk}/scopes/", body)

    assert problem(response) == (400, "invalid")
    assert [error["field"] for error in response.said["errors"]] == fields
    assert all(error["detail"] and error["code"] for error in response.said["errors"])
    assert columns_of(Link.objects.get()) == before


@pytest.mark.parametrize(
    "values",
    [
        {"status": "ended", "incoming_state": "ended"},
        {"incoming_state": "denied"},
        {"incoming_state": "broken", "incoming_reason": "revoked_here"},
        {"incoming_state": "broken", "incoming_reason": "expired"},
    ],
)
def test_where_nothing_can_be_changed_it_says_so(
    api: Api, link: Link, values: dict[str, str]
) -> None:
    Link.objects.update(**values)

    response = api.choose(link, "profile")

    assert problem(response) == (409, "not_changeable")
    assert api.get(f"/links/{link.pk}/").said["choices"] == []


# Answered


def test_the_question_of_a_link_is_seen_and_answered(browser: Client, peer: Peer, api: Api) -> None:
    connect(browser)
    link = Link.objects.get()
    question = api.get(f"/links/{link.pk}/").said["question"]

    assert question["page"] == f"http://testserver/connections/links/{link.pk}/consent/"
    names = [each["name"] for each in question["scopes"]]
    answer = {"scopes": names, "shown": question["shown"]}
    response = api.post(f"/links/{link.pk}/consent/", answer)

    assert response.status_code == 200
    assert response.said["incoming"]["state"] == "granted"
    assert response.said["question"] is None
    assert link.outbox.get().state == OutboxItem.State.PENDING


def test_no_scope_is_a_no(browser: Client, peer: Peer, api: Api) -> None:
    connect(browser)
    link = Link.objects.get()

    response = api.answer(link)

    assert response.said["incoming"]["state"] == "denied"
    assert response.said["next_step"] == "finish"
    assert not link.outbox.exists()


def test_where_nothing_is_asked_nothing_can_be_answered(api: Api, link: Link) -> None:
    response = api.answer(link, "profile")

    assert problem(response) == (409, "no_question")


# Ended


def test_a_link_that_is_ended_ends_here_at_once_and_there_soon(
    browser: Client, fake_peer: FakePeer, application: Any, api: Api
) -> None:
    token = link_both_ways(browser, fake_peer, application)["access_token"]
    link = Link.objects.get()
    assert call_api(token) == 200

    response = api.delete(f"/links/{link.pk}/")

    assert (response.status_code, response.content) == (204, b"")
    assert call_api(token) != 200
    assert link.outbox.filter(kind=OutboxItem.Kind.REVOCATION).count() == 1
    said = api.get(f"/links/{link.pk}/").said
    assert (said["status"], said["incoming"]["reason"]) == ("ended", "revoked_here")


def test_ending_it_twice_is_no_error(api: Api, link: Link) -> None:
    assert [api.delete(f"/links/{link.pk}/").status_code for _ in "ab"] == [204, 204]
    assert link.outbox.filter(kind=OutboxItem.Kind.REVOCATION).count() == 1


# Sent again


@pytest.fixture
def given_up(link: Link) -> OutboxItem:
    """A change that could not be carried to the peer."""
    change(link, ["profile"])
    item = link.outbox.get(state=OutboxItem.State.PENDING)
    OutboxItem.objects.filter(pk=item.pk).update(
        state="failed", reason="unreachable", live_key=None, next_attempt_at=None
    )
    Link.objects.update(incoming_state="broken", incoming_reason="unreachable")
    return item


def test_what_was_given_up_is_sent_again(api: Api, link: Link, given_up: OutboxItem) -> None:
    response = api.post(f"/links/{link.pk}/retry/")

    assert response.status_code == 202
    pending = response.said["incoming"]["pending"]
    assert (pending["state"], pending["reason"]) == ("granted", None)
    given_up.refresh_from_db()
    assert (given_up.state, given_up.attempts) == ("pending", 0)


def test_where_nothing_was_given_up_there_is_nothing_to_send(api: Api, link: Link) -> None:
    assert problem(api.post(f"/links/{link.pk}/retry/")) == (409, "nothing_to_retry")


def test_what_an_administrator_stopped_stays_stopped(
    api: Api, link: Link, given_up: OutboxItem
) -> None:
    OutboxItem.objects.filter(pk=given_up.pk).update(state="cancelled", reason="stopped")
    Link.objects.update(incoming_reason="stopped")

    assert problem(api.post(f"/links/{link.pk}/retry/")) == (409, "nothing_to_retry")


def test_without_access_there_nothing_can_be_sent(
    api: Api, link: Link, given_up: OutboxItem
) -> None:
    Link.objects.update(outgoing_state="broken")

    assert problem(api.post(f"/links/{link.pk}/retry/")) == (409, "nothing_to_retry")


def test_who_asks_twice_has_one_code_sent(api: Api, link: Link, given_up: OutboxItem) -> None:
    statuses = [api.post(f"/links/{link.pk}/retry/").status_code for _ in "ab"]

    assert statuses == [202, 202]
    assert link.outbox.filter(state=OutboxItem.State.PENDING).count() == 1


@pytest.mark.threat("A8")
@pytest.mark.parametrize("scope", ["a\0b", "\ud800", "\ufffe", "🎵"])
def test_characters_that_no_scope_has_are_refused(api: Api, link: Link, scope: str) -> None:
    assert problem(
        api.put(f"/links/{link.pk}/scopes/", {"scopes": [scope], "shown": shown(link)})
    ) == (400, "invalid")


@pytest.mark.threat("L34")
def test_what_the_rules_of_the_site_forbid_is_not_given(api: Api, link: Link, rules: Rules) -> None:
    change(link, ["profile"])
    rules.refused = {"alice"}

    more = {"scopes": ["profile", "playback"], "shown": shown(link)}
    assert problem(api.put(f"/links/{link.pk}/scopes/", more)) == (403, "not_allowed_here")
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    link.refresh_from_db()
    answer = {"scopes": ["profile"], "shown": consent.snapshot_of(link)}
    assert problem(api.post(f"/links/{link.pk}/consent/", answer)) == (403, "not_allowed_here")
    assert rules.asked[-1][3], "a person asks"


# Peers at which people start


@pytest.fixture
def yandex(make_peer: Callable[..., Peer]) -> Peer:
    nothing = dict.fromkeys(("authorization_endpoint", "token_endpoint", "client_id"), "")
    return make_peer("yandex", dialect="yandex", client_secret=Secret(""), **nothing)


def test_a_peer_at_which_people_start_is_not_offered(api: Api, yandex: Peer) -> None:
    assert api.get("/peers/").said["results"] == []


def test_a_connection_cannot_start_here(front_end: Api, yandex: Peer) -> None:
    response = front_end.post("/peers/yandex/connect/", {})

    assert problem(response) == (409, "starts_at_peer")


def test_a_peer_that_gives_no_access_is_not_waited_for(
    api: Api, yandex: Peer, user: Any, make_token: Callable[..., Any]
) -> None:
    token = make_token(yandex.application, user, "profile")
    link = open_link(yandex, user.pk, "profile", token.family)

    said = api.get(f"/links/{link.pk}/").said

    assert said["outgoing"]["state"] == "none"
    assert (said["text"], said["next_step"]) == ("Connected one way", None)
    assert "aiting" not in str(said)
