"""Every state of the people's pages, as Chromium and axe see it.

No site runs: Django's test client gets each page in this process, and Chromium shows the response.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
import time_machine
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import AuthorizationRequest, Link, OutboxItem, Peer
from reciprocal_oauth.models.links import key_of_subject
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.party_a.app_starts import AppStart, sign
from reciprocal_oauth.secret import Secret

from ..failing_database import fails
from ..fakes import FakePeer, Reply
from ..pages.states import (
    BOTH,
    CASES,
    ENDED,
    HOME,
    OPENID,
    PAUSED,
    Incoming,
    Reason,
    make,
)
from ..party_a.visits import begin, hidden_fields, link_both_ways
from ..rules import Rules
from .rendered import Screen

pytestmark = pytest.mark.browser

See = Callable[..., None]
MakePeer = Callable[..., Peer]

LIST = "/connections/"
#: One with long words, and one from right to left.
LANGUAGES = ("en", "de", "ar")
RETURN_TO = "com.example.app:/connected"
#: A name, and what a peer says about itself, which no line can hold.
LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
ABOUT = {
    "name": LONG,
    "description": f"{LONG}, {LONG}",
    "homepage": f"https://{LONG[:50].lower()}.example/{LONG}/",
    "policy_uri": HOME,
    "tos_uri": HOME,
}
NO_CLIENT: dict[str, Any] = {
    "authorization_endpoint": "",
    "token_endpoint": "",
    "client_id": "",
    "client_secret": Secret(""),
}
#: Peers at which people start: one sends codes, the others do not.
START_THERE: dict[str, dict[str, Any]] = {
    "google": {"dialect": "google", "authorization_endpoint": "", "homepage": HOME},
    "yandex": {"dialect": "yandex", "homepage": HOME, **NO_CLIENT},
    "without a homepage": {"dialect": "yandex", **NO_CLIENT},
}
#: More than the list shows without folding any.
ONE_OF_EACH_STEP = (
    "both ways",
    "works, the peer is paused",
    "asked",
    "on its way",
    "peer down for too long",
    "stopped by an administrator",
    "cut off",
    "lost, began there, and connecting would add another",
    "began there",
)
ASKED = {**BOTH, "incoming_state": Incoming.OFFERED, "incoming_scope": ""}


def page_of(link: Link, name: str = "") -> str:
    return f"{LIST}links/{link.pk}/{name}"


def make_link(user: Any, peer: Peer, **values: Any) -> Link:
    """A link that works both ways, except for these ``values``."""
    return Link.objects.create(user=user, peer=peer, **{**BOTH, **values})


def make_visit(user: Any, peer: Peer, **values: Any) -> AuthorizationRequest:
    return AuthorizationRequest.objects.create(
        user=user, peer=peer, state_hash=str(uuid4()), redirect_uri=HOME, **values
    )


# Links


@pytest.mark.usefixtures("worker_seen")
@pytest.mark.parametrize("name", CASES)
def test_a_link_in_each_state(browser: Client, user: Any, peer: Peer, see: See, name: str) -> None:
    link = make(CASES[name], user, peer)

    see(browser.get(LIST))
    see(browser.get(page_of(link)))


@pytest.mark.parametrize(
    "name", ["on its way", "its code is being redeemed", "its code waits for the paused peer"]
)
def test_what_waits_at_a_site_without_a_worker(
    browser: Client, user: Any, peer: Peer, see: See, name: str
) -> None:
    link = make(CASES[name], user, peer)
    if name == "on its way":
        OutboxItem.objects.create(peer=peer, link=link)

    see(browser.get(LIST))
    see(browser.get(page_of(link)))


@pytest.mark.usefixtures("worker_seen")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_long_list_of_peers_with_long_names(
    browser: Client, user: Any, make_peer: MakePeer, see: See, settings: Settings, language: str
) -> None:
    settings.LANGUAGE_CODE = language
    for number, name in enumerate(ONE_OF_EACH_STEP):
        make(CASES[name], user, make_peer(f"peer-{number}", **ABOUT))
    make_link(user, make_peer("ended", **ABOUT), **ENDED)
    make_peer("new", **ABOUT)

    see(browser.get(LIST), f"state-long-{language}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_steps_of_a_link_that_works_both_ways(
    browser: Client,
    fake_peer: FakePeer,
    application: Any,
    see: See,
    settings: Settings,
    language: str,
) -> None:
    settings.LANGUAGE_CODE = language
    link_both_ways(browser, fake_peer, application)

    see(browser.get(page_of(Link.objects.get())))


def test_the_steps_of_a_link_whose_hand_over_failed(
    browser: Client, link_as_a: Link, fake_peer: FakePeer, see: See
) -> None:
    consent.allow(link_as_a, ["playback"])
    fake_peer.answers["/token/"] = Reply(403, b"")
    worker.drain()

    see(browser.get(page_of(link_as_a)))


def test_the_list_of_a_person_with_nothing_to_connect(browser: Client, see: See) -> None:
    see(browser.get(LIST))


def test_the_list_with_a_peer_that_is_paused(browser: Client, peer: Peer, see: See) -> None:
    Peer.objects.update(**PAUSED)

    see(browser.get(LIST))


def test_links_with_two_accounts_and_the_end_of_one(
    browser: Client, user: Any, peer: Peer, see: See
) -> None:
    Peer.objects.update(**OPENID)
    for name in ("alice", LONG):
        account = {"account_key": key_of_subject(name), "subject": name, "account_name": name}
        link = make_link(user, peer, **account)

    see(browser.get(LIST))
    see(browser.post(page_of(link, "disconnect/"), follow=True))
    see(browser.get(page_of(link)))


# The way to the peer and back


@pytest.mark.parametrize(
    "problem", [problem for problem in AuthorizationRequest.Problem.values if problem]
)
def test_an_attempt_that_failed(
    browser: Client, user: Any, peer: Peer, see: See, problem: str
) -> None:
    visit = make_visit(user, peer, problem=problem)

    see(browser.get(f"{LIST}?attempt={visit.pk}"))


def test_an_attempt_to_connect_again_that_failed(
    browser: Client, user: Any, peer: Peer, see: See
) -> None:
    make_link(user, peer)
    visit = make_visit(user, peer, problem="denied")

    see(browser.get(f"{LIST}?attempt={visit.pk}"))


@pytest.mark.parametrize("kind", START_THERE)
def test_a_peer_at_which_people_start(
    browser: Client,
    user: Any,
    make_peer: MakePeer,
    make_token_of_a: Callable[..., Any],
    see: See,
    kind: str,
) -> None:
    peer = make_peer("vendor", **START_THERE[kind])
    visit = make_visit(user, peer, problem="denied")

    see(browser.get(f"{LIST}?attempt={visit.pk}"))
    see(browser.post(f"{LIST}vendor/connect/"))
    make_token_of_a(peer, user, "profile playback")
    link = Link.objects.get()
    for name in ("", "scopes/", "disconnect/?start-over"):
        see(browser.get(page_of(link, name)))
    Link.objects.update(incoming_state=Incoming.BROKEN, incoming_reason=Reason.EXPIRED)
    see(browser.get(LIST))
    see(browser.post(page_of(link, "disconnect/?start-over"), follow=True))


def test_responses_that_are_not_used(browser: Client, peer: Peer, see: See) -> None:
    see(begin(browser).come_back(state="made-up"))
    see(begin(browser).come_back(browser=Client()))


def test_the_page_that_repeats_a_response(
    client: Client, peer: Peer, screen: Screen, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"

    page = client.get(f"{LIST}music/callback/", {"code": "code", "state": "state"})

    assert screen.show(page) == []
    # It has no style sheet, and axe takes every page for white that names no colour.
    assert [fault for fault in screen.faults("html") if "color-contrast" not in fault] == []


# The way of an app


@pytest.fixture
def start(user: Any, peer: Peer, settings: Settings) -> str:
    """The path of the page that an app opens."""
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "API_RETURN_TO": [RETURN_TO]}
    get_application_model().objects.create(
        name=LONG,
        client_id="app",
        client_type="public",
        authorization_grant_type="authorization-code",
        redirect_uris="https://app.example/back",
    )
    text = sign(AppStart(str(user.pk), str(peer.pk), "app", RETURN_TO, "state"))
    return f"{LIST}music/start/?{urlencode({'start': text})}"


def test_the_page_that_an_app_opens(browser: Client, see: See, start: str) -> None:
    see(browser.get(start), "state-start")


def test_the_page_of_an_app_that_starts_nothing(
    browser: Client, other_user: Any, see: See, start: str
) -> None:
    path, fields = start.partition("?")[0], hidden_fields(browser.get(start))
    assert browser.post(path, fields).status_code == 303
    other = Client()
    other.force_login(other_user)

    see(browser.post(path, fields))
    see(other.get(start))
    see(browser.get(path))
    with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
        too_late = browser.get(start)
    assert too_late.status_code == 410
    see(too_late)


OUTCOMES: dict[str, dict[str, Any]] = {
    "linked": {},
    "one way": {"incoming_state": Incoming.DENIED},
    "ended": ENDED,
}


@pytest.mark.usefixtures("start")
def test_the_page_that_leads_back_to_the_app(
    browser: Client, user: Any, peer: Peer, see: See
) -> None:
    made_by_app = {"asks_here": True, "return_to": RETURN_TO}
    for values in OUTCOMES.values():
        visit = make_visit(user, peer, link=make_link(user, peer, **values), **made_by_app)
        see(browser.get(f"{LIST}visits/{visit.pk}/back/"))
        Link.objects.all().delete()
    for problem in ("", "denied", "setup"):
        visit = make_visit(user, peer, problem=problem, **made_by_app)
        see(browser.get(f"{LIST}visits/{visit.pk}/back/"))


# Questions


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_question_about_a_link(
    browser: Client, user: Any, make_peer: MakePeer, see: See, settings: Settings, language: str
) -> None:
    settings.LANGUAGE_CODE = language
    peer = make_peer("music", **ABOUT)
    link = make_link(user, peer, **ASKED)

    see(browser.get(page_of(link, "consent/")))
    see(browser.post(page_of(link, "consent/"), {"scopes": ["history"]}))
    see(browser.get(page_of(link, "disconnect/")))
    Link.objects.update(incoming_state=Incoming.ACTIVE, incoming_scope="profile")
    see(browser.get(page_of(link, "scopes/")))
    see(browser.post(page_of(link, "scopes/"), {"scopes": ["history"]}))
    see(browser.get(page_of(link, "disconnect/")))
    see(browser.post(page_of(link, "disconnect/?start-over"), follow=True))


def test_the_end_of_a_link_whose_peer_is_told_and_of_one_whose_peer_is_not(
    browser: Client, user: Any, make_peer: MakePeer, see: See
) -> None:
    for number, endpoint in enumerate(("https://music.example/revoke/", "")):
        peer = make_peer(f"music-{number}", homepage=HOME, revocation_endpoint=endpoint)
        link = make_link(user, peer, refresh_token=Secret("refresh"), bound_to=peer.bound_to)
        see(browser.get(page_of(link, "disconnect/?start-over")))


# Refusals


def test_a_site_that_does_not_allow_it(
    browser: Client, user: Any, peer: Peer, rules: Rules, see: See
) -> None:
    link = make_link(user, peer, **ASKED)
    rules.refused = {"alice"}

    see(browser.get(page_of(link, "consent/")))
    asked = {
        "response_type": "code",
        "client_id": peer.application.client_id,
        "redirect_uri": peer.application.redirect_uris,
        "scope": "profile",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    response = browser.get("/o/authorize/", asked)
    assert response.status_code == 403
    see(response)


def test_a_database_that_is_busy(browser: Client, peer: Peer, see: See) -> None:
    with fails("SELECT", "reciprocal_oauth_peer", times=9):
        response = browser.get(LIST)

    assert response.status_code == 503
    see(response)


def test_the_application_of_a_peer_is_neither_changed_nor_deleted(
    browser: Client, user: Any, application: Any, see: See
) -> None:
    application.user = user
    application.save()
    fields = ("name", "client_id", "client_secret", "client_type", "redirect_uris")
    form = {name: getattr(application, name) for name in fields}
    form["authorization_grant_type"] = application.authorization_grant_type
    page = f"/o/applications/{application.pk}"

    for response in (browser.post(f"{page}/update/", form), browser.post(f"{page}/delete/")):
        assert response.status_code == 409
        see(response)


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_invitation_that_is_opened_in_a_browser(
    client: Client, db: None, see: See, settings: Settings, language: str
) -> None:
    settings.LANGUAGE_CODE = language

    see(client.get(f"{LIST}pair/"))


def test_what_a_page_must_not_have_is_seen(
    browser: Client, screen: Screen, strict_policy: None
) -> None:
    """Otherwise, all tests here would pass whatever the pages are."""
    response = browser.get(LIST)
    fault = b'<p style="color: red">inline</p><img src="/x.png"></main>'
    response.content = response.content.replace(b"</main>", fault)

    assert [each for each in screen.show(response) if "Content Security Policy" in each] != []
    assert screen.faults("html") != []
