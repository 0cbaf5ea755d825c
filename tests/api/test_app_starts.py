"""The way of an app: the API gives it a URL, the browser of the system opens the URL, and the
person returns to the app with the result (RFC 8252, sections 6 and 7)."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import pytest
import time_machine
from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from ..party_a.visits import fill_in, hidden_fields
from .conftest import BOTH_SCOPES, Api, problem

RETURN_TO = "com.example.app:/connected"
STATE = "a state & of the app"


@pytest.fixture(autouse=True)
def allowed(site: Settings) -> None:
    site.RECIPROCAL_OAUTH = {
        **site.RECIPROCAL_OAUTH,
        "API_RETURN_TO": [RETURN_TO, "https://app.example/done?from=site", "http://127.0.0.1/back"],
    }


def start(api: Api, **body: str) -> str:
    """The address that the app opens in the browser, without the host."""
    response = api.post("/peers/music/start/", {"return_to": RETURN_TO, "state": STATE, **body})
    assert response.status_code == 200, response.content
    url: str = response.said["url"]
    assert url.startswith("http://testserver/connections/music/start/?start=")
    return url.removeprefix("http://testserver")


def press(browser: Client, url: str) -> Any:
    """Open the address and press the button: what the browser gets."""
    page = browser.get(url)
    assert page.status_code == 200, page
    return browser.post(urlsplit(url).path, hidden_fields(page))


def come_back(browser: Client, url: str, **answer: str) -> Any:
    """Press the button, and come back from the peer."""
    response = press(browser, url)
    assert response.status_code == 303, response.content
    state = parse_qs(urlsplit(response["Location"]).query)["state"][0]
    return browser.get(
        "/connections/music/callback/", {"state": state, **(answer or {"code": "code-of-b"})}
    )


def result(browser: Client, response: Any) -> dict[str, str]:
    """What the app gets: follow the redirect to the page that opens the app."""
    assert response.status_code in (302, 303), response
    page = browser.get(response["Location"])
    assert page.status_code == 200
    url = page["Refresh"].removeprefix("0; url=")
    assert f'href="{url.replace("&", "&amp;")}"' in page.content.decode()
    assert url.startswith(f"{RETURN_TO}?")
    return dict(parse_qsl(urlsplit(url).query))


# The whole way


@pytest.mark.rfc("8252", "7.1")
def test_the_person_connects_and_returns_to_the_app(
    api: Api, browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    question = come_back(browser, start(api), code="code-of-b", reciprocal="profile")["Location"]
    link = Link.objects.get()
    assert question.startswith(f"/connections/links/{link.pk}/consent/?visit=")

    answered = fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})

    assert result(browser, answered) == {
        "peer": "music",
        "result": "linked",
        "link": str(link.pk),
        "state": STATE,
    }
    assert api.get(f"/links/{link.pk}/").said["incoming"]["state"] == "granted"


def test_a_person_who_denies_the_other_direction_returns_too(
    api: Api, browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    question = come_back(browser, start(api), code="code-of-b", reciprocal="profile")["Location"]

    answered = fill_in(browser, question, {"answer": "deny"})

    assert result(browser, answered)["result"] == "one_way"


def test_a_person_who_is_asked_nothing_returns_at_once(
    api: Api, browser: Client, peer: Peer, fake_peer: FakePeer
) -> None:
    Peer.objects.update(preconfigured_scope="")

    back = come_back(browser, start(api))

    said = result(browser, back)
    assert said["result"] == "one_way"
    assert said["link"] == str(Link.objects.get().pk)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("access_denied", {"result": "denied", "problem": "denied"}),
        ("invalid_request", {"result": "failed", "problem": "setup"}),
    ],
)
def test_the_app_is_told_what_went_wrong(
    api: Api, browser: Client, peer: Peer, error: str, said: dict[str, str]
) -> None:
    back = come_back(browser, start(api), error=error)

    assert result(browser, back) == {"peer": "music", "state": STATE, **said}
    assert not Link.objects.exists()


def test_a_person_who_cancels_on_our_page_returns_to_the_app(
    api: Api, browser: Client, peer: Peer
) -> None:
    page = browser.get(start(api)).content.decode()

    (cancel,) = re.findall(r'href="(com\.example\.app:[^"]*)"', page)

    query = parse_qsl(urlsplit(cancel.replace("&amp;", "&")).query)
    assert dict(query) == {"peer": "music", "result": "denied", "state": STATE}
    assert not AuthorizationRequest.objects.exists()


def test_the_page_says_which_app_which_peer_and_which_account(
    api: Api, browser: Client, peer: Peer
) -> None:
    get_application_model().objects.filter(client_id="app").update(name="Lights <b>")

    page = browser.get(start(api)).content.decode()

    for text in ("Connect Music?", "Lights &lt;b&gt;", "alice"):
        assert text in page


def test_without_a_place_to_return_to_the_person_stays_here(
    api: Api, browser: Client, peer: Peer
) -> None:
    url = api.post("/peers/music/start/", {}).said["url"].removeprefix("http://testserver")

    question = come_back(browser, url)["Location"]
    answered = fill_in(browser, question, {"answer": "deny"})

    link = Link.objects.get()
    assert question == f"/connections/links/{link.pk}/consent/"
    assert answered["Location"] == f"/connections/links/{link.pk}/"


@pytest.mark.rfc("8252", "7.3")
@pytest.mark.parametrize(
    "return_to", ["https://app.example/done?from=site", "http://127.0.0.1:49152/back"]
)
def test_web_addresses_of_apps_work_too(
    api: Api, browser: Client, peer: Peer, return_to: str
) -> None:
    back = come_back(browser, start(api, return_to=return_to), error="access_denied")

    page = browser.get(back["Location"])
    join = "&" if "?" in return_to else "?"
    assert page["Refresh"].startswith(f"0; url={return_to}{join}peer=music&result=denied")


def test_a_front_end_with_a_session_can_start_in_another_browser_too(
    front_end: Api, user: Any, peer: Peer
) -> None:
    other = Client()
    other.force_login(user)

    assert come_back(other, start(front_end)).status_code == 303


# Who may start


@pytest.mark.threat("A2")
def test_starting_needs_the_scope_to_change_links(api_with: Callable[..., Api], peer: Peer) -> None:
    response = api_with("reciprocal:read").post("/peers/music/start/", {})

    assert problem(response) == (403, "insufficient_scope")


@pytest.mark.threat("AP5")
def test_a_peer_may_not_start(
    link: Link, application: Any, make_token: Callable[..., Any], make_peer: Callable[..., Peer]
) -> None:
    """Not for itself, and not for another peer, even if it may manage links."""
    make_peer("heating")
    Peer.objects.filter(pk=link.peer_id).update(allowed_scope=f"profile {BOTH_SCOPES}")
    Link.objects.update(incoming_scope=f"profile {BOTH_SCOPES}")
    token = make_token(application, link.user, f"profile {BOTH_SCOPES}")
    peers_own = Api(Client(), {"Authorization": f"Bearer {token.raw}"})

    for slug in ("music", "heating"):
        assert problem(peers_own.post(f"/peers/{slug}/start/", {})) == (403, "own_access")


@pytest.mark.threat("AP5")
def test_a_token_without_an_application_starts_nothing(api: Api, peer: Peer) -> None:
    """DOT stores such tokens if another authorization server has issued them (RFC 7662). Nobody can
    say that they are not those of a peer."""
    get_access_token_model().objects.update(application=None)

    assert problem(api.post("/peers/music/start/", {})) == (403, "unknown_application")


@pytest.mark.threat("AP5")
@pytest.mark.parametrize("becomes", ["a peer", "nothing"])
def test_an_app_that_became_a_peer_or_was_deleted_starts_no_more(
    api: Api, app: Any, browser: Client, peer: Peer, becomes: str
) -> None:
    url = start(api)
    if becomes == "a peer":
        Peer.objects.update(application=app)
    else:
        app.delete()

    assert browser.get(url).status_code == 400


def test_a_peer_that_cannot_be_connected_cannot_be_started(
    api: Api, make_peer: Callable[..., Peer]
) -> None:
    make_peer("off", enabled=False)

    assert problem(api.post("/peers/off/start/", {})) == (404, "not_found")
    assert problem(api.post("/peers/unknown/start/", {})) == (404, "not_found")


@pytest.mark.parametrize("state", ["", "a" * 201, "a\nb", "ä", 1])
def test_a_state_that_cannot_be_echoed_is_refused(api: Api, peer: Peer, state: Any) -> None:
    response = api.post("/peers/music/start/", {"state": state})

    assert problem(response) == (400, "invalid")
    assert [error["field"] for error in response.said["errors"]] == ["state"]


# Whose browser


@pytest.mark.threat("AP1")
@pytest.mark.rfc("6749", "10.12")
def test_a_start_in_the_browser_of_somebody_else_does_nothing(
    api: Api, other_user: Any, peer: Peer, fake_peer: FakePeer
) -> None:
    """An attacker opens their own start at a victim's: the account of the victim at the peer is not
    linked to the attacker, and the page does not tell who the attacker is."""
    victim, url = Client(), start(api)
    victim.force_login(other_user)

    page = victim.get(url)
    pressed = victim.post(urlsplit(url).path, dict(parse_qsl(urlsplit(url).query)))

    for response in (page, pressed):
        assert response.status_code == 403
        assert "Signed in here as" in response.content.decode()
        assert "alice" not in response.content.decode()
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.threat("AP1")
def test_a_start_is_no_login(api: Api, peer: Peer) -> None:
    """Nobody is signed in: the login page comes first, then the start."""
    url = start(api)
    nobody = Client()

    login = nobody.get(url)
    pressed = nobody.post(urlsplit(url).path, dict(parse_qsl(urlsplit(url).query)))

    for response in (login, pressed):
        assert response.status_code == 302
        (next_url,) = parse_qs(urlsplit(response["Location"]).query)["next"]
        assert unquote(next_url) == unquote(url)
    assert not AuthorizationRequest.objects.exists()
    assert "sessionid" not in nobody.cookies


@pytest.mark.threat("AP2")
def test_opening_the_address_alone_starts_nothing(
    api: Api, user: Any, browser: Client, peer: Peer
) -> None:
    """The page needs a press of its button, with the CSRF token."""
    url = start(api)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)

    assert strict.get(url).status_code == 200
    start_text = dict(parse_qsl(urlsplit(url).query))
    assert strict.post(urlsplit(url).path, start_text).status_code == 403
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.threat("AP2")
def test_the_page_cannot_be_framed_and_is_not_stored(api: Api, browser: Client, peer: Peer) -> None:
    page = browser.get(start(api))

    assert page["X-Frame-Options"] == "DENY"
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "same-origin"


def test_a_session_cookie_that_the_browser_held_back_is_asked_for_again(
    api: Api, browser: Client, user: Any, peer: Peer, settings: Settings
) -> None:
    settings.SESSION_COOKIE_SAMESITE = "Strict"
    url = start(api)

    first = Client().get(url)
    (again,) = set(re.findall(r'href="([^"]*)"', first.content.decode()))

    path = urlsplit(url).path
    assert browser.get(path + again.replace("&amp;", "&")).status_code == 200


# How often, and how long


@pytest.mark.threat("AP3")
def test_a_start_begins_one_connection(api: Api, browser: Client, peer: Peer) -> None:
    url = start(api)
    page = browser.get(url)
    fields = hidden_fields(page)

    answers = [browser.post(urlsplit(url).path, fields).status_code for _ in range(2)]

    assert answers == [303, 409]
    assert AuthorizationRequest.objects.count() == 1


@pytest.mark.threat("AP3")
@pytest.mark.parametrize(("seconds", "status"), [(290, 200), (301, 410)])
def test_a_start_can_be_opened_for_five_minutes(
    api: Api, browser: Client, peer: Peer, seconds: int, status: int
) -> None:
    response = api.post("/peers/music/start/", {"return_to": RETURN_TO, "state": STATE})
    assert response.said["expires_in"] == 300
    url = response.said["url"].removeprefix("http://testserver")

    with time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False):
        page = browser.get(url)

    assert page.status_code == status
    if status == 410:
        assert "result=failed&amp;problem=too_late" in page.content.decode()


def test_a_person_may_take_their_time_on_the_page(api: Api, browser: Client, peer: Peer) -> None:
    url = start(api)
    fields = hidden_fields(browser.get(url))

    with time_machine.travel(timezone.now() + timedelta(seconds=1500), tick=False):
        assert browser.post(urlsplit(url).path, fields).status_code == 303
    with time_machine.travel(timezone.now() + timedelta(seconds=2200), tick=False):
        assert browser.post(urlsplit(url).path, fields).status_code == 410


def test_a_person_whose_session_has_ended_on_the_page_signs_in_again(
    api: Api, browser: Client, peer: Peer, user: Any
) -> None:
    url = start(api)
    page = browser.get(url)
    browser.logout()

    response = browser.post(urlsplit(url).path, hidden_fields(page))

    assert response.status_code == 302
    login = urlsplit(response["Location"])
    assert login.path == "/accounts/login/"
    browser.force_login(user)
    assert press(browser, dict(parse_qsl(login.query))["next"]).status_code == 303


@pytest.mark.threat("AP4")
def test_a_start_that_was_changed_or_made_up_is_refused(
    api: Api, browser: Client, user: Any, peer: Peer, make_peer: Callable[..., Peer]
) -> None:
    make_peer("heating")
    url = start(api)
    text = dict(parse_qsl(urlsplit(url).query))["start"]
    values = [str(user.pk), str(peer.pk), "", RETURN_TO, ""]
    made_up = [
        "",
        "x",
        text[:-1],
        text.replace(":", "::"),
        signing.dumps(values),
        signing.dumps(values, salt="another purpose"),
        "\x00",
    ]

    for each in made_up:
        assert browser.get("/connections/music/start/", {"start": each}).status_code == 400, each
    # For another peer than the one that the app asked for.
    assert browser.get("/connections/heating/start/", {"start": text}).status_code == 400
    assert browser.get("/connections/unknown/start/", {"start": text}).status_code == 404


# Where to return to


@pytest.mark.threat("AP6")
@pytest.mark.parametrize(
    "return_to",
    [
        "com.example.app:/other",
        "com.example.app://connected",
        "com.example.app:/connected/more",
        "com.example.app:/connected?x",
        "COM.example.app:/connected",
        "com.example.evil:/connected",
        "http://127.0.0.1:0/back",
        "http://127.0.0.1:65536/back",
        "http://127.0.0.1:080/back",
        "http://127.0.0.1:8000/other",
        "http://127.0.0.1:8000@evil.example/back",
        "http://localhost:8000/back",
        "http://127.0.0.2:8000/back",
        "https://127.0.0.1:8000/back",
        "javascript:alert(1)",
        "intent:/connected",
        "file:/connected",
    ],
)
def test_people_are_sent_to_no_other_app(api: Api, peer: Peer, return_to: str) -> None:
    response = api.post("/peers/music/start/", {"return_to": return_to})

    assert problem(response) == (403, "return_to_not_allowed")


@pytest.mark.threat("AP6")
def test_an_app_that_is_allowed_no_longer_is_not_opened(
    api: Api, browser: Client, peer: Peer, site: Settings
) -> None:
    url = start(api)
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "API_RETURN_TO": []}

    page = browser.get(url)
    back = browser.get(come_back(browser, url, error="access_denied")["Location"])

    assert "com.example.app" not in page.content.decode()
    assert back.status_code == 302
    assert back["Location"].startswith("/connections/?attempt=")


def test_a_session_in_a_browser_does_not_return_to_an_app(front_end: Api, peer: Peer) -> None:
    """The callback redirects, and a browser that opens no app for it would show nothing."""
    response = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO})

    assert problem(response) == (403, "return_to_not_allowed")


@pytest.mark.threat("A1")
def test_the_way_back_is_for_the_person_who_went(
    api: Api, browser: Client, other_user: Any, peer: Peer
) -> None:
    back = come_back(browser, start(api), error="access_denied")["Location"]
    other = Client()
    other.force_login(other_user)

    assert other.get(back).status_code == 404
    assert Client().get(back).status_code == 302


def test_a_visit_of_another_link_returns_to_no_app(
    api: Api, browser: Client, peer: Peer, fake_peer: FakePeer, make_peer: Callable[..., Peer]
) -> None:
    """The query of the consent page can name any visit."""
    url = start(api)
    failed = come_back(browser, url, error="access_denied")["Location"].split("/")[3]
    question = come_back(browser, start(api, state="second"))["Location"].partition("?")[0]

    for visit in (failed, "made-up", ""):
        answered = fill_in(browser, f"{question}?visit={visit}", {"answer": "deny"})
        assert answered["Location"] == f"/connections/links/{Link.objects.get().pk}/"


@pytest.mark.threat("A7")
def test_a_token_is_neither_in_the_address_nor_of_use_after_it_was_revoked(
    api: Api, browser: Client, peer: Peer
) -> None:
    """The start outlives the token: what it begins is decided by the person in the browser."""
    token = api.headers["Authorization"].removeprefix("Bearer ")
    url = start(api)
    get_access_token_model().objects.all().delete()

    assert token not in url
    assert browser.get(url).status_code == 200
    assert problem(api.post("/peers/music/start/", {})) == (401, "invalid_token")


# A site that asks for the password again


def reauthenticate(request: HttpRequest, next_url: str) -> HttpResponse | None:
    """The function of the site: it asks until the session says that the person has answered."""
    if request.session.get("answered"):
        return None
    return HttpResponseRedirect(f"/password/?{urlencode({'next': next_url})}")


@pytest.mark.parametrize("seen", [True, False])
def test_a_site_that_asks_for_the_password_again_does_so_here(
    api: Api, browser: Client, peer: Peer, site: Settings, seen: bool
) -> None:
    """Also if the person saw the page before the site wanted it."""
    url = start(api)
    fields = hidden_fields(browser.get(url))
    path = f"{__name__}.{reauthenticate.__name__}"
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "REAUTHENTICATE": path}

    asked = browser.post(urlsplit(url).path, fields) if seen else browser.get(url)

    assert asked["Location"] == f"/password/?{urlencode({'next': url})}"
    assert not AuthorizationRequest.objects.exists()
    session = browser.session
    session["answered"] = True
    session.save()
    assert press(browser, url).status_code == 303


@pytest.mark.threat("RV1")
def test_the_api_is_no_way_around_the_question(
    front_end: Api, browser: Client, peer: Peer, site: Settings
) -> None:
    """A stranger at an open browser can call the API with its session."""
    path = f"{__name__}.{reauthenticate.__name__}"
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "REAUTHENTICATE": path}

    refused = front_end.post("/peers/music/connect/", {})

    assert problem(refused) == (403, "reauthentication_required")
    assert not AuthorizationRequest.objects.exists()
    assert browser.get(start(front_end))["Location"].startswith("/password/?next=")
    session = browser.session
    session["answered"] = True
    session.save()
    assert front_end.post("/peers/music/connect/", {}).status_code == 200
