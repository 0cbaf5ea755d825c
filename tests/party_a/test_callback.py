"""Step (B): only the answer to a visit of this person, browser and peer is believed."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.protocol import MAX_CODE_LENGTH
from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from .visits import begin, connect

CALLBACK = "/connections/music/callback/"
Problem = AuthorizationRequest.Problem


@pytest.fixture
def other_browser(other_user: Any) -> Client:
    """A browser in which bob is signed in."""
    browser = Client()
    browser.force_login(other_user)
    return browser


@pytest.fixture
def assert_refused(fake_peer: FakePeer) -> Callable[[Any], None]:
    """Asserts that a callback was refused before anything was asked of any peer."""

    def check(response: Any) -> None:
        assert response.status_code == 400
        assert "/connections/" in response.content.decode()
        assert fake_peer.requests == []
        assert not Link.objects.exists()

    return check


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.threat("L1")
@pytest.mark.rfc("6749", "10.12")
def test_a_code_and_state_from_a_strangers_visit_are_refused(
    browser: Client,
    other_browser: Client,
    peer: Peer,
    assert_refused: Callable[[Any], None],
) -> None:
    attack = begin(other_browser)

    assert_refused(attack.come_back(browser=browser))


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.threat("L1")
def test_a_state_of_the_same_person_in_another_browser_is_refused(
    browser: Client, user: Any, peer: Peer, assert_refused: Callable[[Any], None]
) -> None:
    elsewhere = Client()
    elsewhere.force_login(user)

    assert_refused(begin(elsewhere).come_back(browser=browser))


@pytest.mark.draft("reciprocal Protocol Flow")
@pytest.mark.threat("L1")
def test_a_state_does_not_pass_to_whoever_signs_in_next_in_the_same_browser(
    browser: Client, other_user: Any, peer: Peer, assert_refused: Callable[[Any], None]
) -> None:
    visit = begin(browser)
    cookies = {name: cookie.value for name, cookie in browser.cookies.items()}
    browser.force_login(other_user)
    assert any(browser.cookies[name].value == value for name, value in cookies.items())

    assert_refused(visit.come_back())


@pytest.mark.threat("L2")
@pytest.mark.parametrize(
    "state",
    [None, "", "made-up", "\x00", "state-\N{SNOWMAN}", "x" * 5000],
    ids=["missing", "empty", "unknown", "NUL", "not ASCII", "long"],
)
def test_a_state_that_was_never_given_out_is_refused(
    browser: Client, peer: Peer, assert_refused: Callable[[Any], None], state: str | None
) -> None:
    visit = begin(browser)

    assert_refused(visit.come_back(state=state))


@pytest.mark.threat("L2")
def test_a_state_that_comes_twice_is_refused_although_one_is_right(
    browser: Client, peer: Peer, assert_refused: Callable[[Any], None]
) -> None:
    visit = begin(browser)

    assert_refused(visit.come_back(state=[visit.asked["state"], visit.asked["state"]]))
    assert_refused(visit.come_back(state=["made-up", visit.asked["state"]]))


@pytest.mark.threat("L2")
@pytest.mark.parametrize("parameters", [{}, {"code": "c"}, {"code": "c", "state": ""}])
def test_a_browser_that_began_nothing_is_refused(
    browser: Client, peer: Peer, assert_refused: Callable[[Any], None], parameters: dict[str, str]
) -> None:
    assert_refused(browser.get(CALLBACK, parameters, follow=True))


@pytest.mark.threat("L5")
def test_a_victim_who_was_sent_to_the_peer_by_another_person_connects_nothing(
    browser: Client,
    other_browser: Client,
    peer: Peer,
    assert_refused: Callable[[Any], None],
) -> None:
    attack = begin(other_browser)

    assert_refused(attack.come_back(browser=browser, code="code-of-the-victim"))


@pytest.mark.threat("L5")
@pytest.mark.parametrize("victim_is_signed_in", [True, False])
def test_who_sent_the_victim_cannot_come_back_with_the_victims_code(
    browser: Client,
    other_browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    victim_is_signed_in: bool,
) -> None:
    attack = begin(other_browser)
    victim = browser if victim_is_signed_in else Client()
    attack.come_back(browser=victim, code="code-of-the-victim")

    attack.come_back(code="code-of-the-victim")

    assert fake_peer.requests == []
    assert not Link.objects.exists()


@pytest.mark.threat("L6")
@pytest.mark.rfc("9700", "4.4.2")
def test_an_answer_at_another_peers_callback_reaches_neither_peer(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    evil = FakePeer()
    make_peer("music", fake_peer.url)
    make_peer("evil", evil.url)

    response = begin(browser, "music").come_back(slug="evil")

    assert response.status_code == 400
    assert fake_peer.requests == evil.requests == []
    evil.stop()


@pytest.mark.threat("L6")
@pytest.mark.rfc("9207", "2.4")
@pytest.mark.parametrize("number", [1, 2], ids=["another issuer", "two issuers"])
def test_an_answer_that_names_another_issuer_stops_before_the_token_request(
    browser: Client, peer: Peer, fake_peer: FakePeer, number: int
) -> None:
    issuers = ["https://evil.example/o", peer.issuer][:number]

    response = connect(browser, iss=issuers)

    assert response.status_code == 303
    assert fake_peer.requests == []
    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.WRONG_ISSUER
    assert "came from another site" in browser.get(response["Location"]).content.decode()


@pytest.mark.rfc("9207", "2.4")
def test_the_right_issuer_is_accepted_and_so_is_none(browser: Client, peer: Peer) -> None:
    assert "consent" in connect(browser, iss=peer.issuer)["Location"]
    assert "consent" in connect(browser)["Location"]


@pytest.mark.threat("L80")
@pytest.mark.rfc("9207", "2.4")
@pytest.mark.parametrize("issuer", [None, "", ["", ""]], ids=["missing", "empty", "twice empty"])
@pytest.mark.parametrize("configured", [True, False], ids=["with an issuer", "without one"])
def test_an_answer_without_issuer_is_refused_where_the_peer_always_names_it(
    browser: Client, peer: Peer, fake_peer: FakePeer, issuer: Any, configured: bool
) -> None:
    Peer.objects.update(sends_iss=True, issuer=peer.issuer if configured else "")
    if not configured and issuer == "":
        issuer = None  # An empty value would be the issuer that stands there.

    connect(browser, iss=issuer)

    assert fake_peer.requests == []
    assert not Link.objects.exists()
    assert AuthorizationRequest.objects.get().problem == Problem.WRONG_ISSUER


@pytest.mark.threat("L80")
@pytest.mark.rfc("9207", "2.4")
def test_an_error_without_issuer_is_not_taken_for_the_peers_word_either(
    browser: Client, peer: Peer
) -> None:
    Peer.objects.update(sends_iss=True)

    connect(browser, code=None, error="access_denied")

    assert AuthorizationRequest.objects.get().problem == Problem.WRONG_ISSUER


@pytest.mark.rfc("9207", "2.4")
def test_a_peer_that_always_names_its_issuer_is_connected_with(browser: Client, peer: Peer) -> None:
    Peer.objects.update(sends_iss=True)

    assert "consent" in connect(browser, iss=peer.issuer)["Location"]


@pytest.mark.rfc("9207", "2.4")
def test_an_issuer_that_nobody_configured_is_not_compared(
    browser: Client, make_peer: Callable[..., Peer], fake_peer: FakePeer
) -> None:
    make_peer("music", fake_peer.url, issuer="")

    assert "consent" in connect(browser, iss="https://music.example")["Location"]


@pytest.mark.parametrize(("minutes", "problem"), [(29, Problem.NONE), (31, Problem.TOO_LATE)])
def test_a_person_may_stay_at_the_peer_for_half_an_hour(
    browser: Client, peer: Peer, fake_peer: FakePeer, minutes: int, problem: str
) -> None:
    visit = begin(browser)

    with time_machine.travel(timezone.now() + timedelta(minutes=minutes), tick=False):
        first, second = (visit.come_back()["Location"] for _ in range(2))

    assert first == second
    assert AuthorizationRequest.objects.get().problem == problem
    assert len(fake_peer.requests) == (0 if problem else 1)
    if problem:
        page = browser.get(first).content.decode()
        assert "You came back from Music too late" in page
        assert "Try again" in page


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize(
    ("error", "problem", "words"),
    [
        ("access_denied", Problem.DENIED, "You did not allow access at Music"),
        ("server_error", Problem.PEER_ERROR, "Music responded with an error"),
        (["access_denied", "server_error"], Problem.PEER_ERROR, "Music responded with an error"),
        (["invalid_scope", "invalid_scope"], Problem.PEER_ERROR, "Music responded with an error"),
        ("", Problem.PEER_ERROR, "Music responded with an error"),
    ],
)
def test_an_error_is_explained_and_its_code_is_not_spent(
    browser: Client, peer: Peer, fake_peer: FakePeer, error: Any, problem: str, words: str
) -> None:
    response = connect(browser, error=error, error_description="No.")

    assert fake_peer.requests == []
    assert AuthorizationRequest.objects.get().problem == problem
    page = browser.get(response["Location"]).content.decode()
    assert words in page
    assert "/connections/music/connect/" in page


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.2.6")
@pytest.mark.threat("L60")
@pytest.mark.parametrize(
    "error",
    [
        "access_denied",
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
        "user_cancelled_authorize",
        "user_cancelled_login",
        "user_denied",
    ],
)
def test_a_person_who_cancels_there_is_told_so_whatever_the_peer_calls_it(
    browser: Client,
    peer: Peer,
    fake_peer: FakePeer,
    error: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    response = connect(browser, code=None, error=error)

    assert AuthorizationRequest.objects.get().problem == Problem.DENIED
    page = browser.get(response["Location"]).content.decode()
    assert "You did not allow access at Music" in page
    assert "Try again" in page
    assert [each for each in caplog.records if each.levelname == "WARNING"] == []


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.parametrize(
    ("error", "problem"),
    [
        ("invalid_client", Problem.SETUP),
        ("invalid_request", Problem.SETUP),
        ("invalid_scope", Problem.SCOPE),
        ("unauthorized_client", Problem.SETUP),
        ("unsupported_response_type", Problem.SETUP),
    ],
)
def test_an_error_that_only_an_administrator_can_mend_is_not_tried_again(
    browser: Client, peer: Peer, fake_peer: FakePeer, error: str, problem: str
) -> None:
    response = connect(browser, error=error)

    assert fake_peer.requests == []
    assert AuthorizationRequest.objects.get().problem == problem
    page = browser.get(response["Location"]).content.decode()
    assert "an administrator of this site needs to check the settings of Music" in page
    assert "Try again" not in page


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.parametrize(
    "code",
    [None, "", ["one", "two"], "x" * (MAX_CODE_LENGTH + 1)],
    ids=["missing", "empty", "twice", "too long"],
)
def test_an_answer_without_exactly_one_code_is_not_used(
    browser: Client, peer: Peer, fake_peer: FakePeer, code: Any
) -> None:
    response = connect(browser, code=code)

    assert response.status_code == 303
    assert fake_peer.requests == []
    assert AuthorizationRequest.objects.get().problem == Problem.NO_CODE


def test_a_person_who_is_not_signed_in_learns_what_to_do_and_nothing_is_asked(
    client: Client, peer: Peer, user: Any, assert_refused: Callable[[Any], None]
) -> None:
    client.force_login(user)
    visit = begin(client)
    client.logout()

    response = visit.come_back()

    assert_refused(response)
    assert "start again" in response.content.decode()


@pytest.mark.parametrize("method", ["head", "post", "put"])
def test_only_a_page_load_spends_a_state(
    browser: Client, peer: Peer, fake_peer: FakePeer, method: str
) -> None:
    visit = begin(browser)

    response = getattr(browser, method)(
        f"{CALLBACK}?code=c&state={visit.asked['state']}", follow=False
    )

    assert response.status_code == 405
    assert visit.come_back().status_code == 303


def test_a_peer_that_was_switched_off_meanwhile_is_not_asked(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    visit = begin(browser)
    Peer.objects.update(enabled=False)

    assert visit.come_back().status_code == 404
    assert fake_peer.requests == []
