"""What Django's error reports show when something fails in the middle: nothing that is secret."""

import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from django.core.signals import got_request_exception
from django.test import Client
from django.views.debug import ExceptionReporter
from oauth2_provider.models import get_grant_model
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import Link, Peer

from .conftest import OUR_SECRET, PEER_SECRET, basic, post_form
from .fakes import FakePeer, Reply, token_response

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("X3", "F18")]

CODE = "c4nary.code"
TOKENS = {"access_token": "c4nary.access", "refresh_token": "c4nary.refresh"}
SECRETS = [CODE, *TOKENS.values(), OUR_SECRET, PEER_SECRET, "token-of-the-peer", "refresh-of-the"]


def _report(*exception: Any, request: Any = None) -> str:
    """A report as it is sent by mail: as text, and as HTML with the variables of every frame."""
    reporter = ExceptionReporter(request, *exception, is_email=True)
    text = f"{reporter.get_traceback_text()}\n{reporter.get_traceback_html()}"
    assert "forced fault" in text
    return text


class Reports:
    """The reports of the requests that failed."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, sender: Any, request: Any, **kwargs: Any) -> None:
        self.texts.append(_report(*sys.exc_info(), request=request))

    def check(self, *more: str) -> None:
        (text,) = self.texts
        assert [secret for secret in [*SECRETS, *more] if secret in text] == []


@pytest.fixture
def reports(settings: Settings) -> Iterator[Reports]:
    settings.DEBUG = False
    reports = Reports()
    got_request_exception.connect(reports.note)
    yield reports
    got_request_exception.disconnect(reports.note)


@pytest.fixture
def fail_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def force(place: str) -> None:
        monkeypatch.setattr(place, Mock(side_effect=RuntimeError("forced fault")))

    return force


@pytest.fixture
def anyone(client: Client) -> Client:
    client.raise_request_exception = False
    return client


Fail = Callable[[str], None]


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_a.callback.hash_of",
        "reciprocal_oauth.client.token_endpoint.http.call",
        "reciprocal_oauth.client.token_endpoint._token",
        "reciprocal_oauth.party_a.exchange.offered_scope",
        "reciprocal_oauth.access_there.store",
        "reciprocal_oauth.party_a.exchange.record",
        "requests.Session.send",
        "urllib3.connectionpool.HTTPConnectionPool.urlopen",
    ],
)
def test_in_the_callback(
    place: str, peer: Peer, fake_peer: FakePeer, browser: Client, reports: Reports, fail_in: Fail
) -> None:
    fake_peer.answers["/token/"] = token_response(**TOKENS)
    browser.raise_request_exception = False
    started = browser.post("/connections/music/connect/")
    state = parse_qs(urlsplit(started["Location"]).query)["state"][0]
    fail_in(place)

    response = browser.get("/connections/music/callback/", {"code": CODE, "state": state})

    if response.status_code == 500:
        reports.check(state)
    else:
        assert response.status_code == 303  # A fault below the door is a peer that is not there.
        assert reports.texts == []


@pytest.mark.parametrize(
    "place",
    ["reciprocal_oauth.party_a.consent.queue_handover", "reciprocal_oauth.access_here.narrow"],
)
def test_in_the_consent(
    place: str, link_as_a: Link, browser: Client, reports: Reports, fail_in: Fail
) -> None:
    browser.raise_request_exception = False
    fail_in(place)

    browser.post(
        f"/connections/links/{link_as_a.pk}/consent/", {"answer": "allow", "scopes": ["playback"]}
    )

    reports.check()


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_b.receive.link_of_token",
        "reciprocal_oauth.party_b.receive.hash_of",
        "reciprocal_oauth.dialects.ietf.parse_form",
        "oauth2_provider.oauth2_validators.OAuth2Validator.authenticate_client",
        "oauth2_provider.oauth2_backends.OAuthLibCore.create_token_response",
    ],
)
def test_in_the_token_view_at_a_hand_over(
    place: str,
    token_of_a: Any,
    hand_over: Callable[..., Any],
    anyone: Client,
    reports: Reports,
    fail_in: Fail,
) -> None:
    fail_in(place)

    response = hand_over(code=CODE, access_token=token_of_a.raw)

    assert response.status_code == 500
    reports.check(token_of_a.raw, basic("music-here", PEER_SECRET)["Authorization"])


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.provider.peer_tokens._family_of",
        "oauth2_provider.oauth2_validators.OAuth2Validator._save_bearer_token",
        "oauthlib.oauth2.rfc6749.tokens.BearerToken.create_token",
    ],
)
def test_in_the_token_view_at_a_refresh(
    place: str, token_of_a: Any, anyone: Client, reports: Reports, fail_in: Fail
) -> None:
    fail_in(place)

    response = post_form(
        anyone,
        {"grant_type": "refresh_token", "refresh_token": token_of_a.raw_refresh},
        basic("music-here", PEER_SECRET),
    )

    assert response.status_code == 500
    reports.check(token_of_a.raw, token_of_a.raw_refresh)


def test_in_the_authorization_view(
    browser: Client, application: Any, reports: Reports, fail_in: Fail
) -> None:
    browser.raise_request_exception = False
    query = {
        "response_type": "code",
        "client_id": application.client_id,
        "redirect_uri": application.redirect_uris,
        "scope": "playback",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
    }
    fail_in("reciprocal_oauth.party_b.scope_request.parameters")

    browser.post(f"/o/authorize/?{urlencode(query)}", {**query, "allow": "Authorize"})

    reports.check(get_grant_model().objects.get().code)


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.dialects.ietf.meaning_of",
        "reciprocal_oauth.client.token_endpoint.quote_plus",
        "reciprocal_oauth.client.token_endpoint.http.call",
        "reciprocal_oauth.party_a.codes.hash_of",
        "reciprocal_oauth.party_a.codes.get_grant_model",
    ],
)
def test_in_the_worker(
    place: str,
    link_as_a: Link,
    fake_peer: FakePeer,
    browser: Client,
    fail_in: Fail,
    caplog: pytest.LogCaptureFixture,
) -> None:
    browser.post(
        f"/connections/links/{link_as_a.pk}/consent/", {"answer": "allow", "scopes": ["playback"]}
    )
    fail_in(place)

    worker.drain()

    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.exc_info
    text = _report(*record.exc_info)
    assert [secret for secret in SECRETS if secret in text] == []
    assert not [each.form["code"] for each in fake_peer.to("/token/") if each.form["code"] in text]


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.access_there.store",
        "reciprocal_oauth.client.token_endpoint._token",
        "urllib3.connectionpool.HTTPConnectionPool.urlopen",
    ],
)
def test_in_a_view_of_the_site_that_calls_the_peer(
    place: str, link_as_a: Link, fake_peer: FakePeer, fail_in: Fail
) -> None:
    fake_peer.answers["/token/"] = token_response(**TOKENS)
    fake_peer.answers["/api/"] = Reply(401, b"")
    fail_in(place)

    with pytest.raises(Exception) as caught:  # noqa: PT011  Whatever comes of it.
        reciprocal_oauth.get_session(link_as_a).get(f"{fake_peer.url}/api/")

    text = _report(caught.type, caught.value, caught.tb)
    assert [secret for secret in SECRETS if secret in text] == []
