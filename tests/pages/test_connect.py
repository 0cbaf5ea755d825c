"""The return from the peer: code and state leave the address at once, and nobody learns them."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db.models.signals import post_save
from django.http import HttpRequest
from django.test import Client
from django.views.debug import ExceptionReporter
from pytest_django import Settings

from reciprocal_oauth.models import Link, Peer

from ..fakes import FakePeer, Reply
from ..party_a.visits import CODE_OF_B, Visit, begin, connect
from .looks import Tags

#: A base template as many sites have it: its login link leads back to the page one is on.
SITE_BASE = """<a href="/accounts/login/?next={{ request.get_full_path|urlencode }}">Sign in</a>
{{ request.GET.urlencode }}{{ request.META.QUERY_STRING }}{% block content %}{% endblock %}"""


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """Return the error reports, plain and HTML, that Django would send to administrators."""
    made: list[str] = []

    def report(request: HttpRequest, **arguments: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info(), is_email=True)
        made.extend([reporter.get_traceback_text(), reporter.get_traceback_html()])

    got_request_exception.connect(report)
    yield made
    got_request_exception.disconnect(report)


def assert_left_behind(visit: Visit, text: str) -> None:
    assert CODE_OF_B not in text
    assert visit.asked["state"] not in text


@pytest.mark.threat("W5")
@pytest.mark.parametrize(
    ("answers", "changes"),
    [(200, {}), (500, {}), (200, {"error": "access_denied"})],
    ids=["connected", "failed", "denied"],
)
def test_the_browser_ends_up_at_an_address_without_code_and_state(
    browser: Client, peer: Peer, fake_peer: FakePeer, answers: int, changes: dict[str, str]
) -> None:
    if answers != 200:
        fake_peer.answers["/token/"] = Reply(answers)
    visit = begin(browser)

    response = visit.come_back(**changes)

    assert response.status_code == 303
    assert response["Referrer-Policy"] == "no-referrer"
    assert "no-store" in response["Cache-Control"]
    assert response.content == b""
    final = browser.get(response["Location"])
    assert final.status_code == 200
    assert_left_behind(visit, response["Location"])
    assert_left_behind(visit, final.content.decode())


@pytest.mark.threat("W5")
@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "made-up"}, 400),
        ({"state": None}, 400),
        ({"scope": ["play"] * 2_000}, 400),
        ({"slug": "heating"}, 404),
    ],
    ids=["another state", "no state", "more than can be read", "a peer that is switched off"],
)
def test_a_refused_answer_does_not_stay_in_the_address_bar(
    browser: Client,
    peer: Peer,
    make_peer: Callable[..., Peer],
    fake_peer: FakePeer,
    changes: dict[str, Any],
    status: int,
) -> None:
    make_peer("heating", enabled=False)
    visit = begin(browser)

    page = visit.come_back(**changes)

    assert page.status_code == status
    assert page.wsgi_request.get_full_path().endswith("/callback/")
    assert_left_behind(visit, page.wsgi_request.get_full_path())
    assert fake_peer.requests == []


@pytest.mark.threat("W5")
def test_a_page_that_refuses_does_not_pass_the_code_on(
    browser: Client, peer: Peer, settings: Settings
) -> None:
    """Not even if the base template of the site uses the request."""
    [engine] = settings.TEMPLATES
    loaders = [
        ("django.template.loaders.locmem.Loader", {"reciprocal_oauth/base.html": SITE_BASE}),
        "django.template.loaders.app_directories.Loader",
    ]
    options = {**engine["OPTIONS"], "loaders": loaders}
    settings.TEMPLATES = [{**engine, "APP_DIRS": False, "OPTIONS": options}]
    visit = begin(browser)

    for response in (visit.come_back(browser=Client()), visit.come_back(state=["x", "y"])):
        assert response.status_code == 400
        assert response["Referrer-Policy"] == "no-referrer"
        page = response.content.decode()
        assert 'next=/connections/music/callback/"' in page
        assert_left_behind(visit, page)


@pytest.mark.threat("W5")
def test_a_page_that_refuses_has_no_form_that_its_referrer_policy_would_break(
    browser: Client, peer: Peer
) -> None:
    """Under no-referrer, browsers send "Origin: null" with a form, which Django refuses."""
    tags = Tags(begin(browser).come_back(state="made-up"))

    assert not tags.named("form")
    assert "/connections/" in [a["href"] for a in tags.named("a")]


@pytest.mark.threat("X3")
def test_an_error_report_about_the_callback_holds_no_code_state_or_token(
    browser: Client, peer: Peer, fake_peer: FakePeer, reports: list[str]
) -> None:
    def fail(**arguments: Any) -> None:
        raise RuntimeError("the database is full")

    visit = begin(browser)
    browser.raise_request_exception = False
    post_save.connect(fail, sender=Link)
    try:
        response = visit.come_back()
    finally:
        post_save.disconnect(fail, sender=Link)

    assert response.status_code == 500
    verifier = fake_peer.to("/token/")[0].form["code_verifier"]
    assert len(reports) == 2
    for report in reports:
        assert "the database is full" in report
        assert_left_behind(visit, report)
        for secret in (verifier, "token-of-the-peer", "refresh-of-the-peer"):
            assert secret not in report


@pytest.mark.threat("X3")
def test_a_callback_that_cannot_be_read_leaves_no_code_to_be_reported(
    browser: Client, peer: Peer
) -> None:
    """It has more parameters than Django accepts."""
    visit = begin(browser)
    browser.raise_request_exception = False

    response = visit.come_back(scope=["play"] * 2_000)

    assert response.status_code == 400
    assert_left_behind(visit, response.wsgi_request.build_absolute_uri())
    assert not response.wsgi_request.GET


@pytest.mark.threat("X2")
@pytest.mark.parametrize("changes", [{}, {"state": "made-up"}, {"iss": "https://evil.example"}])
def test_no_log_line_about_the_callback_holds_code_or_state(
    browser: Client, peer: Peer, caplog: pytest.LogCaptureFixture, changes: dict[str, str]
) -> None:
    caplog.set_level("DEBUG")
    visit = begin(browser)

    visit.come_back(**changes)

    assert_left_behind(visit, caplog.text)


def test_a_reload_of_the_final_page_asks_the_peer_nothing(
    browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    final = connect(browser)["Location"]

    for _ in range(2):
        assert browser.get(final).status_code == 200
    assert len(fake_peer.requests) == 1
