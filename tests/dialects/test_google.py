"""Google Account Linking on the wire, as its pages say."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, TestCase
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from pytest_django import Settings

from reciprocal_oauth import take_handover
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.dialects.form import FORM_TYPE
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.testing import DialectContract

from ..conftest import OUR_SECRET, PEER_SECRET, always_had, post_form
from ..delivery.processes import soon
from ..fakes import FakePeer, Received, Reply
from ..party_a.visits import good_claims, id_token

pytestmark = pytest.mark.django_db

GRANT = "urn:ietf:params:oauth:grant-type:reciprocal"
ISSUER = "https://accounts.google.com"
FULFILMENT = "/connections/handover/google/"
DISCONNECT = (
    '{"requestId":"ff36a3cc-ec34-11e6-b1a0-64510650abcf",'
    '"inputs":[{"intent":"action.devices.DISCONNECT"}]}'
)


HandOver = Callable[..., Any]


class TestContract(DialectContract, TestCase):
    dialect_name = "google"

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        parameters = {
            "code": code,
            "grant_type": GRANT,
            "client_id": client_id,
            "client_secret": "secret-of-google",
            "access_token": access_token,
        }
        return RequestFactory().post("/o/token/", urlencode(parameters), content_type=FORM_TYPE)

    def notice_request(self, access_token: str) -> HttpRequest:
        return RequestFactory().post(
            FULFILMENT,
            DISCONNECT,
            content_type="application/json",
            headers={"Authorization": f"Bearer {access_token}"},
        )


@pytest.fixture
def google(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    """The peer that stands for Google. Its client ID here is ``google-here``."""
    fake_peer.answers["/token/"] = google_tokens()
    fake_peer.answers["/revoke/"] = Reply()
    peer = make_peer(
        "google",
        fake_peer.url,
        dialect="google",
        authorization_endpoint="",
        token_endpoint_auth_method="client_secret_post",
    )
    always_had(issuer=ISSUER)
    return peer


@pytest.fixture
def token(google: Peer, user: Any, make_token: Callable[..., Any]) -> Any:
    """The access token that Google holds here for alice."""
    return make_token(google.application, user, "playback")


@pytest.fixture
def hand_over(client: Client, google: Peer, token: Any) -> HandOver:
    """Posts the request of Google's page; keyword arguments replace parameters."""

    def post(**changes: Any) -> Any:
        parameters = {
            "code": "GOOGLE_AUTHORIZATION_CODE",
            "grant_type": GRANT,
            "client_id": google.application.client_id,
            "client_secret": PEER_SECRET,
            "access_token": token.raw,
            **changes,
        }
        return post_form(client, {k: v for k, v in parameters.items() if v is not None}, {})

    return post


@pytest.fixture
def disconnect(client: Client, google: Peer) -> Callable[..., Any]:
    """Posts the intent DISCONNECT to the fulfilment URL, with this access token."""

    def post(raw: str, body: str = DISCONNECT, scheme: str = "Bearer") -> Any:
        return client.post(
            FULFILMENT,
            body,
            content_type="application/json",
            headers={"Authorization": f"{scheme} {raw}"},
        )

    return post


def google_tokens(**claims: Any) -> Reply:
    """Google's response to a redeemed code, as on its page."""
    everything = {**good_claims(ISSUER, aud="us-at-google"), **claims}
    told = {name: value for name, value in everything.items() if value is not None}
    return Reply.json(
        200,
        access_token="Google-access-token",
        id_token=id_token(**told),
        expires_in=3599,
        token_type="Bearer",
        scope="openid",
        refresh_token="Google-refresh-token",
    )


def said(response: Any) -> tuple[int, Any, str | None]:
    """The status, the body and the challenge of a response."""
    return response.status_code, response.json(), response.get("WWW-Authenticate")


INTERNAL_ERROR = (500, {"error": "internal_error"}, None)
INVALID_REQUEST = (400, {"error": "invalid_request"}, None)
INVALID_TOKEN = (401, {"error": "invalid_token"}, 'Bearer error="invalid_token"')


# The hand-over


def test_a_code_is_redeemed_before_google_gets_its_response(
    hand_over: HandOver, fake_peer: FakePeer, google: Peer, user: Any
) -> None:
    response = hand_over()

    assert said(response) == (200, {}, None)
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    link = Link.objects.get()
    assert (link.user, link.is_two_way) == (user, True)
    assert link.access_token.reveal() == "Google-access-token"
    assert link.refresh_token.reveal() == "Google-refresh-token"
    (request,) = fake_peer.requests
    assert request.form == {
        "grant_type": "authorization_code",
        "code": "GOOGLE_AUTHORIZATION_CODE",
        "client_id": "us-at-google",
        "client_secret": OUR_SECRET,
    }
    assert "Authorization" not in request.headers


def test_the_account_at_google_is_the_one_in_the_id_token(hand_over: HandOver) -> None:
    hand_over()

    link = Link.objects.get()
    assert (link.subject, link.account_name) == ("account-1", "")
    assert link.account_key.startswith("family:"), "Google knows this link by its token here"


def test_the_same_hand_over_twice_redeems_the_code_once(
    hand_over: HandOver, fake_peer: FakePeer
) -> None:
    first, second = hand_over(), hand_over()

    assert said(first) == said(second) == (200, {}, None)
    assert len(fake_peer.requests) == 1


@pytest.mark.parametrize(
    "name", ["code", "client_id", "access_token"], ids=lambda name: f"without {name}"
)
def test_a_missing_parameter(hand_over: HandOver, fake_peer: FakePeer, name: str) -> None:
    assert said(hand_over(**{name: None})) == INVALID_REQUEST
    assert fake_peer.requests == []


@pytest.mark.parametrize("name", ["code", "client_id", "access_token", "grant_type"])
def test_a_repeated_parameter(hand_over: HandOver, fake_peer: FakePeer, name: str) -> None:
    twice = [GRANT, GRANT] if name == "grant_type" else ["a", "b"]

    assert said(hand_over(**{name: twice})) == INVALID_REQUEST
    assert fake_peer.requests == []


def test_a_grant_type_that_is_written_differently_is_an_unsupported_parameter(
    hand_over: HandOver, fake_peer: FakePeer
) -> None:
    assert hand_over(grant_type=f"{GRANT}x").status_code == 400
    assert fake_peer.requests == []


def test_a_parameter_that_nobody_knows_is_ignored(hand_over: HandOver) -> None:
    assert hand_over(user_locale="en").status_code == 200


def test_a_wrong_secret(hand_over: HandOver, fake_peer: FakePeer) -> None:
    response = hand_over(client_secret="wrong")

    assert said(response) == (401, {"error": "invalid_request"}, None)
    assert fake_peer.requests == []


def test_a_client_that_no_peer_has_gets_the_response_of_the_draft(hand_over: HandOver) -> None:
    response = hand_over(client_id="nobody")

    assert said(response) == (401, {"error": "invalid_client"}, 'Basic realm="token"')


def test_an_unknown_token(hand_over: HandOver, fake_peer: FakePeer) -> None:
    assert said(hand_over(access_token="unknown")) == INVALID_TOKEN
    assert fake_peer.requests == []


def test_an_expired_token(hand_over: HandOver, fake_peer: FakePeer) -> None:
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert said(hand_over()) == INVALID_TOKEN
    assert fake_peer.requests == []


def test_a_token_of_another_client(
    hand_over: HandOver, peer: Peer, user: Any, make_token: Callable[..., Any]
) -> None:
    other = make_token(peer.application, user)

    assert said(hand_over(access_token=other.raw)) == INVALID_TOKEN


def test_a_token_of_a_person_who_was_deactivated(hand_over: HandOver, user: Any) -> None:
    user.is_active = False
    user.save()

    assert said(hand_over()) == INVALID_TOKEN


def test_a_token_whose_link_has_ended(
    hand_over: HandOver, disconnect: Callable[..., Any], token: Any
) -> None:
    hand_over()
    disconnect(token.raw)

    assert said(hand_over(code="another")) == INVALID_TOKEN


def test_the_code_for_another_person(
    hand_over: HandOver, google: Peer, other_user: Any, make_token: Callable[..., Any]
) -> None:
    hand_over()
    other = make_token(google.application, other_user)

    assert said(hand_over(access_token=other.raw)) == INTERNAL_ERROR


@pytest.mark.parametrize(
    "reply",
    [
        Reply.json(400, error="invalid_grant", error_description="Malformed auth code."),
        Reply.json(401, error="invalid_client"),
        Reply(503, b""),
        Reply(200, b"<html>"),
    ],
    ids=["code refused", "credentials refused", "down", "no JSON"],
)
def test_a_code_that_cannot_be_redeemed(
    hand_over: HandOver, fake_peer: FakePeer, reply: Reply
) -> None:
    fake_peer.answers["/token/"] = reply

    assert said(hand_over()) == INTERNAL_ERROR
    assert not Link.objects.get().has_outgoing_tokens
    assert not InboxItem.objects.get().code


def test_a_paused_peer(hand_over: HandOver, fake_peer: FakePeer) -> None:
    Peer.objects.update(paused_at=timezone.now())

    assert said(hand_over()) == INTERNAL_ERROR
    assert fake_peer.requests == []


def test_a_disabled_peer(hand_over: HandOver, fake_peer: FakePeer) -> None:
    Peer.objects.update(enabled=False)

    assert said(hand_over()) == INTERNAL_ERROR
    assert fake_peer.requests == []


def test_a_peer_without_a_client_id_of_this_site(
    hand_over: HandOver, fake_peer: FakePeer, google: Peer
) -> None:
    always_had(client_id="", client_secret="")
    fake_peer.answers["/token/"] = Reply.json(401, error="invalid_client")

    assert said(hand_over()) == INTERNAL_ERROR

    google.refresh_from_db()
    assert google.paused_at is None
    assert fake_peer.requests == []


def test_a_site_that_accepts_no_hand_overs(
    hand_over: HandOver, fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

    assert said(hand_over()) == INTERNAL_ERROR
    assert fake_peer.requests == []


def test_a_client_that_does_not_authenticate(hand_over: HandOver, fake_peer: FakePeer) -> None:
    response = hand_over(client_secret="")

    assert said(response) == (401, {"error": "invalid_request"}, None)
    assert fake_peer.requests == []


def test_too_many_codes_in_a_minute(hand_over: HandOver, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HANDOVERS_PER_MINUTE": 1}
    hand_over()

    response = hand_over(code="another")

    assert said(response) == INTERNAL_ERROR
    assert 0 < int(response["Retry-After"]) <= 60


# The ID token


@pytest.mark.parametrize(
    "claims",
    [{"iss": "accounts.google.com"}, {"nonce": None}, {"nonce": "of an app"}],
    ids=["issuer without scheme", "no nonce", "a nonce"],
)
def test_an_id_token_that_is_good(hand_over: HandOver, fake_peer: FakePeer, claims: Any) -> None:
    fake_peer.answers["/token/"] = google_tokens(**claims)

    assert hand_over().status_code == 200
    assert Link.objects.get().subject == "account-1"


def test_an_id_token_that_was_issued_to_the_android_app(
    hand_over: HandOver, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = google_tokens(azp="the-android-app")

    assert hand_over().status_code == 200
    assert Link.objects.get().subject


def test_a_token_response_without_an_id_token_names_no_account(
    hand_over: HandOver, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply.json(access_token="a", token_type="Bearer")

    assert hand_over().status_code == 200
    assert Link.objects.get().subject == ""


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "https://accounts.google.com.evil.example"},
        {"aud": "google-here"},
        {"exp": 1},
        {"sub": None},
    ],
    ids=["other issuer", "for the pair that Google holds here", "expired", "no account"],
)
def test_an_id_token_that_is_bad(
    hand_over: HandOver, fake_peer: FakePeer, claims: Mapping[str, Any]
) -> None:
    fake_peer.answers["/token/"] = google_tokens(**claims)

    assert said(hand_over()) == INTERNAL_ERROR
    assert not Link.objects.get().has_outgoing_tokens
    assert OutboxItem.objects.get().token.reveal() == "Google-refresh-token", "it is revoked"


def test_tokens_that_nobody_uses_are_not_revoked_once_newer_ones_are_here(
    hand_over: HandOver, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = google_tokens(aud="another")
    assert said(hand_over(code="first")) == INTERNAL_ERROR
    assert OutboxItem.objects.get().kind == "revocation"

    newer = json.loads(google_tokens().body) | {"refresh_token": "newer"}
    fake_peer.answers["/token/"] = Reply.json(200, **newer)
    assert hand_over(code="second").status_code == 200
    worker.drain()

    assert fake_peer.to("/revoke/") == [], "Google would end the newer grant too"
    assert OutboxItem.objects.get().state == "cancelled"


# A late response of Google


@pytest.fixture
def slow_google(google: Peer, fake_peer: FakePeer, settings: Settings) -> Iterator[Any]:
    """Google sends its tokens when the event is set."""
    may_go_on = threading.Event()

    def respond(request: Received) -> Reply:
        assert may_go_on.wait(30)
        return google_tokens()

    fake_peer.answers["/token/"] = respond
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "REDEEM_FIRST_SECONDS": 0.3}
    yield may_go_on
    may_go_on.set()


@pytest.mark.django_db(transaction=True)
def test_a_late_google_gets_a_failure_and_its_tokens_are_revoked(
    shared_database: None, slow_google: Any, hand_over: HandOver, fake_peer: FakePeer
) -> None:
    assert said(hand_over()) == INTERNAL_ERROR

    slow_google.set()
    soon(OutboxItem.objects.exists)
    worker.drain()
    assert fake_peer.to("/revoke/")[0].form["token"] == "Google-refresh-token"
    assert not Link.objects.get().has_outgoing_tokens


# DISCONNECT


def test_the_intent_disconnect_ends_the_link(
    hand_over: HandOver, disconnect: Callable[..., Any], token: Any
) -> None:
    hand_over()

    response = disconnect(token.raw)

    assert said(response) == (200, {}, None)
    link = Link.objects.get()
    assert (link.is_active, link.incoming_reason) == (False, Link.Reason.REVOKED_BY_PEER)
    assert not get_access_token_model().objects.exists()
    assert OutboxItem.objects.get().token.reveal() == "Google-refresh-token", "it is revoked there"


@pytest.mark.parametrize("scheme", ["bearer", "BEARER"])
def test_the_scheme_can_have_other_letters(
    disconnect: Callable[..., Any], hand_over: HandOver, token: Any, scheme: str
) -> None:
    hand_over()

    assert disconnect(token.raw, scheme=scheme).status_code == 200
    assert not Link.objects.get().is_active


def test_an_expired_token_ends_its_link_too(
    disconnect: Callable[..., Any], hand_over: HandOver, token: Any
) -> None:
    hand_over()
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=1))

    assert said(disconnect(token.raw)) == (200, {}, None)
    assert not Link.objects.get().is_active


def test_an_unknown_or_foreign_token_gets_the_same_response_and_ends_nothing(
    disconnect: Callable[..., Any],
    hand_over: HandOver,
    peer: Peer,
    user: Any,
    make_token: Callable[..., Any],
) -> None:
    hand_over()
    foreign = make_token(peer.application, user)

    assert said(disconnect("unknown")) == (200, {}, None)
    assert said(disconnect(foreign.raw)) == (200, {}, None)
    assert Link.objects.get().is_active
    assert get_access_token_model().objects.filter(pk=foreign.pk).exists()


def test_only_the_link_of_the_token_ends(
    disconnect: Callable[..., Any],
    hand_over: HandOver,
    google: Peer,
    token: Any,
    other_user: Any,
    make_token: Callable[..., Any],
) -> None:
    hand_over()
    other = make_token(google.application, other_user)
    hand_over(code="of bob", access_token=other.raw)

    disconnect(token.raw)

    assert [link.user for link in Link.objects.filter(status="active")] == [other_user]


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "Bearer a b", "Bearer \xe4"])
def test_an_intent_without_a_token_is_refused(client: Client, google: Peer, header: str) -> None:
    response = client.post(
        FULFILMENT, DISCONNECT, content_type="application/json", headers={"Authorization": header}
    )

    assert said(response) == INVALID_TOKEN


@pytest.mark.parametrize(
    "body",
    [
        '{"requestId":"1","inputs":[{"intent":"action.devices.SYNC"}]}',
        '{"inputs":{"intent":"action.devices.DISCONNECT"}}',
        '{"inputs":["action.devices.DISCONNECT"]}',
        '{"inputs":[{"intent":["action.devices.DISCONNECT"]}]}',
        "[]",
        "not JSON",
    ],
)
def test_another_intent_belongs_to_the_view_of_the_site(
    disconnect: Callable[..., Any], hand_over: HandOver, token: Any, body: str
) -> None:
    hand_over()
    request = RequestFactory().post(FULFILMENT, body, content_type="application/json")

    assert said(disconnect(token.raw, body)) == INVALID_REQUEST
    assert Link.objects.get().is_active
    assert request.body.decode() == body


def test_a_view_of_the_site_takes_the_notice_first(
    transactional_db: None, google: Peer, token: Any
) -> None:
    def post(body: str) -> HttpResponse | None:
        request = RequestFactory().post(
            "/fulfilment",
            body,
            content_type="application/json",
            headers={"Authorization": f"Bearer {token.raw}"},
        )
        return take_handover(request, "google")

    assert post('{"inputs":[{"intent":"action.devices.SYNC"}]}') is None
    response = post(DISCONNECT)
    assert response is not None
    assert (response.status_code, response.content) == (200, b"{}")
    assert not get_access_token_model().objects.exists()


# Revocation by Google (RFC 7009)


@pytest.mark.rfc("7009", "2.1")
@pytest.mark.parametrize("hint", ["access_token", "refresh_token"])
def test_google_revokes_a_token_and_the_link_ends(
    client: Client, hand_over: HandOver, google: Peer, token: Any, hint: str
) -> None:
    hand_over()
    raw = token.raw if hint == "access_token" else token.raw_refresh

    response = post_form(
        client,
        {
            "client_id": google.application.client_id,
            "client_secret": PEER_SECRET,
            "token": raw,
            "token_type_hint": hint,
        },
        {},
        path="/o/revoke_token/",
    )

    assert response.status_code == 200
    link = Link.objects.get()
    assert (link.is_active, link.incoming_reason) == (False, Link.Reason.REVOKED_BY_PEER)
