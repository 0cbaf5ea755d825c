"""Alexa hands over codes: the directive AcceptGrant, and the form of reciprocalAccessTokenUrl."""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, TestCase, override_settings
from django.utils import timezone
from django.views.debug import ExceptionReporter
from oauth2_provider.models import get_access_token_model

from reciprocal_oauth import take_handover
from reciprocal_oauth.dialects.alexa import GRANT_TYPE, AlexaDialect
from reciprocal_oauth.links import lifecycle, outgoing_access
from reciprocal_oauth.models import InboxItem, Link, Peer
from reciprocal_oauth.testing import DialectContract, FakeResponse

from ..alexa import CODE, LWA_REFUSAL, LWA_TOKENS, accept_grant, make_alexa
from ..conftest import PEER_SECRET, basic, wait_for_late_calls
from ..fakes import FakePeer, Received, Reply

ADDRESS = "/connections/handover/alexa/"
FORM = "application/x-www-form-urlencoded"
Post = Callable[..., Any]


@override_settings(RECIPROCAL_OAUTH={"DISPATCHER": "none"})
class TestContractOfTheDirective(DialectContract, TestCase):
    dialect_name = "alexa"
    handover_path = "/v1/users/~current/skills/x/enablement"
    accepted = FakeResponse(201, b"")

    def peer_values(self) -> dict[str, str]:
        return {"reciprocal_endpoint": f"{self.fake_peer.url}{self.handover_path}"}

    def handover_data(self) -> dict[str, str]:
        return {"origin": "directive", "region": "EU"}

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        return RequestFactory().post(
            ADDRESS,
            accept_grant(access_token, code),
            content_type="application/json",
            headers={**basic(client_id, "secret"), "X-Alexa-Region": "EU"},
        )

    def is_success(self, response: HttpResponse) -> bool:
        return response.status_code < 400 and b"ACCEPT_GRANT_FAILED" not in response.content


@override_settings(RECIPROCAL_OAUTH={"DISPATCHER": "none"})
class TestContractOfTheForm(TestContractOfTheDirective):
    def handover_data(self) -> dict[str, str]:
        return {"origin": "form"}

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        grant = "reciprocal_authorization_code"
        return RequestFactory().post(
            ADDRESS,
            f"grant_type={grant}&code={code}&client_id={client_id}",
            content_type=FORM,
            headers={"Authorization": f"Bearer {access_token}"},
        )


class TestContractOfASkillThatPeopleEnableAtAlexaOnly(TestContractOfTheForm):
    def peer_values(self) -> dict[str, str]:
        return {"authorization_endpoint": ""}


@pytest.fixture
def fake_peer(fake_peer: FakePeer) -> FakePeer:
    """Login with Amazon."""
    fake_peer.answers["/token/"] = LWA_TOKENS
    return fake_peer


@pytest.fixture
def peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    return make_alexa(make_peer, fake_peer.url)


@pytest.fixture
def lambda_posts(client: Client, token_of_a: Any) -> Post:
    """The Lambda forwards a directive; keyword arguments change the request."""

    def post(
        directive: Any = None, path: str = ADDRESS, secret: str = PEER_SECRET, **kwargs: Any
    ) -> Any:
        headers = {**basic("alexa-here", secret), **kwargs.pop("headers", {})}
        body = accept_grant(token_of_a.raw) if directive is None else directive
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        kwargs = {"content_type": "application/json", **kwargs}
        return client.post(path, body, headers=headers, **kwargs)

    return post


@pytest.fixture
def alexa_posts(client: Client, token_of_a: Any) -> Post:
    """Alexa posts the form; keyword arguments replace fields, ``None`` leaves one out."""

    def post(
        token: str | None = None,
        authorization: str | None = None,
        path: str = ADDRESS,
        **changes: Any,
    ) -> Any:
        content_type = changes.pop("content_type", FORM)
        if authorization is None:
            authorization = f"Bearer {token or token_of_a.raw}"
        fields = {
            "grant_type": "reciprocal_authorization_code",
            "code": CODE,
            "client_id": "alexa-here",
            **changes,
        }
        body = urlencode({k: v for k, v in fields.items() if v is not None}, doseq=True)
        headers = {"Authorization": authorization} if authorization else {}
        return client.generic("POST", path, body, content_type=content_type, headers=headers)

    return post


@pytest.fixture(params=["directive", "form"])
def posts(request: Any) -> Post:
    """Hands over a code in each of the two forms; arguments: code, token, path."""
    form: Post = request.getfixturevalue("alexa_posts")
    directive: Post = request.getfixturevalue("lambda_posts")
    token_of_a: Any = request.getfixturevalue("token_of_a")

    def post(code: str = CODE, token: str = "", path: str = ADDRESS) -> Any:
        if request.param == "form":
            return form(code=code, token=token or None, path=path)
        return directive(accept_grant(token or token_of_a.raw, code), path=path)

    post.of = request.param  # type: ignore[attr-defined]
    return post


def is_taken(response: Any) -> bool:
    if response.headers["Cache-Control"] != "no-store":
        raise AssertionError("a cache may store it")
    event = response.json().get("event")
    name = event["header"]["name"] if event else None
    return response.status_code == 200 and name in (None, "AcceptGrant.Response")


def assert_failed(response: Any, status_of_form: int = 500, error: str = "server_error") -> None:
    """The failure of Alexa: an event with status 200, or the response to the form."""
    message = response.json()
    if "event" in message:
        assert uuid.UUID(message["event"]["header"].pop("messageId"))
        assert response.status_code == 200
        assert message == {
            "event": {
                "header": {
                    "namespace": "Alexa.Authorization",
                    "name": "ErrorResponse",
                    "payloadVersion": "3",
                },
                "payload": {
                    "type": "ACCEPT_GRANT_FAILED",
                    "message": "The grant was not accepted.",
                },
            }
        }
    else:
        assert (response.status_code, message) == (status_of_form, {"error": error})


def assert_no_tokens() -> None:
    """The code is not redeemed and will not be redeemed later."""
    for item in InboxItem.objects.all():
        assert item.state in ("failed", "cancelled")
        assert not item.code
    assert not any(link.access_token or link.refresh_token for link in Link.objects.all())


class TestTheDirective:
    def test_the_code_is_redeemed_before_the_response(
        self, lambda_posts: Post, fake_peer: FakePeer
    ) -> None:
        response = lambda_posts()

        message = response.json()
        assert uuid.UUID(message["event"]["header"].pop("messageId"))
        assert (response.status_code, response["Content-Type"]) == (200, "application/json")
        assert message == {
            "event": {
                "header": {
                    "namespace": "Alexa.Authorization",
                    "name": "AcceptGrant.Response",
                    "payloadVersion": "3",
                },
                "payload": {},
            }
        }
        (request,) = fake_peer.to("/token/")
        assert request.form == {
            "grant_type": "authorization_code",
            "code": CODE,
            "client_id": "us-at-alexa",
            "client_secret": "our-secret-at-the-peer",
        }
        link = Link.objects.get()
        assert link.access_token.reveal() == "Atza|token-of-amazon"
        assert link.refresh_token.reveal() == "Atzr|refresh-of-amazon"
        assert link.is_two_way
        assert InboxItem.objects.get().state == "done"

    def test_an_hour_that_is_quoted_is_an_hour(self, lambda_posts: Post) -> None:
        lambda_posts()

        left = Link.objects.get().access_token_expires_at - timezone.now()
        assert timedelta(minutes=58) < left < timedelta(minutes=60)

    @pytest.mark.parametrize("region", ["NA", "EU", "FE"])
    def test_the_region_of_the_lambda_is_kept_for_the_link(
        self, lambda_posts: Post, region: str
    ) -> None:
        assert is_taken(lambda_posts(headers={"X-Alexa-Region": region}))
        assert Link.objects.get().data == {"origin": "directive", "region": region}

    @pytest.mark.parametrize("region", ["", "na", "eu-west-1", "NA,EU", "https://evil.example"])
    def test_another_region_is_refused(self, lambda_posts: Post, region: str) -> None:
        assert_failed(lambda_posts(headers={"X-Alexa-Region": region}))
        assert not InboxItem.objects.exists()

    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/json;charset=UTF-8", "text/plain"]
    )
    def test_the_content_type_can_name_the_charset(
        self, lambda_posts: Post, content_type: str
    ) -> None:
        assert is_taken(lambda_posts(content_type=content_type))

    def test_the_order_of_the_members_does_not_matter(
        self, lambda_posts: Post, token_of_a: Any
    ) -> None:
        def turned(value: Any) -> Any:
            if not isinstance(value, dict):
                return value
            return {name: turned(each) for name, each in reversed(value.items())}

        assert is_taken(lambda_posts(turned(accept_grant(token_of_a.raw))))

    def test_a_correlation_token_is_sent_back(self, lambda_posts: Post, token_of_a: Any) -> None:
        message = accept_grant(token_of_a.raw)
        message["directive"]["header"]["correlationToken"] = "dFMb0z+PgpgdDmluhJ1LddFvSqZ/jCc8p=="

        taken = lambda_posts(message)
        message["directive"]["payload"]["grant"]["type"] = "other"
        failed = lambda_posts(message)

        for response in (taken, failed):
            header = response.json()["event"]["header"]
            assert header["correlationToken"] == "dFMb0z+PgpgdDmluhJ1LddFvSqZ/jCc8p=="
        assert is_taken(taken)
        assert not is_taken(failed)

    @pytest.mark.parametrize("odd", [7, "", "a b", "\x00", "é", "x" * 4097, ["x"], None])
    def test_an_odd_correlation_token_is_left_out(
        self, lambda_posts: Post, token_of_a: Any, odd: Any
    ) -> None:
        message = accept_grant(token_of_a.raw)
        message["directive"]["header"]["correlationToken"] = odd

        response = lambda_posts(message)
        assert is_taken(response)
        assert "correlationToken" not in response.json()["event"]["header"]

    def test_each_response_has_a_message_id_of_its_own(self, lambda_posts: Post) -> None:
        first, second = lambda_posts().json(), lambda_posts().json()

        ids = [each["event"]["header"].pop("messageId") for each in (first, second)]
        assert ids[0] != ids[1]
        assert first == second

    @pytest.mark.parametrize(
        "headers",
        [
            {"Authorization": ""},
            basic("alexa-here", "wrong"),
            basic("alexa-here", ""),
            basic("somebody", PEER_SECRET),
            {"Authorization": "Basic !"},
            {"Authorization": "Bearer x"},
        ],
        ids=["none", "wrong-secret", "no-secret", "other-client", "no-base64", "bearer"],
    )
    def test_a_lambda_that_does_not_authenticate_gets_401(
        self, client: Client, token_of_a: Any, headers: dict[str, str], fake_peer: FakePeer
    ) -> None:
        message = accept_grant(token_of_a.raw)
        headers = {name: value for name, value in headers.items() if value}
        response = client.post(ADDRESS, message, content_type="application/json", headers=headers)

        assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
        assert response["WWW-Authenticate"] == 'Basic realm="handover"'
        assert fake_peer.requests == []
        assert not InboxItem.objects.exists()

    def test_the_token_of_alexa_does_not_authenticate_the_lambda(
        self, client: Client, token_of_a: Any
    ) -> None:
        headers = {"Authorization": f"Bearer {token_of_a.raw}"}
        message = accept_grant(token_of_a.raw)

        response = client.post(ADDRESS, message, content_type="application/json", headers=headers)
        assert response.status_code == 401

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            ("directive", None),
            ("directive", []),
            ("directive.header", None),
            ("directive.header.namespace", "Alexa.Discovery"),
            ("directive.header.namespace", 7),
            ("directive.header.name", "Discover"),
            ("directive.payload", "x"),
            ("directive.payload.grant", None),
            ("directive.payload.grant.type", "OAuth2.Implicit"),
            ("directive.payload.grant.code", ""),
            ("directive.payload.grant.code", 7),
            ("directive.payload.grant.code", ["x"]),
            ("directive.payload.grant.code", "x\x00"),
            ("directive.payload.grant.code", "ü"),
            ("directive.payload.grant.code", "x" * 4097),
            ("directive.payload.grantee", {}),
            ("directive.payload.grantee.type", "BearerTokenWithPartition"),
            ("directive.payload.grantee.token", None),
            ("directive.payload.grantee.token", "a b"),
            ("directive.payload.grantee.token", "x" * 8193),
            ("directive.payload.grantee.token", "unknown"),
        ],
        ids=lambda value: repr(value)[:40],
    )
    def test_a_bad_directive_fails(
        self, lambda_posts: Post, token_of_a: Any, path: str, value: Any, fake_peer: FakePeer
    ) -> None:
        message = accept_grant(token_of_a.raw)
        *way, last = path.split(".")
        place: Any = message
        for name in way:
            place = place[name]
        place[last] = value

        assert_failed(lambda_posts(message))
        assert fake_peer.requests == []
        assert not InboxItem.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"\xff",
            b"[" * 50_000,
            b'{"directive": NaN}',
            b'{"directive": {}, "directive": {}}',
            b'{"directive": "' + b"x" * 70_000 + b'"}',
            b'{"directive": ' * 30 + b"1" + b"}" * 30,
        ],
        ids=lambda body: repr(body[:24]),
    )
    def test_a_bad_body_fails(self, lambda_posts: Post, body: bytes) -> None:
        assert_failed(lambda_posts(body))

    def test_a_repeated_member_fails(self, lambda_posts: Post, token_of_a: Any) -> None:
        good = json.dumps(accept_grant(token_of_a.raw))
        body = good.replace('"code":', '"code": "other", "code":').encode()

        assert_failed(lambda_posts(body))
        assert not InboxItem.objects.exists()


class TestTheForm:
    def test_the_code_is_redeemed_before_the_response(
        self, alexa_posts: Post, fake_peer: FakePeer
    ) -> None:
        response = alexa_posts()

        assert (response.status_code, response.json()) == (200, {})
        assert len(fake_peer.to("/token/")) == 1
        link = Link.objects.get()
        assert link.access_token.reveal() == "Atza|token-of-amazon"
        assert link.is_two_way
        assert link.data == {"origin": "form"}

    def test_the_order_of_the_fields_does_not_matter(self, client: Client, token_of_a: Any) -> None:
        body = f"client_id=alexa-here&code={CODE}&grant_type=reciprocal_authorization_code"
        headers = {"Authorization": f"Bearer {token_of_a.raw}"}

        assert is_taken(client.post(ADDRESS, body, content_type=FORM, headers=headers))

    @pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
    @pytest.mark.parametrize("charset", ["", ";charset=UTF-8", "; charset=utf-8"])
    def test_the_scheme_and_the_content_type_can_be_spelt_otherwise(
        self, alexa_posts: Post, token_of_a: Any, scheme: str, charset: str
    ) -> None:
        response = alexa_posts(
            authorization=f"{scheme} {token_of_a.raw}", content_type=f"{FORM}{charset}"
        )
        assert is_taken(response)

    @pytest.mark.parametrize(
        "changes",
        [
            {"code": None},
            {"code": ""},
            {"code": ["a", "b"]},
            {"code": "x\x00"},
            {"code": "ü"},
            {"code": "x" * 4097},
            {"client_id": None},
            {"client_id": ["alexa-here", "alexa-here"]},
            {"path": f"{ADDRESS}?code=x"},
            {"content_type": f"{FORM}; charset=utf-16"},
            {"content_type": f"{FORM}; charset=nonsense"},
            {"code": "x" * 70_000},
            {"grant_type": None},
        ],
        ids=lambda changes: repr(changes)[:40],
    )
    def test_a_bad_form_is_an_invalid_request(
        self, alexa_posts: Post, changes: dict[str, Any], fake_peer: FakePeer
    ) -> None:
        response = alexa_posts(**changes)

        assert (response.status_code, response.json()) == (400, {"error": "invalid_request"})
        assert fake_peer.requests == []
        assert not InboxItem.objects.exists()

    @pytest.mark.parametrize(
        "grant", ["authorization_code", "urn:ietf:params:oauth:grant-type:reciprocal"]
    )
    def test_another_grant_is_told(self, alexa_posts: Post, grant: str) -> None:
        response = alexa_posts(grant_type=grant)
        assert (response.status_code, response.json()) == (400, {"error": "unsupported_grant_type"})

    def test_another_client_id_is_told(
        self, alexa_posts: Post, make_peer: Callable[..., Peer], fake_peer: FakePeer
    ) -> None:
        make_alexa(make_peer, fake_peer.url, "second")

        for client_id in ("unknown", "second-here", "us-at-alexa"):
            response = alexa_posts(client_id=client_id)
            assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
            assert response["WWW-Authenticate"] == "Bearer"
        assert not InboxItem.objects.exists()

    @pytest.mark.parametrize(
        "authorization",
        ["", "Bearer", "Bearer ", "Bearer unknown", "Bearer a b", "Bearer é", "Basic eDp5"],
        ids=lambda value: value or "none",
    )
    def test_a_bad_token_is_told(self, client: Client, peer: Peer, authorization: str) -> None:
        body = f"grant_type=reciprocal_authorization_code&code={CODE}&client_id=alexa-here"
        headers = {"Authorization": authorization} if authorization else {}
        response = client.post(ADDRESS, body, content_type=FORM, headers=headers)

        assert (response.status_code, response.json()) == (401, {"error": "invalid_token"})
        assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'

    def test_client_credentials_are_not_needed_and_do_not_replace_the_token(
        self, alexa_posts: Post
    ) -> None:
        response = alexa_posts(authorization=basic("alexa-here", PEER_SECRET)["Authorization"])
        assert response.status_code == 401

    def test_an_expired_token_is_told(self, alexa_posts: Post) -> None:
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

        response = alexa_posts()
        assert (response.status_code, response.json()) == (401, {"error": "invalid_token"})


class TestBothForms:
    def test_a_code_that_amazon_refuses_fails(self, posts: Post, fake_peer: FakePeer) -> None:
        fake_peer.answers["/token/"] = LWA_REFUSAL

        assert_failed(posts())
        assert InboxItem.objects.get().state == "failed"
        assert_no_tokens()
        assert Link.objects.get().status == "active"

    @pytest.mark.parametrize(
        "answer",
        [
            Reply.json(500, error="server_error"),
            Reply(503, b"<html>"),
            Reply(200, b"<html>"),
            Reply(302, b"", {"Location": "https://evil.example/"}),
            Reply.json(401, error="invalid_client"),
        ],
        ids=["500", "503", "no-json", "redirect", "credentials"],
    )
    def test_any_other_failure_of_amazon_fails_for_good(
        self, posts: Post, fake_peer: FakePeer, answer: Reply
    ) -> None:
        fake_peer.answers["/token/"] = answer

        assert_failed(posts())
        assert_no_tokens()

        fake_peer.answers["/token/"] = LWA_TOKENS
        Peer.objects.update(paused_at=None)
        assert_failed(posts())  # Alexa was told that this code has failed.
        assert len(fake_peer.to("/token/")) == 1

    def test_a_new_code_is_taken_after_a_failure(self, posts: Post, fake_peer: FakePeer) -> None:
        fake_peer.answers["/token/"] = [LWA_REFUSAL, LWA_TOKENS]

        assert_failed(posts())
        assert is_taken(posts(code="another"))

    def test_the_same_hand_over_twice_is_redeemed_once(
        self, posts: Post, fake_peer: FakePeer
    ) -> None:
        assert is_taken(posts())
        assert is_taken(posts())
        assert len(fake_peer.to("/token/")) == 1
        assert InboxItem.objects.count() == 1

    def test_a_newer_code_replaces_the_tokens(self, posts: Post, fake_peer: FakePeer) -> None:
        posts()
        fake_peer.answers["/token/"] = Reply.json(access_token="new", token_type="bearer")

        assert is_taken(posts(code="newer"))
        link = Link.objects.get()
        assert (link.access_token.reveal(), link.refresh_token.reveal()) == ("new", "")

    def test_one_code_for_two_people_is_refused(
        self, posts: Post, peer: Peer, make_token: Any, other_user: Any, fake_peer: FakePeer
    ) -> None:
        posts()

        assert_failed(posts(token=make_token(peer.application, other_user).raw))
        assert len(fake_peer.to("/token/")) == 1

    def test_a_token_of_another_skill_is_unknown(
        self, posts: Any, make_peer: Callable[..., Peer], make_token: Any, user: Any, fake_peer: Any
    ) -> None:
        second = make_alexa(make_peer, fake_peer.url, "second")
        token = make_token(second.application, user)

        assert_failed(posts(token=token.raw), 401, "invalid_token")
        assert not InboxItem.objects.exists()

    def test_a_token_at_the_address_of_another_skill_is_refused(
        self, posts: Any, make_peer: Callable[..., Peer], fake_peer: FakePeer
    ) -> None:
        make_alexa(make_peer, fake_peer.url, "second")

        response = posts(path="/connections/handover/second/")
        assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})
        assert fake_peer.requests == []

    def test_a_deactivated_person_has_no_token(self, posts: Post, user: Any) -> None:
        user.is_active = False
        user.save()

        assert_failed(posts(), 401, "invalid_token")
        assert not InboxItem.objects.exists()

    def test_a_link_that_has_ended_took_its_token_along(self, posts: Post) -> None:
        lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=False)

        assert_failed(posts(), 401, "invalid_token")
        assert not InboxItem.objects.exists()

    @pytest.mark.parametrize(
        "values",
        [{"enabled": False}, {"paused_at": "2026-01-01T00:00Z"}],
        ids=["disabled", "paused"],
    )
    def test_a_peer_that_is_off_fails(
        self, posts: Post, values: dict[str, Any], fake_peer: FakePeer
    ) -> None:
        Peer.objects.update(**values)

        assert_failed(posts())
        assert fake_peer.requests == []

    def test_it_fails_while_hand_overs_are_off(self, posts: Post, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

        assert_failed(posts())
        assert not InboxItem.objects.exists()

    def test_too_many_codes_for_one_person_fail(self, posts: Post, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HANDOVERS_PER_MINUTE": 1}
        posts()

        assert_failed(posts(code="another"))

    def test_nothing_secret_is_logged(
        self, posts: Post, fake_peer: FakePeer, caplog: Any, token_of_a: Any
    ) -> None:
        caplog.set_level(logging.DEBUG)
        echo = Reply.json(400, error="invalid_grant", error_description=f"{CODE} is invalid")
        fake_peer.answers["/token/"] = [echo, LWA_TOKENS]
        for code in (CODE, f"second-{CODE}"):
            posts(code=code)
        posts(token="unknown-token-value")

        for secret in (
            CODE,
            token_of_a.raw,
            "unknown-token-value",
            "Atz",
            PEER_SECRET,
            "our-secret",
        ):
            assert secret not in caplog.text

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_other_methods_are_not_allowed(self, client: Client, peer: Peer, method: str) -> None:
        assert getattr(client, method)(ADDRESS).status_code == 405

    def test_the_view_of_a_site_gets_what_is_not_for_the_link(
        self, peer: Peer, rf: RequestFactory
    ) -> None:
        discovery = {"directive": {"header": {"namespace": "Alexa.Discovery", "name": "Discover"}}}
        request = rf.post("/alexa/", discovery, content_type="application/json")

        assert take_handover(request, "alexa") is None
        assert json.loads(request.body) == discovery

    def test_an_error_report_of_a_view_of_the_site_does_not_show_the_code(
        self, rf: RequestFactory, token_of_a: Any, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers["/token/"] = Reply(500, b"down")
        fields = {"grant_type": GRANT_TYPE, "code": CODE, "client_id": "alexa-here"}
        headers = {"Authorization": f"Bearer {token_of_a.raw}"}
        request = rf.post("/alexa/", urlencode(fields), content_type=FORM, headers=headers)

        response = take_handover(request, "alexa")

        assert response is not None
        assert response.status_code == 500
        report = ExceptionReporter(request, None, None, None).get_traceback_text()
        assert "client_id" in report
        assert CODE not in report
        assert token_of_a.raw not in report


@pytest.mark.django_db(transaction=True)
class TestTheDeadline:
    def test_a_silent_amazon_fails_in_time_and_leaves_nothing(
        self, shared_database: None, posts: Any, fake_peer: FakePeer, settings: Any
    ) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "REDEEM_FIRST_SECONDS": 0.3}

        may_go_on = threading.Event()

        def silent(request: Received) -> Reply:
            assert may_go_on.wait(30)
            return LWA_TOKENS

        fake_peer.answers["/token/"] = silent
        assert_failed(posts())
        assert InboxItem.objects.get().state == "cancelled"
        may_go_on.set()
        wait_for_late_calls()
        assert_no_tokens()

    @pytest.mark.threat("B12")
    def test_a_burst_is_taken_whole(
        self,
        shared_database: None,
        at_once: Callable[..., list[Any]],
        peer: Peer,
        fake_peer: FakePeer,
        make_token: Any,
        django_user_model: Any,
        settings: Any,
    ) -> None:
        """The developer turns on "Send Alexa Events": Alexa sends a code for each person."""
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DELIVERIES_PER_PEER": 2}
        people = [django_user_model.objects.create_user(f"person-{n}") for n in range(8)]
        tokens = [make_token(peer.application, person).raw for person in people]

        def slow(request: Received) -> Reply:
            time.sleep(0.2)
            return LWA_TOKENS

        fake_peer.answers["/token/"] = slow

        def hand_over() -> Any:
            token = tokens.pop()
            return Client().post(
                ADDRESS,
                accept_grant(token, f"code-{token}"),
                content_type="application/json",
                headers=basic("alexa-here", PEER_SECRET),
            )

        assert all(map(is_taken, at_once(8, hand_over)))
        assert len(fake_peer.to("/token/")) == 8
        assert sum(link.is_two_way for link in Link.objects.all()) == 8


class TestTheTokens:
    def test_they_are_refreshed_at_amazon(self, lambda_posts: Post, fake_peer: FakePeer) -> None:
        lambda_posts()
        link = Link.objects.get()
        outgoing_access.fresh_access_token(link, not_this=link.access_token)

        assert fake_peer.to("/token/")[-1].form == {
            "grant_type": "refresh_token",
            "refresh_token": "Atzr|refresh-of-amazon",
            "client_id": "us-at-alexa",
            "client_secret": "our-secret-at-the-peer",
        }
        assert Link.objects.get().data == {"origin": "directive"}

    def test_a_refused_refresh_ends_the_direction_and_does_not_loop(
        self, lambda_posts: Post, fake_peer: FakePeer
    ) -> None:
        lambda_posts()
        fake_peer.answers["/token/"] = LWA_REFUSAL
        link = Link.objects.get()
        for _ in range(3):
            with pytest.raises(Exception, match="no longer renews|no working outgoing access"):
                outgoing_access.fresh_access_token(link, not_this=link.access_token)

        assert Link.objects.get().outgoing_state == "broken"
        assert len(fake_peer.to("/token/")) == 2

    def test_ending_the_link_here_asks_amazon_nothing(
        self, lambda_posts: Post, fake_peer: FakePeer
    ) -> None:
        lambda_posts()
        link = Link.objects.get()
        lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=True)

        assert not link.outbox.exists()
        assert len(fake_peer.requests) == 1


def test_a_refresh_token_of_this_site_should_work_twice() -> None:
    assert AlexaDialect.grace_seconds == 120
    assert AlexaDialect.revokes_replaced_tokens is False
