"""What Django's error reports show when something fails in the middle: nothing that is secret."""

import logging
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlencode, urlsplit

import django
import pytest
from cryptography.fernet import Fernet
from django.core import mail
from django.core.signals import got_request_exception
from django.db import DatabaseError
from django.test import Client
from django.utils.log import AdminEmailHandler
from django.views.debug import ExceptionReporter
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
)
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from .. import sentry
from ..conftest import OUR_SECRET, PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Reply, token_response
from ..party_a.visits import fill_in
from ..provider.conftest import (
    dot_settings,
    make_application,
    openid_connect,
    reciprocal_code,
    signing_key,
)

__all__ = ["dot_settings", "make_application", "openid_connect", "reciprocal_code", "signing_key"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("X3", "X101", "F18")]

CODE = "c4nary.code"
TOKENS = {"access_token": "c4nary.access", "refresh_token": "c4nary.refresh"}
WHERE_PROXIES_COPY_ADDRESSES = (
    "HTTP_X_ENVOY_ORIGINAL_PATH",
    "HTTP_X_FORWARDED_URI",
    "HTTP_X_ORIGINAL_URI",
    "HTTP_X_ORIGINAL_URL",
    "HTTP_X_REWRITE_URL",
)
WHERE_ADDRESSES_ARE_COPIED = ("HTTP_REFERER", "HTTP_X_SOME_PROXY", "REQUEST_LINE")
#: Secrets that were made up while a test ran.
DYNAMIC: list[str] = []
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
        assert_clean(text, *more)


def assert_clean(text: str, *more: str) -> None:
    DYNAMIC.extend(more)
    assert [secret for secret in [*SECRETS, *more] if secret in text] == []


@pytest.fixture(autouse=True)
def nothing_secret_goes_to_sentry() -> Iterator[None]:
    """Every fault of this module is looked at by sentry-sdk as well, where it is installed."""
    DYNAMIC.clear()
    if not sentry.IS_INSTALLED:
        yield
        return
    with sentry.sending() as sent:
        yield
    assert_clean("\n".join(sent.texts), *DYNAMIC)


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
def mails(settings: Settings) -> Iterator[Callable[[], str]]:
    """What Django mails to the administrators, as text and as HTML."""
    settings.DEBUG = False
    address = "admin@example.com"
    settings.ADMINS = [address if django.VERSION >= (6, 0) else ("Admin", address)]
    handler = AdminEmailHandler(include_html=True)
    handler.setLevel(logging.ERROR)
    logging.getLogger().addHandler(handler)

    def read() -> str:
        assert mail.outbox
        return "\n".join(f"{each.body}\n{each.alternatives}" for each in mail.outbox)

    yield read
    logging.getLogger().removeHandler(handler)


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
        "reciprocal_oauth.links.outgoing_access.set_tokens",
        "reciprocal_oauth.party_a.exchange.record_event",
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

    response = get_raw(browser)("/connections/music/callback/", {"code": CODE, "state": state})

    if response.status_code == 500:
        reports.check(state)
    else:
        assert response.status_code == 303  # A fault below the door is a peer that is not there.
        assert reports.texts == []


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_a.consent.queue_handover",
        "reciprocal_oauth.links.incoming_access.narrow_tokens",
    ],
)
def test_in_the_consent(
    place: str, link_as_a: Link, browser: Client, reports: Reports, fail_in: Fail
) -> None:
    browser.raise_request_exception = False
    fail_in(place)

    question = f"/connections/links/{link_as_a.pk}/consent/"
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})

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
        "reciprocal_oauth.provider.token_rules._saved_family",
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


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_a.redemption.check_redeemable",
        "reciprocal_oauth.party_a.redemption.complete",
        "oauthlib.oauth2.rfc6749.tokens.BearerToken.create_token",
    ],
)
def test_in_the_token_view_at_a_redemption(
    place: str,
    reciprocal_code: Callable[..., str],
    anyone: Client,
    reports: Reports,
    fail_in: Fail,
) -> None:
    code = reciprocal_code()
    fail_in(place)

    response = post_form(
        anyone,
        {"grant_type": "authorization_code", "code": code},
        basic("music-here", PEER_SECRET),
    )

    assert response.status_code == 500
    reports.check(code)


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.links.lifecycle.end_link",
        "oauth2_provider.oauth2_validators.OAuth2Validator.authenticate_client",
        "oauth2_provider.oauth2_validators.OAuth2Validator.revoke_token",
    ],
)
@pytest.mark.parametrize("how", ["header", "body", "query"])
def test_in_the_revocation(
    place: str, how: str, token_of_a: Any, anyone: Client, reports: Reports, fail_in: Fail
) -> None:
    fail_in(place)
    token = {"token": token_of_a.raw_refresh}
    secret = {"client_id": "music-here", "client_secret": PEER_SECRET}

    match how:
        case "header":
            headers = basic("music-here", PEER_SECRET)
            response = post_form(anyone, token, headers, "/o/revoke_token/")
        case "body":
            response = post_form(anyone, {**token, **secret}, {}, "/o/revoke_token/")
        case "query":
            # Refused by oauthlib, and still a token in a report.
            response = send_raw(anyone.post, "/o/revoke_token/", {**token, **secret})

    if response.status_code == 500:
        reports.check(token_of_a.raw_refresh)
    else:
        assert (how, response.status_code) == ("query", 400)


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.provider.token_rules.may_hold_tokens",
        "oauth2_provider.views.IntrospectTokenView.get_token_response",
        "oauth2_provider.oauth2_validators.OAuth2Validator.authenticate_client",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
def test_in_the_introspection(
    place: str, method: str, token_of_a: Any, anyone: Client, reports: Reports, fail_in: Fail
) -> None:
    fail_in(place)
    send = anyone.post if method == "post" else get_raw(anyone)

    response = send(
        "/o/introspect/", {"token": token_of_a.raw}, headers=basic("music-here", PEER_SECRET)
    )

    assert response.status_code == 500
    reports.check(token_of_a.raw)


def get_raw(client: Client) -> Callable[..., Any]:
    """GET as it comes from gunicorn or uWSGI, which keep the address as it arrived as well."""

    def get(path: str, parameters: dict[str, str], **options: Any) -> Any:
        return send_raw(client.get, path, parameters, **options)

    return get


def send_raw(send: Any, path: str, parameters: dict[str, str], **options: Any) -> Any:
    """As servers and proxies hand it on; some of them write another host or other escapes."""
    url = f"{path}?{urlencode(parameters)}"
    escaped = url.replace(".", "%2E") + f"&copy={url}"
    copies = dict.fromkeys(WHERE_ADDRESSES_ARE_COPIED, f"http://testserver{url}")
    escapes = dict.fromkeys(WHERE_PROXIES_COPY_ADDRESSES, escaped)
    return send(url, RAW_URI=url, REQUEST_URI=url, **copies, **escapes, **options)


@pytest.mark.parametrize(
    "place",
    [
        "oauth2_provider.oauth2_validators.OAuth2Validator.get_userinfo_claims",
        "oauth2_provider.oauth2_validators.OAuth2Validator._load_access_token",
    ],
)
@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.usefixtures("openid_connect")
def test_at_the_user_info(
    place: str,
    method: str,
    make_application: Callable[..., Any],
    user: Any,
    make_token: Callable[..., Any],
    anyone: Client,
    reports: Reports,
    fail_in: Fail,
) -> None:
    """RFC 6750 has three places for the token."""
    token = make_token(make_application(), user, "openid")
    fail_in(place)
    send = anyone.post if method == "post" else get_raw(anyone)

    response = send("/o/userinfo/", {"access_token": token.raw})

    assert response.status_code == 500
    reports.check(token.raw)


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.usefixtures("openid_connect")
def test_at_the_logout(
    method: str, dot_settings: Callable[..., None], browser: Client, reports: Reports, fail_in: Fail
) -> None:
    dot_settings(OIDC_RP_INITIATED_LOGOUT_ENABLED=True)
    browser.raise_request_exception = False
    fail_in("oauth2_provider.oauth2_validators.OAuth2Validator._get_key_for_token")
    send = browser.post if method == "post" else get_raw(browser)

    response = send("/o/logout/", {"id_token_hint": "c4nary.id-token", "allow": "yes"})

    assert response.status_code == 500
    reports.check("c4nary.id-token")


@pytest.mark.parametrize(
    "place",
    [
        "oauth2_provider.oauth2_backends.OAuthLibCore.create_device_authorization_response",
        "oauth2_provider.views.device.create_device_grant",
    ],
)
def test_where_a_device_asks_for_its_codes(
    place: str,
    application: Any,
    anyone: Client,
    reports: Reports,
    fail_in: Fail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    application.authorization_grant_type = "urn:ietf:params:oauth:grant-type:device_code"
    application.save()
    minted = "oauthlib.oauth2.rfc8628.endpoints.device_authorization.generate_token"
    monkeypatch.setattr(minted, lambda: "c4nary.device")
    fail_in(place)
    parameters = {"client_id": "music-here", "client_secret": PEER_SECRET, "scope": "playback"}

    response = anyone.post(
        "/o/device-authorization/",
        urlencode(parameters),
        content_type="application/x-www-form-urlencoded",
    )

    assert response.status_code == 500
    reports.check("c4nary.device")


@pytest.fixture
def open_registration(dot_settings: Callable[..., None]) -> None:
    """Every client may register itself (RFC 7591, section 3)."""
    dot_settings(
        DCR_ENABLED=True,
        DCR_REGISTRATION_PERMISSION_CLASSES=("oauth2_provider.dcr.AllowAllDCRPermission",),
    )


def test_where_clients_register_themselves(
    open_registration: None, anyone: Client, reports: Reports, fail_in: Fail
) -> None:
    fail_in("oauth2_provider.views.dynamic_client_registration._application_to_response")

    response = anyone.post(
        "/o/register/",
        {"redirect_uris": ["https://app.example/"]},
        content_type="application/json",
    )

    assert response.status_code == 500
    reports.check(get_access_token_model().objects.get().token)


def test_where_a_client_changes_its_registration(
    open_registration: None, anyone: Client, reports: Reports, fail_in: Fail
) -> None:
    metadata = {"redirect_uris": ["https://app.example/"]}
    client = anyone.post("/o/register/", metadata, content_type="application/json").json()
    token = client["registration_access_token"]
    fail_in("oauth2_provider.views.dynamic_client_registration._application_to_response")

    response = anyone.put(
        f"/o/register/{client['client_id']}/",
        {**metadata, "client_id": client["client_id"], "client_secret": client["client_secret"]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert response.status_code == 500
    reports.check(token, client["client_secret"])


@pytest.mark.parametrize("path", ["register", "{pk}/update"])
def test_where_an_application_is_registered_or_changed(
    browser: Client, user: Any, reports: Reports, fail_in: Fail, path: str
) -> None:
    app = get_application_model().objects.create(
        user=user,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://app.example/",
    )
    browser.raise_request_exception = False
    fail_in("oauth2_provider.forms.ApplicationForm.clean")

    response = browser.post(
        f"/o/applications/{path.format(pk=app.pk)}/", {"name": "app", "client_secret": PEER_SECRET}
    )

    assert response.status_code == 500
    reports.check()


def test_while_a_page_is_rendered(browser: Client, reports: Reports, fail_in: Fail) -> None:
    """Django does that when the view has long returned."""
    browser.raise_request_exception = False
    fail_in("django.forms.renderers.DjangoTemplates.get_template")

    # The form comes back, with what was filled in: it lacks a redirect URI.
    response = send_raw(
        browser.post,
        "/o/applications/register/",
        {"id_token_hint": "c4nary.query"},
        data={"name": "app", "client_secret": PEER_SECRET},
    )

    assert response.status_code == 500
    reports.check("c4nary.query")


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.links.lifecycle.queue_revocation",
        "reciprocal_oauth.links.incoming_access.revoke_incoming",
    ],
)
def test_in_disconnecting(
    place: str, link_as_a: Link, browser: Client, reports: Reports, fail_in: Fail
) -> None:
    browser.raise_request_exception = False
    fail_in(place)

    response = browser.post(f"/connections/links/{link_as_a.pk}/disconnect/")

    assert response.status_code == 500
    reports.check()


def test_an_answer_of_500_and_above_that_nothing_was_raised_for(
    hand_over: Callable[..., Any],
    token_of_a: Any,
    monkeypatch: pytest.MonkeyPatch,
    mails: Callable[[], str],
) -> None:
    """Django mails the request for these as well."""
    monkeypatch.setattr(
        "reciprocal_oauth.party_b.receive.hash_of", Mock(side_effect=DatabaseError("forced fault"))
    )

    response = hand_over(code=CODE, access_token=token_of_a.raw)

    assert response.status_code == 503
    text = mails()
    assert "POST:\ngrant_type = " in text
    assert "forced fault" in text
    assert_clean(text, token_of_a.raw)


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
        "reciprocal_oauth.dialects.ietf.handover_result",
        "reciprocal_oauth.client.token_endpoint.quote",
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
    question = f"/connections/links/{link_as_a.pk}/consent/"
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})
    fail_in(place)

    worker.drain()

    (record,) = [each for each in caplog.records if each.exc_info]
    assert record.exc_info
    text = _report(*record.exc_info)
    assert_clean(text)
    assert not [each.form["code"] for each in fake_peer.to("/token/") if each.form["code"] in text]


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.links.outgoing_access.set_tokens",
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

    assert_clean(_report(caught.type, caught.value, caught.tb))


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_b.redeem.dialect_of",
        "reciprocal_oauth.client.token_endpoint.quote",
        "reciprocal_oauth.client.token_endpoint.http.call",
        "reciprocal_oauth.client.token_endpoint._token",
        "reciprocal_oauth.links.outgoing_access.set_tokens",
        "reciprocal_oauth.party_b.redeem.lifecycle.announce_two_way",
    ],
)
def test_in_the_worker_that_redeems(
    place: str,
    token_of_a: Any,
    hand_over: Callable[..., Any],
    fake_peer: FakePeer,
    fail_in: Fail,
    mails: Callable[[], str],
) -> None:
    fake_peer.answers["/token/"] = token_response(**TOKENS)
    assert hand_over(code=CODE, access_token=token_of_a.raw).status_code == 200
    fail_in(place)

    worker.drain()

    text = mails()
    assert "forced fault" in text
    assert "Traceback" in text
    assert_clean(text, token_of_a.raw)


def test_in_beginning_a_visit(
    peer: Peer, browser: Client, reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, str] = {}

    def fail(_url: str, parameters: dict[str, str]) -> str:
        asked.update(parameters)
        raise RuntimeError("forced fault")

    monkeypatch.setattr("reciprocal_oauth.party_a.authorization.request_url", fail)
    browser.raise_request_exception = False

    assert browser.post("/connections/music/connect/").status_code == 500

    verifier = AuthorizationRequest.objects.get().code_verifier.reveal()
    reports.check(asked["state"], verifier)


def test_where_one_of_the_keys_cannot_be_used(
    peer: Peer, browser: Client, settings: Settings, mails: Callable[[], str]
) -> None:
    """The others are good, and read every secret there is."""
    good = Fernet.generate_key().decode()
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ENCRYPTION_KEYS": [good, "broken"]}
    browser.raise_request_exception = False

    assert browser.post("/connections/music/connect/").status_code == 500

    assert_clean(mails(), good)
