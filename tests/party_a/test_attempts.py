"""Steps (A) to (D): an attempt that ends without a link keeps its reason, and tells it to the log
and to who listens."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.utils import translation

from reciprocal_oauth.models import AuthorizationRequest, Peer
from reciprocal_oauth.party_a.authorization import MAX_VISITS
from reciprocal_oauth.signals import connection_failed

from ..conftest import OUR_SECRET
from ..fakes import FakePeer, Reply
from .visits import begin, connect

Problem = AuthorizationRequest.Problem


@pytest.fixture
def failures(transactional_db: None) -> Iterator[list[dict[str, Any]]]:
    """What the signal has told."""
    told: list[dict[str, Any]] = []

    def listen(sender: type, signal: Any, **arguments: Any) -> None:
        assert sender is AuthorizationRequest
        told.append(arguments)

    connection_failed.connect(listen)
    yield told
    connection_failed.disconnect(listen)


@pytest.mark.rfc("6749", "4.1.2.1")
def test_the_reason_is_kept(browser: Client, peer: Peer) -> None:
    connect(browser, code=None, error="invalid_scope")

    visit = AuthorizationRequest.objects.get()
    assert (visit.problem, visit.error) == (Problem.SCOPE, "invalid_scope")
    assert visit.detail == "the peer responded with error='invalid_scope'"


@pytest.mark.threat("X6")
@pytest.mark.parametrize("changes", [{}, {"code": None, "error": "access_denied"}], ids=str)
def test_a_visit_that_is_over_keeps_no_code_verifier(
    browser: Client, peer: Peer, changes: dict[str, str | None]
) -> None:
    visit = begin(browser)
    assert AuthorizationRequest.objects.get().code_verifier

    visit.come_back(**changes)

    assert not AuthorizationRequest.objects.get().code_verifier


@pytest.mark.threat("X1")
@pytest.mark.parametrize(
    "error", ["x" * 61, "code=abc", "a b", "<script>", "invalid_scope\r\nX: 1", "\N{SNOWMAN}"]
)
def test_what_is_no_error_code_is_not_kept_as_one(browser: Client, peer: Peer, error: str) -> None:
    connect(browser, code=None, error=error)

    assert AuthorizationRequest.objects.get().error == ""


def test_the_log_says_with_which_configuration_and_what_to_do(
    browser: Client, peer: Peer, fake_peer: FakePeer, caplog: pytest.LogCaptureFixture
) -> None:
    fake_peer.answers["/token/"] = Reply.json(401, error="invalid_client")

    with translation.override("de"):
        connect(browser)

    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line == (
        "Connecting to peer music failed: the other site refused the credentials of this site "
        f"(HTTP 401 invalid_client); scope play, issuer {peer.issuer}, error invalid_client. What "
        "to do: Compare the client ID “us-at-music” and the client secret or key with the "
        "registration of this site at the peer: reciprocal_peer test music"
    )
    assert OUR_SECRET not in line


def test_who_listens_is_told_once(
    browser: Client, peer: Peer, failures: list[dict[str, Any]]
) -> None:
    visit = begin(browser)
    for _time in range(2):
        visit.come_back(code=None, error="access_denied")

    row = AuthorizationRequest.objects.get()
    assert failures == [
        {"visit": row, "peer": peer, "problem": Problem.DENIED, "error": "access_denied"}
    ]


def test_a_connection_tells_nobody_of_a_failure(
    browser: Client, peer: Peer, failures: list[dict[str, Any]]
) -> None:
    connect(browser)

    assert failures == []
    assert AuthorizationRequest.objects.get().detail == ""


@pytest.mark.threat("L1")
@pytest.mark.parametrize("who", ["nobody", "bob", "alice"])
def test_a_person_who_comes_back_in_another_browser(
    browser: Client,
    peer: Peer,
    user: Any,
    other_user: Any,
    failures: list[dict[str, Any]],
    who: str,
) -> None:
    elsewhere = Client()
    if who != "nobody":
        elsewhere.force_login({"alice": user, "bob": other_user}[who])
    visit = begin(browser)

    visit.come_back(browser=elsewhere)

    assert AuthorizationRequest.objects.get().problem == Problem.OTHER_BROWSER
    assert len(failures) == 1
    # A person who comes back after that is told why it did not work.
    page = browser.get(visit.come_back()["Location"]).content.decode()
    assert "in another browser" in page
    assert "Try again" in page


@pytest.mark.threat("L6")
def test_an_answer_at_the_callback_of_another_peer_is_the_answer_of_another_site(
    browser: Client, peer: Peer, make_peer: Any
) -> None:
    make_peer("tv")

    begin(browser).come_back(slug="tv")

    assert AuthorizationRequest.objects.get().problem == Problem.WRONG_ISSUER


@pytest.mark.threat("L122")
@pytest.mark.parametrize("comes_back", [True, False])
def test_a_stranger_cannot_replace_what_became_of_a_visit(
    browser: Client,
    peer: Peer,
    other_user: Any,
    failures: list[dict[str, Any]],
    comes_back: bool,
) -> None:
    visit = begin(browser)
    if comes_back:
        visit.come_back()
    else:
        visit.come_back(code=None, error="access_denied")
    before = AuthorizationRequest.objects.values().get()
    told = len(failures)

    stranger = Client()
    for _time in range(2):
        visit.come_back(browser=stranger, error="invalid_scope")
        stranger.force_login(other_user)

    assert AuthorizationRequest.objects.values().get() == before
    assert len(failures) == told


@pytest.mark.threat("D90")
def test_who_presses_the_button_often_deletes_no_failed_attempt(
    browser: Client, peer: Peer
) -> None:
    connect(browser, code=None, error="invalid_scope")

    for _time in range(MAX_VISITS + 5):
        begin(browser)

    rows = AuthorizationRequest.objects
    assert rows.filter(problem=Problem.SCOPE).count() == 1
    assert rows.filter(problem="").count() == MAX_VISITS


@pytest.mark.threat("D90")
def test_failed_attempts_of_a_person_have_a_cap(browser: Client, peer: Peer) -> None:
    for _time in range(MAX_VISITS + 3):
        connect(browser, code=None, error="access_denied")
    begin(browser)

    assert AuthorizationRequest.objects.exclude(problem="").count() == MAX_VISITS
