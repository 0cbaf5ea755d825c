"""Both drivers with steps, ``forms`` and ``playwright``, do the same at the same site."""

import json
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from reciprocal_oauth.conformance.drivers.journeys import (
    Driver,
    Journey,
    JourneyFailed,
    Outcome,
    Unsupported,
)

from .small_site import PartyA

CONFIGURATION = """
[users.alice]
password = "secret of alice"
[users.bob]
password = "secret of bob"

[steps]
link = [
    {open = "URL/connect"},
    {if = "password", fill = {username = "{user}", password = "{password}"}, press = "Sign in"},
    {press = "Connect the tester"},
]
allow = [
    {tick = {scopes = "{scopes}"}, press = "Allow", expect = "/done"},
]
deny = [{press = "deny"}, {expect = "Done"}]
end = [
    {open = "URL/connect"},
    {if = "password", fill = {username = "{user}", password = "{password}"}, press = "Sign in"},
    {press = "Disconnect", form = "/end"},
]
"""
SIGN_IN = [
    {"open": "URL/login?next=/"},
    {
        "fill": {"username": "{user}", "password": "{password}"},
        "press": "Sign in",
        "expect": "Connections",
    },
]


def never() -> bool:
    return False


@pytest.fixture
def drive(make_driver: Callable[..., Driver], party_a: PartyA, kind: str) -> Callable[..., Driver]:
    """Makes the driver of the configuration above, with other lists of steps. ``None``: without."""

    def drive(**lists: Any) -> Driver:
        table = tomllib.loads(CONFIGURATION)
        table["steps"] = {
            name: steps for name, steps in {**table["steps"], **lists}.items() if steps
        }
        table = json.loads(json.dumps(table).replace("URL", party_a.url))
        # A page of these sites gets nothing later, so there is little to wait for.
        return make_driver("a", {"patience": 0.1}, kind=kind, **table)

    return drive


def link(decision: str, scopes: tuple[str, ...] | None = None, user: str = "alice") -> Journey:
    return Journey("link", user, decision=decision, scopes=scopes)


def forge(how: str) -> Journey:
    return Journey("forge", "alice", how=how, other_user="bob" if how == "other" else "")


def test_a_login_step_with_if_is_done_only_where_the_page_has_the_field(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    driver = drive()

    outcome = driver.go(link("allow"), never)
    driver.go(link("allow", ("read",)), never)

    assert outcome == Outcome(f"{party_a.url}/done", 200)
    assert party_a.sign_ins == ["alice"]
    assert party_a.answers == [
        ("alice", "allow", ("read", "write")),
        ("alice", "allow", ("read",)),
    ]


def test_exactly_the_named_scopes_are_ticked(drive: Callable[..., Driver], party_a: PartyA) -> None:
    party_a.question = party_a.question.replace('value="read"', 'value="read" checked')
    driver = drive()

    driver.go(link("allow", ("write",)), never)
    driver.go(link("allow", ()), never)

    assert [scopes for _user, _answer, scopes in party_a.answers] == [("write",), ()]


def test_a_scope_that_is_not_offered_is_a_failure(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    with pytest.raises(JourneyFailed, match='do not offer "admin", but "read", "write"') as caught:
        drive().go(link("allow", ("read", "admin")), never)

    assert "driver.steps.allow, step 1: " in str(caught.value)
    assert f"The page is {party_a.url}/question (HTTP 200) “What may the tester do?”." in str(
        caught.value
    )
    assert caught.value.outcome == Outcome(f"{party_a.url}/question", 200)
    assert party_a.answers == []


def test_a_user_can_deny(drive: Callable[..., Driver], party_a: PartyA) -> None:
    drive().go(link("deny"), never)

    assert party_a.answers == [("alice", "deny", ())]


def test_a_denial_that_is_not_configured_is_not_supported(drive: Callable[..., Driver]) -> None:
    with pytest.raises(Unsupported, match=r"driver\.steps\.deny is missing"):
        drive(deny=None).go(link("deny"), never)


@pytest.mark.parametrize("asks", [True, False])
def test_a_look_leaves_the_question_open_and_says_whether_there_is_one(
    drive: Callable[..., Driver], party_a: PartyA, asks: bool
) -> None:
    party_a.asks = asks
    page = "question" if asks else "done"

    outcome = drive().go(link("look"), never)

    assert outcome == Outcome(f"{party_a.url}/{page}", 200, consent=asks)
    assert party_a.answers == []


def test_an_error_page_at_the_end_is_a_failure(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.page("/question", "<h1>Broken</h1>", 500)

    with pytest.raises(JourneyFailed, match="error page, status 500: .*“Broken”") as caught:
        drive().go(link("look"), never)

    assert caught.value.outcome == Outcome(f"{party_a.url}/question", 500, consent=False)


def test_each_user_has_a_browser_of_their_own(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    driver = drive()

    for user in ("alice", "bob", "alice"):
        driver.go(Journey("end", user), never)

    assert party_a.ended == ["alice", "bob", "alice"]
    assert party_a.sign_ins == ["alice", "bob"]


def test_a_user_signs_in_before_all_else(drive: Callable[..., Driver], party_a: PartyA) -> None:
    driver = drive(sign_in=SIGN_IN, end=[{"open": "URL/connect", "press": "Disconnect"}])

    for user in ("alice", "bob", "alice"):
        driver.go(Journey("end", user), never)

    assert party_a.sign_ins == ["alice", "bob"]
    assert party_a.ended == ["alice", "bob", "alice"]


def test_a_sign_in_that_fails_is_tried_again(drive: Callable[..., Driver], party_a: PartyA) -> None:
    driver = drive(sign_in=SIGN_IN, end=[{"open": "URL/connect", "press": "Disconnect"}])
    login = party_a.pages["/login"]
    party_a.page("/login", "Come later", 503)
    with pytest.raises(
        JourneyFailed, match=r'driver\.steps\.sign_in, step 2: It has no .*"username"'
    ):
        driver.go(Journey("end", "alice"), never)

    party_a.pages["/login"] = login
    driver.go(Journey("end", "alice"), never)

    assert party_a.ended == ["alice"]


def test_a_user_without_a_value_is_said(drive: Callable[..., Driver]) -> None:
    with pytest.raises(JourneyFailed, match=r"driver\.users\.carol\.password is missing"):
        drive().go(link("allow", user="carol"), never)


def test_a_page_without_the_expected_text_is_a_failure(drive: Callable[..., Driver]) -> None:
    driver = drive(deny=[{"press": "deny", "expect": "You are connected"}])

    with pytest.raises(
        JourneyFailed, match='step 1: Neither the page nor its URL has "You are connected"'
    ):
        driver.go(link("deny"), never)


def test_a_button_that_is_not_there_is_said_with_those_that_are(
    drive: Callable[..., Driver],
) -> None:
    driver = drive(deny=[{"press": "Reject"}])

    with pytest.raises(
        JourneyFailed, match=r'no button "Reject". It has "Allow", "Do not allow".*What may'
    ):
        driver.go(link("deny"), never)


def test_a_link_on_a_page_is_followed(drive: Callable[..., Driver], party_a: PartyA) -> None:
    party_a.page("/home", '<a href="/connect?from=home">My  connections</a>')
    driver = drive(
        sign_in=SIGN_IN,
        end=[{"open": "URL/home"}, {"follow": "my connections"}, {"press": "Disconnect"}],
    )

    driver.go(Journey("end", "alice"), never)

    assert party_a.ended == ["alice"]
    visit = next(each for each in party_a.requests if each.values("from"))
    assert visit.headers["Referer"] == f"{party_a.url}/home"


def test_lists_and_radio_buttons_are_filled_in(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.page(
        "/form",
        """<form action="/sent"><select name="size"><option value="s">Small<option value="l">Large
        </select><input type="radio" name="how" value="now">
        <input type="radio" name="how" value="later"><textarea name="why"></textarea>
        <button>Send</button></form>""",
    )
    party_a.page("/sent")
    fields = {"size": "Large", "how": "later", "why": "for {user}"}
    driver = drive(end=[{"open": "URL/form", "fill": fields}, {"press": "Send"}])

    driver.go(Journey("end", "alice"), never)

    assert dict(party_a.requests[-1].fields) == {"size": "l", "how": "later", "why": "for alice"}


def test_the_form_that_was_filled_in_is_sent(drive: Callable[..., Driver], party_a: PartyA) -> None:
    party_a.page(
        "/form",
        """<form action="/search"><input name="q"><button>Go</button></form>
        <form action="/pin"><input name="pin"><button>Go</button></form>""",
    )
    party_a.page("/pin")
    driver = drive(end=[{"open": "URL/form"}, {"fill": {"pin": "1"}}, {"press": "Go"}])

    driver.go(Journey("end", "alice"), never)

    assert (party_a.requests[-1].path, party_a.requests[-1].fields) == ("/pin", [("pin", "1")])


def test_open_is_done_in_the_browser_of_the_user_and_may_end_at_an_error_page(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.page("/callback", "no such state", 403)
    driver = drive()
    driver.go(Journey("end", "alice"), never)
    url = f"{party_a.url}/callback?state=x"

    outcome = driver.go(Journey("open", "alice", url), never)

    assert outcome == Outcome(url, 403)
    assert party_a.requests[-1].cookies != {}


def test_a_site_that_is_not_there_is_said(drive: Callable[..., Driver], party_a: PartyA) -> None:
    driver = drive()
    party_a.stop()

    with pytest.raises(JourneyFailed, match=r"driver\.steps\.end, step 1: .*/connect cannot be"):
        driver.go(Journey("end", "alice"), never)


# --- What an attacker's page does ---------------------------------------------------------------


@pytest.mark.parametrize("how", ["get", "post"])
def test_a_forged_answer_to_a_protected_question_is_refused(
    drive: Callable[..., Driver], party_a: PartyA, how: str
) -> None:
    outcome = drive().go(forge(how), never)

    assert outcome.status == {"get": 405, "post": 403}[how]
    assert party_a.answers == []


def test_a_forged_post_comes_from_another_site_with_the_cookies_of_the_user(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.checks_token = False

    outcome = drive().go(forge("post"), never)

    sent = next(each for each in party_a.requests if each.path == "/answer")
    assert party_a.answers == [("alice", "allow", ("read", "write"))]
    assert outcome == Outcome(f"{party_a.url}/done", 200)
    assert sent.fields == [
        ("scopes", "read"),
        ("scopes", "write"),
        ("note", "none"),
        ("answer", "allow"),
    ]
    assert sent.cookies == {"user": "alice"}
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert (headers["origin"], headers["sec-fetch-site"]) == ("null", "cross-site")
    assert "referer" not in headers


def test_a_forged_get_has_all_fields_in_its_query(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.takes_get = True

    drive().go(forge("get"), never)

    sent = next(each for each in party_a.requests if each.path == "/answer")
    assert sent.method == "GET"
    assert sent.values("token") == ["token-of-alice"]
    assert party_a.answers == [("alice", "allow", ("read", "write"))]


def test_the_answer_of_another_user_has_their_cookies(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    driver = drive(sign_in=SIGN_IN)

    assert driver.go(forge("other"), never).status == 403

    sent = next(each for each in party_a.requests if each.path == "/answer")
    assert sent.cookies == {"user": "bob"}
    assert sent.values("token") == ["token-of-alice"]
    headers = {name.lower(): value for name, value in sent.headers.items()}
    assert headers["origin"] == party_a.url
    assert headers["referer"] == f"{party_a.url}/question"
    assert party_a.sign_ins == ["alice", "bob"]


def test_the_answer_of_another_user_needs_to_know_how_users_sign_in(
    drive: Callable[..., Driver],
) -> None:
    with pytest.raises(Unsupported, match=r"driver\.steps\.sign_in is missing"):
        drive().go(forge("other"), never)


def test_a_login_in_front_of_the_question_is_not_taken_for_it(
    drive: Callable[..., Driver], party_a: PartyA
) -> None:
    party_a.checks_token = False
    again = {"if": "password", "fill": {"password": "{password}"}, "press": "Sign in"}
    driver = drive(allow=[again, {"tick": {"scopes": "{scopes}"}}, {"press": "Allow"}])

    assert driver.go(link("look"), never).consent is True
    driver.go(Journey("forge", "alice", how="post", scopes=("read",)), never)

    assert party_a.answers == [("alice", "allow", ("read",))]
