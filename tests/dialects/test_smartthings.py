"""SmartThings: the grant of callback access, its errors, the notices, and the token requests."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, TestCase, override_settings
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from reciprocal_oauth import take_handover
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.dialects import dialect_of
from reciprocal_oauth.dialects.smartthings import SmartThingsDialect
from reciprocal_oauth.exceptions import (
    AddressRefused,
    HandoverRefused,
    NotLinked,
    PeerRefused,
    RefreshPostponed,
)
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import InboxItem, Link, Peer, Reason, peer_data
from reciprocal_oauth.models.results import Failed
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.testing import DialectContract, FakeResponse

from ..conftest import OUR_SECRET, wait_for_late_calls
from ..fakes import Received, Reply
from ..vendors.smartthings_cloud import (
    CODE,
    DIALECTS,
    PATIENT,
    REQUEST_ID,
    Cloud,
    LoopbackDialect,
    deleted,
    global_error,
    grant,
    headers,
    post,
    tokens,
)
from ..vendors.smartthings_webhook import webhook

ENDPOINTS = {"issuer": "", "authorization_endpoint": "", "revocation_endpoint": ""}
SMARTTHINGS = {
    "oauthToken": "https://c2c-us.smartthings.com/oauth/token",
    "stateCallback": "https://c2c-us.smartthings.com/device/events",
}


@override_settings(RECIPROCAL_OAUTH={"DIALECTS": DIALECTS, "DISPATCHER": "none"})
class TestContract(DialectContract, TestCase):
    dialect_name = "smartthings"
    token_path = "/us/oauth/token"

    def peer_values(self) -> dict[str, str]:
        urls = self.handover_data()
        LoopbackDialect.addresses = {name: frozenset({url}) for name, url in urls.items()}
        return {**ENDPOINTS, "token_endpoint": urls["oauthToken"]}

    def handover_data(self) -> dict[str, str]:
        return {
            "oauthToken": f"{self.fake_peer.url}/us/oauth/token",
            "stateCallback": f"{self.fake_peer.url}/us/device/events",
        }

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        message = grant(access_token, self.handover_data(), self.peer.client_id)
        message["callbackAuthentication"]["code"] = code
        return request_with(message)

    def notice_request(self, access_token: str) -> HttpRequest:
        return request_with(deleted(access_token))

    def token_response(self, tokens_: Any) -> FakeResponse:
        return tokens(tokens_["access_token"], tokens_["refresh_token"])

    def token_refusal(self) -> FakeResponse:
        return global_error("INVALID-CODE")

    def is_success(self, response: HttpResponse) -> bool:
        return response.status_code == 200 and "globalError" not in json.loads(response.content)


def request_with(message: object) -> HttpRequest:
    return RequestFactory().post(
        "/webhook/", json.dumps(message).encode(), content_type="application/json"
    )


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture
def peer(cloud: Cloud, make_peer: Callable[..., Peer], settings: Any) -> Peer:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}
    return make_smartthings(make_peer, cloud, "smartthings")


def make_smartthings(make_peer: Callable[..., Peer], cloud: Cloud, slug: str) -> Peer:
    return make_peer(
        slug,
        cloud.url,
        **ENDPOINTS,
        dialect="smartthings",
        client_id="pdq",
        token_endpoint=cloud.callback_urls()["oauthToken"],
    )


@pytest.fixture
def token(peer: Peer, user: Any, make_token_of_a: Callable[..., Any]) -> str:
    """The access token with which SmartThings calls this site for alice. Its link is open."""
    raw: str = make_token_of_a(peer, user).raw
    return raw


@pytest.fixture
def give(cloud: Cloud, token: str) -> Callable[..., Any]:
    """Posts the literal grant. Keyword arguments replace members: ``a__b=…`` is ``b`` in ``a``,
    and ``None`` leaves it out."""

    def send(**changes: Any) -> Any:
        return post(changed(grant(token, cloud.callback_urls()), **changes))

    return send


def changed(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    for path, value in changes.items():
        *outer, name = path.split("__")
        place = message
        for each in outer:
            place = place[each]
        if value is None:
            del place[name]
        else:
            place[name] = value
    return message


def check_refused(response: Any, enum: str) -> None:
    body = response.json()
    assert response.status_code == 200
    assert body["globalError"]["errorEnum"] == enum
    assert 0 < len(body["globalError"]["detail"]) <= 100
    assert set(body) == {"headers", "globalError"}
    assert response["Cache-Control"] == "no-store"


def check_nothing_came_of_it(cloud: Cloud) -> None:
    assert cloud.requests == []
    assert not InboxItem.objects.exists()
    assert {link.outgoing_state for link in Link.objects.all()} <= {"waiting", "ended"}


class TestGrant:
    def test_the_literal_message_is_accepted(self, give: Any) -> None:
        response = give()

        assert response.status_code == 200
        assert response.json() == {"headers": headers("grantCallbackAccess")}
        assert response["Cache-Control"] == "no-store"
        assert response["Content-Type"] == "application/json"

    def test_the_code_is_redeemed_with_the_literal_message(self, give: Any, cloud: Cloud) -> None:
        give()

        ((path, message),) = cloud.interactions
        assert path == "/us/oauth/token"
        assert len(message["headers"].pop("requestId")) == 36
        assert message == {
            "headers": {
                "schema": "st-schema",
                "version": "1.0",
                "interactionType": "accessTokenRequest",
            },
            "callbackAuthentication": {
                "grantType": "authorization_code",
                "code": CODE,
                "clientId": "pdq",
                "clientSecret": OUR_SECRET,
            },
        }
        (request,) = cloud.requests
        assert request.headers["Content-Type"] == "application/json; charset=utf-8"
        assert "Authorization" not in request.headers

    def test_the_link_works_in_both_directions_at_once(self, give: Any, cloud: Cloud) -> None:
        give()

        link = Link.objects.get()
        assert link.is_two_way
        assert (link.access_token.reveal(), link.refresh_token.reveal()) == ("at-1", "rt-1")
        assert link.data == cloud.callback_urls()
        assert link.access_token_expires_at is not None
        assert link.access_token_expires_at > timezone.now() + timedelta(hours=23)

    @pytest.mark.parametrize("scope", ["callback_access", "", 7, None], ids=str)
    def test_the_scope_is_not_checked(self, give: Any, scope: Any) -> None:
        assert "globalError" not in give(callbackAuthentication__scope=scope).json()

    @pytest.mark.parametrize(
        "content_type", ["application/json", "application/json;charset=UTF-8", "text/plain"]
    )
    def test_the_content_type_does_not_matter(
        self, token: str, cloud: Cloud, content_type: str
    ) -> None:
        response = post(grant(token, cloud.callback_urls()), content_type=content_type)

        assert "globalError" not in response.json()

    def test_the_same_message_again_is_redeemed_once(self, give: Any, cloud: Cloud) -> None:
        assert give().content == give().content
        assert len(cloud.requests) == 1

    def test_a_new_grant_replaces_the_addresses_and_the_tokens(
        self, give: Any, cloud: Cloud
    ) -> None:
        give(callbackUrls=cloud.callback_urls("eu"))
        give(callbackAuthentication__code="second", callbackUrls=cloud.callback_urls("us"))

        link = Link.objects.get()
        assert (link.access_token.reveal(), link.data) == ("at-2", cloud.callback_urls("us"))
        fresh_access_token(link, not_this=link.access_token)
        assert [path for path, _message in cloud.interactions] == [
            "/eu/oauth/token",
            "/us/oauth/token",
            "/us/oauth/token",
        ]

    def test_a_refused_new_grant_leaves_the_link_as_it_was(self, give: Any, cloud: Cloud) -> None:
        give()
        cloud.answer_tokens(global_error("INVALID-CODE"))

        check_refused(give(callbackAuthentication__code="second"), "INVALID-CODE")
        link = Link.objects.get()
        assert link.is_two_way
        assert link.access_token.reveal() == "at-1"

    def test_the_addresses_of_smartthings_itself_are_known(self) -> None:
        handover = SmartThingsDialect().parse(request_with(grant("ACCT-HCtR4Q", SMARTTHINGS)))

        assert handover.data == SMARTTHINGS
        assert handover.our_client_id == "pdq"
        assert handover.client_id is None

    @pytest.mark.parametrize("region", ["us", "eu", "ap"])
    def test_each_region_is_known(self, region: str) -> None:
        urls = {name: url.replace("us", region, 1) for name, url in SMARTTHINGS.items()}

        assert SmartThingsDialect().parse(request_with(grant("t", urls))).data == urls


class TestAddresses:
    """They say where the client secret and the tokens go."""

    @pytest.fixture(autouse=True)
    def _real_dialect(self, peer: Peer, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": {}}

    @pytest.mark.parametrize("name", ["oauthToken", "stateCallback"])
    @pytest.mark.parametrize(
        "start",
        [
            "http://c2c-us.smartthings.com",
            "https://c2c-us.smartthings.com.evil.example",
            "https://c2c-us.smartthings.com:444",
            "https://c2c-us.smartthings.com:443",
            "https://c2c-us.smartthings.com@evil.example",
            "https://evil.example",
            "https://evil.example/https://c2c-us.smartthings.com",
            "https://evil.example#https://c2c-us.smartthings.com",
            "HTTPS://c2c-us.smartthings.com",
            "https://C2C-US.smartthings.com",
            "https://c2c-us.smartthings.com.",
            "https://c2c-us.smartthings.com/..",
            "https://c2c-us.smartthings.com/",
            "https://c2c-xx.smartthings.com",
            "https://auth-global.api.smartthings.com",
            "//c2c-us.smartthings.com",
            "http://127.0.0.1:9",
            "",
        ],
    )
    def test_no_other_host_is_called(self, give: Any, cloud: Cloud, name: str, start: str) -> None:
        path = "/oauth/token" if name == "oauthToken" else "/device/events"

        response = give(callbackUrls={**SMARTTHINGS, name: f"{start}{path}"})
        check_refused(response, "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    @pytest.mark.parametrize(
        "url",
        [
            "https://c2c-us.smartthings.com/oauth/token?x=1",
            "https://c2c-us.smartthings.com/oauth/token/",
            "https://c2c-us.smartthings.com/oauth/token#x",
            " https://c2c-us.smartthings.com/oauth/token",
            "https://c2c-us.smartthings.com/oauth/token\n",
            "https://c2c-us.smartthings.com/device/events",
            "https://c2c-us.smartthings.com",
        ],
    )
    def test_no_other_path_is_called(self, give: Any, cloud: Cloud, url: str) -> None:
        check_refused(give(callbackUrls={**SMARTTHINGS, "oauthToken": url}), "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    def test_the_two_addresses_cannot_be_swapped(self, give: Any, cloud: Cloud) -> None:
        swapped = dict(zip(SMARTTHINGS, reversed(SMARTTHINGS.values()), strict=True))

        check_refused(give(callbackUrls=swapped), "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    def test_names_that_smartthings_does_not_use_are_no_addresses(
        self, give: Any, cloud: Cloud
    ) -> None:
        urls = {
            "tokenUrl": SMARTTHINGS["oauthToken"],
            "stateCallbackUrl": SMARTTHINGS["stateCallback"],
        }

        check_refused(give(callbackUrls=urls), "BAD-REQUEST")


@pytest.mark.parametrize("use", ["redeem", "refresh"])
def test_an_address_is_checked_again_when_it_is_used(peer: Peer, cloud: Cloud, use: str) -> None:
    # It was in the list when the code came, or somebody has written into the database.
    dialect = dialect_of(peer, {"oauthToken": f"{cloud.url}/evil/oauth/token"})

    with pytest.raises(AddressRefused):
        getattr(dialect, use)(peer, Secret("secret-of-alice"))
    assert cloud.requests == []


def test_the_token_endpoint_of_the_peer_must_be_one_of_smartthings_too(
    peer: Peer, cloud: Cloud
) -> None:
    peer.token_endpoint = f"{cloud.url}/another/"

    with pytest.raises(AddressRefused):
        dialect_of(peer, cloud.callback_urls()).redeem(peer, Secret("code"))
    assert cloud.requests == []


def test_a_secret_that_was_entered_for_another_address_is_not_sent(
    give: Any, cloud: Cloud, peer: Peer
) -> None:
    Peer.objects.update(bound_to="pdq\nhttps://music.example")

    assert give().status_code == 500
    assert cloud.requests == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "enum"),
        [
            ({"headers": None}, "BAD-REQUEST"),
            ({"headers": "x"}, "BAD-REQUEST"),
            ({"headers": []}, "BAD-REQUEST"),
            ({"authentication": None}, "BAD-REQUEST"),
            ({"authentication": "x"}, "BAD-REQUEST"),
            ({"authentication__token": None}, "BAD-REQUEST"),
            ({"authentication__token": ""}, "BAD-REQUEST"),
            ({"authentication__token": 7}, "BAD-REQUEST"),
            ({"authentication__token": ["x"]}, "BAD-REQUEST"),
            ({"authentication__token": "a b"}, "BAD-REQUEST"),
            ({"authentication__token": "\x00"}, "BAD-REQUEST"),
            ({"authentication__token": "x" * 10_000}, "BAD-REQUEST"),
            ({"authentication__token": "\ud800"}, "BAD-REQUEST"),
            ({"callbackAuthentication": None}, "BAD-REQUEST"),
            ({"callbackAuthentication": [1]}, "BAD-REQUEST"),
            ({"callbackAuthentication__code": None}, "BAD-REQUEST"),
            ({"callbackAuthentication__code": 1e300}, "BAD-REQUEST"),
            ({"callbackAuthentication__code": True}, "BAD-REQUEST"),
            ({"callbackAuthentication__code": "x\x00"}, "BAD-REQUEST"),
            ({"callbackAuthentication__code": "x" * 100_000}, "BAD-REQUEST"),
            ({"callbackAuthentication__clientId": None}, "BAD-REQUEST"),
            ({"callbackAuthentication__clientId": {}}, "BAD-REQUEST"),
            ({"callbackUrls": None}, "BAD-REQUEST"),
            ({"callbackUrls": "https://x"}, "BAD-REQUEST"),
            ({"callbackUrls__oauthToken": None}, "BAD-REQUEST"),
            ({"callbackUrls__oauthToken": ["https://x"]}, "BAD-REQUEST"),
            ({"callbackUrls__stateCallback": None}, "BAD-REQUEST"),
            ({"callbackUrls__stateCallback": 0}, "BAD-REQUEST"),
            ({"headers__interactionType": "discoveryRequest"}, "INVALID-INTERACTION-TYPE"),
            ({"headers__interactionType": "grantcallbackaccess"}, "INVALID-INTERACTION-TYPE"),
            ({"headers__interactionType": None}, "INVALID-INTERACTION-TYPE"),
            ({"headers__interactionType": 7}, "INVALID-INTERACTION-TYPE"),
            ({"headers__interactionType": {}}, "INVALID-INTERACTION-TYPE"),
            ({"callbackAuthentication__grantType": "refresh_token"}, "UNSUPPORTED-GRANT-TYPE"),
            ({"callbackAuthentication__grantType": None}, "UNSUPPORTED-GRANT-TYPE"),
            ({"callbackAuthentication__grantType": 7}, "UNSUPPORTED-GRANT-TYPE"),
            ({"callbackAuthentication__clientId": "another"}, "INVALID-CLIENT"),
            ({"callbackAuthentication__clientId": "smartthings-here"}, "INVALID-CLIENT"),
            ({"callbackAuthentication__clientId": "PDQ"}, "INVALID-CLIENT"),
            ({"authentication__token": "no-such-token"}, "INVALID-TOKEN"),
        ],
        ids=lambda value: str(value)[:60],
    )
    def test_each_error_has_its_enum_and_nothing_is_sent(
        self, give: Any, cloud: Cloud, changes: dict[str, Any], enum: str
    ) -> None:
        check_refused(give(**changes), enum)
        check_nothing_came_of_it(cloud)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b'"grantCallbackAccess"',
            b"\xff\xfe",
            b"[" * 60_000,
            b'{"headers":' * 5_000,
            b'{"headers": {"interactionType": "grantCallbackAccess"}, "x": NaN}',
            b'{"headers": {"interactionType": "grantCallbackAccess", "n": ' + b"9" * 5_000 + b"}}",
        ],
        ids=lambda value: repr(value[:40]),
    )
    def test_what_is_no_json_object_is_a_bad_request(
        self, peer: Peer, cloud: Cloud, body: bytes
    ) -> None:
        check_refused(post(body), "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    @pytest.mark.parametrize("name", ["oauthToken", "code", "token", "clientId", "headers"])
    def test_a_repeated_member_is_a_bad_request(self, token: str, cloud: Cloud, name: str) -> None:
        body = json.dumps(grant(token, cloud.callback_urls())).encode()
        repeated = body.replace(f'"{name}":'.encode(), f'"{name}": "first", "{name}":'.encode())
        assert repeated != body

        check_refused(post(repeated), "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    def test_a_message_that_is_nested_too_deeply_is_a_bad_request(
        self, give: Any, cloud: Cloud
    ) -> None:
        deep: Any = "x"
        for _level in range(100):
            deep = [deep]

        check_refused(give(authentication__more=deep), "BAD-REQUEST")
        check_nothing_came_of_it(cloud)

    def test_an_expired_token_is_told_apart(self, give: Any, cloud: Cloud) -> None:
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

        check_refused(give(), "TOKEN-EXPIRED")
        check_nothing_came_of_it(cloud)

    def test_an_expired_token_of_another_peer_is_unknown(
        self, cloud: Cloud, token: str, user: Any, make_peer: Any, make_token_of_a: Any
    ) -> None:
        other = make_smartthings(make_peer, cloud, "other")
        foreign = make_token_of_a(other, user).raw
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

        check_refused(post(grant(foreign, cloud.callback_urls())), "INVALID-TOKEN")

    def test_two_peers_of_the_same_kind_are_kept_apart(
        self, cloud: Cloud, token: str, user: Any, make_peer: Any, make_token_of_a: Any
    ) -> None:
        other = make_smartthings(make_peer, cloud, "other")
        foreign = make_token_of_a(other, user).raw
        here, there = (grant(each, cloud.callback_urls()) for each in (foreign, token))

        check_refused(post(here), "INVALID-TOKEN")
        check_refused(post(there, "/connections/handover/other/"), "INVALID-TOKEN")
        check_nothing_came_of_it(cloud)
        assert "globalError" not in post(here, "/connections/handover/other/").json()

    def test_a_token_of_an_application_that_is_no_peer_is_unknown(
        self, cloud: Cloud, token: str, user: Any, make_peer: Any, make_token: Any
    ) -> None:
        other = make_peer("radio")
        foreign = make_token(other.application, user).raw
        other.delete()

        check_refused(post(grant(foreign, cloud.callback_urls())), "INVALID-TOKEN")
        check_nothing_came_of_it(cloud)

    def test_one_code_for_two_people_is_refused(
        self, give: Any, cloud: Cloud, peer: Peer, other_user: Any, make_token_of_a: Any
    ) -> None:
        give()
        token_of_bob = make_token_of_a(peer, other_user).raw

        check_refused(post(grant(token_of_bob, cloud.callback_urls())), "INVALID-CODE")
        assert len(cloud.requests) == 1
        assert Link.objects.get(user=other_user).outgoing_state == "waiting"

    def test_a_deactivated_person_counts_as_unknown(
        self, give: Any, cloud: Cloud, user: Any
    ) -> None:
        user.is_active = False
        user.save()

        check_refused(give(), "INVALID-TOKEN")
        check_nothing_came_of_it(cloud)

    def test_the_token_of_an_ended_link_is_unknown(self, give: Any, cloud: Cloud) -> None:
        lifecycle.end_link(Link.objects.get(), Reason.REVOKED_HERE, revoke_outgoing=True)

        check_refused(give(), "INVALID-TOKEN")
        check_nothing_came_of_it(cloud)

    @pytest.mark.parametrize(
        "values", [{"enabled": False}, {"paused_at": "2026-01-01T00:00Z"}], ids=["off", "paused"]
    )
    def test_a_peer_that_is_off_gets_no_success(
        self, give: Any, cloud: Cloud, values: dict[str, Any]
    ) -> None:
        Peer.objects.update(**values)

        check_failed(give())
        check_nothing_came_of_it(cloud)

    def test_without_hand_overs_there_is_no_success(
        self, give: Any, cloud: Cloud, settings: Any
    ) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

        check_failed(give())
        check_nothing_came_of_it(cloud)

    def test_too_many_codes_of_one_person_are_no_success(self, give: Any, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "HANDOVERS_PER_MINUTE": 1}
        give()

        check_failed(give(callbackAuthentication__code="second"))

    def test_only_texts_of_sane_length_are_repeated(self, give: Any) -> None:
        echoed = give(headers__more="x", headers__requestId="x" * 101, headers__version=2).json()

        assert echoed == {
            "headers": {
                "schema": "st-schema",
                "version": "1.0",
                "interactionType": "grantCallbackAccess",
            }
        }

    @pytest.mark.parametrize("request_id", [7, ["x"], {"a": 1}, "", "a\nb", "ü", True], ids=repr)
    def test_a_request_id_that_is_no_such_text_is_not_repeated(
        self, give: Any, request_id: Any
    ) -> None:
        assert "requestId" not in give(headers__requestId=request_id).json()["headers"]

    def test_a_refusal_repeats_the_headers(self, give: Any) -> None:
        response = give(authentication__token="no-such-token")

        assert response.json()["headers"] == headers("grantCallbackAccess")


def check_failed(response: Any) -> None:
    assert response.status_code == 500
    assert response.json() == {"headers": headers("grantCallbackAccess")}


class TestRedeemingFirst:
    @pytest.mark.parametrize("status", [200, 400, 401, 404])
    @pytest.mark.parametrize(
        "enum", ["INVALID-CODE", "INVALID-TOKEN", "TOKEN-EXPIRED", "INTEGRATION-DELETED"]
    )
    def test_a_code_that_the_cloud_refuses(
        self, give: Any, cloud: Cloud, enum: str, status: int
    ) -> None:
        cloud.answer_tokens(global_error(enum, status))

        check_refused(give(), "INVALID-CODE")
        assert InboxItem.objects.get().state == "failed"
        assert Link.objects.get().outgoing_state == "waiting"

    @pytest.mark.parametrize("enum", ["INVALID-CLIENT", "INVALID-CLIENT-SECRET"])
    def test_refused_credentials_pause_the_peer(self, give: Any, cloud: Cloud, enum: str) -> None:
        cloud.answer_tokens(global_error(enum))

        check_failed(give())
        assert Peer.objects.get().paused_reason == "credentials_refused"

    def test_a_401_without_a_reason_does_not_pause_the_peer(self, give: Any, cloud: Cloud) -> None:
        # Otherwise, one bad code would stop the codes of all people.
        cloud.answer_tokens(Reply(401, b""))

        check_refused(give(), "INVALID-CODE")
        assert Peer.objects.get().paused_at is None

    @pytest.mark.parametrize(
        "response",
        [
            Reply(500, b""),
            Reply(503, b"<html>canary-of-the-cloud"),
            Reply(429, b"{}"),
            Reply(400, b"<html>"),
            global_error("UNKNOWN-ERROR"),
            global_error(17),
            global_error(None, 500),
            Reply.json(200, globalError="x"),
            Reply(200, b""),
            Reply(200, b"[]"),
            Reply.json(200, callbackAuthentication=[]),
            Reply.json(200, callbackAuthentication={"accessToken": 7}),
            Reply.json(200, callbackAuthentication={"accessToken": "a", "tokenType": "MAC"}),
            Reply.json(200, callbackAuthentication={"accessToken": "a" * 10_000}),
        ],
        ids=lambda value: f"{value.status} {value.body[:50]!r}",
    )
    def test_another_failure_is_one_of_this_site(
        self, give: Any, cloud: Cloud, response: Reply, caplog: pytest.LogCaptureFixture
    ) -> None:
        cloud.answer_tokens(response)

        check_failed(give())
        assert InboxItem.objects.get().state in ("cancelled", "failed")
        assert not Link.objects.get().has_outgoing_tokens
        assert "canary-of-the-cloud" not in caplog.text

    def test_a_redirect_is_not_followed(self, give: Any, cloud: Cloud) -> None:
        cloud.answer_tokens(Reply(307, b"", {"Location": f"{cloud.url}/eu/oauth/token"}))
        give()

        assert [path for path, _message in cloud.interactions] == ["/us/oauth/token"]

    def test_a_cloud_that_does_not_listen(self, give: Any, cloud: Cloud) -> None:
        cloud.stop()

        check_failed(give())
        assert InboxItem.objects.get().state == "cancelled"

    def test_a_slow_cloud(self, give: Any, cloud: Cloud, settings: Any) -> None:
        may_go_on = threading.Event()

        def slow(request: Received) -> Reply:
            assert may_go_on.wait(30)
            return cloud.issue(request)

        cloud.answer_tokens(slow)
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "REDEEM_FIRST_SECONDS": 0.3}

        check_failed(give())
        assert InboxItem.objects.get().state == "cancelled"
        may_go_on.set()
        wait_for_late_calls()
        assert not Link.objects.get().has_outgoing_tokens

    def test_a_site_can_respond_first(self, give: Any, cloud: Cloud, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": PATIENT}

        assert give(callbackUrls=cloud.callback_urls("eu")).status_code == 200
        assert cloud.requests == []
        worker.drain()
        assert [path for path, _message in cloud.interactions] == ["/eu/oauth/token"]
        assert Link.objects.get().is_two_way

    def test_a_token_beside_an_error_is_a_success(self, give: Any, cloud: Cloud) -> None:
        granted = {"tokenType": "bearer", "accessToken": "a", "expiresIn": "86400"}
        cloud.answer_tokens(Reply.json(200, callbackAuthentication=granted, globalError={}))

        assert give().status_code == 200
        assert Link.objects.get().access_token.reveal() == "a"


class TestRefreshing:
    @pytest.fixture
    def link(self, give: Any, cloud: Cloud) -> Link:
        give()
        cloud.requests.clear()
        return Link.objects.get()

    def refresh(self, link: Link) -> str:
        return fresh_access_token(link, not_this=link.access_token).reveal()

    def test_the_literal_message_is_sent(self, link: Link, cloud: Cloud) -> None:
        assert self.refresh(link) == "at-2"

        ((path, message),) = cloud.interactions
        assert path == "/us/oauth/token"
        assert message["headers"]["interactionType"] == "refreshAccessTokens"
        assert message["callbackAuthentication"] == {
            "grantType": "refresh_token",
            "refreshToken": "rt-1",
            "clientId": "pdq",
            "clientSecret": OUR_SECRET,
        }
        link.refresh_from_db()
        assert link.refresh_token.reveal() == "rt-2"

    def test_a_refresh_token_that_stays_is_kept(self, link: Link, cloud: Cloud) -> None:
        cloud.answer_tokens(Reply.json(200, callbackAuthentication={"accessToken": "new"}))

        assert self.refresh(link) == "new"
        link.refresh_from_db()
        assert link.refresh_token.reveal() == "rt-1"

    @pytest.mark.parametrize("status", [200, 400])
    @pytest.mark.parametrize(
        "enum", ["INTEGRATION-DELETED", "INVALID-TOKEN", "TOKEN-EXPIRED", "INVALID-CODE"]
    )
    def test_a_dead_refresh_token_breaks_the_direction_at_once(
        self, link: Link, cloud: Cloud, enum: str, status: int
    ) -> None:
        cloud.answer_tokens(global_error(enum, status))

        with pytest.raises(NotLinked):
            self.refresh(link)
        link.refresh_from_db()
        assert (link.outgoing_state, link.outgoing_reason) == ("broken", "refresh_refused")
        with pytest.raises(NotLinked):
            self.refresh(link)
        assert len(cloud.requests) == 1

    @pytest.mark.parametrize(
        "enum", ["INVALID-CLIENT", "INVALID-CLIENT-SECRET", "BAD-REQUEST", "UNSUPPORTED-GRANT-TYPE"]
    )
    def test_a_refusal_that_somebody_can_correct_is_counted(
        self, link: Link, cloud: Cloud, enum: str
    ) -> None:
        cloud.answer_tokens(global_error(enum))

        with pytest.raises(PeerRefused):
            self.refresh(link)
        with pytest.raises(RefreshPostponed):
            self.refresh(link)
        link.refresh_from_db()
        assert (link.outgoing_state, link.refresh_refusals) == ("active", 1)
        assert len(cloud.requests) == 1

    @pytest.mark.parametrize(
        "response",
        [global_error("UNKNOWN-ERROR"), global_error(5), global_error("NEW", 503), Reply(500, b"")],
        ids=lambda value: f"{value.status} {value.body[:40]!r}",
    )
    def test_an_unknown_error_may_pass(self, link: Link, cloud: Cloud, response: Reply) -> None:
        cloud.answer_tokens([response, tokens("at-9", "rt-9")])

        with pytest.raises(PeerRefused, match="HTTP"):
            self.refresh(link)
        assert self.refresh(link) == "at-9"

    def test_the_stored_address_is_checked_again(self, link: Link, cloud: Cloud) -> None:
        link.peer_data = peer_data.written({"oauthToken": f"{cloud.url}/evil/"})
        link.save()

        with pytest.raises(AddressRefused):
            self.refresh(link)
        assert cloud.requests == []


class TestNotices:
    def test_a_deleted_integration_ends_the_link(self, token: str) -> None:
        response = post(deleted(token))

        assert response.status_code == 200
        assert response.json() == {"headers": deleted("")["headers"]}
        link = Link.objects.get()
        assert (link.status, link.outgoing_reason) == ("ended", "revoked_by_peer")
        assert not get_access_token_model().objects.exists()

    def test_it_is_the_same_for_a_second_one_and_for_an_unknown_token(self, token: str) -> None:
        first, second, unknown = (post(deleted(each)) for each in (token, token, "unknown"))

        assert first.content == second.content == unknown.content
        assert {first.status_code, second.status_code, unknown.status_code} == {200}

    def test_tokens_and_addresses_are_gone_with_the_link(
        self, give: Any, token: str, cloud: Cloud
    ) -> None:
        give()
        post(deleted(token))

        link = Link.objects.get()
        assert not link.has_outgoing_tokens
        assert link.data == {}
        assert len(cloud.requests) == 1

    @pytest.mark.parametrize(
        "authentication", [None, "x", {}, {"token": 7}, {"token": ""}], ids=repr
    )
    def test_without_a_usable_token_it_is_a_bad_request(
        self, token: str, authentication: Any
    ) -> None:
        message = changed(deleted(token), authentication=authentication)

        check_refused(post(message), "BAD-REQUEST")
        assert Link.objects.get().status == "active"

    @pytest.mark.parametrize(
        ("members", "logged"),
        [
            ({"globalError": {"errorEnum": 17, "detail": "canary"}}, "?: 17"),
            (
                {
                    "originatingInteractionType": "discoveryRequest",
                    "globalError": {"errorEnum": "BAD-RESPONSE", "detail": "canary"},
                },
                "discoveryRequest: BAD-RESPONSE",
            ),
            ({"globalError": {"errorEnum": "canary\nWARNING"}}, "?: ?"),
            ({"globalError": {"errorEnum": {"canary": 1}}}, "?: ?"),
            ({"globalError": "canary"}, "?: ?"),
            ({"globalError": [], "originatingInteractionType": ["canary"]}, "?: ?"),
            ({"authentication": "canary", "deviceState": "canary"}, "?: ?"),
            ({}, "?: ?"),
        ],
        ids=lambda value: str(value)[:40],
    )
    def test_a_report_is_logged_without_words_of_the_cloud(
        self,
        peer: Peer,
        members: dict[str, Any],
        logged: str,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        with caplog.at_level(logging.INFO):
            response = post({"headers": headers("interactionResult"), **members})

        assert response.status_code == 200
        assert response.json() == {"headers": headers("interactionResult")}
        assert f"Peer smartthings reports: {logged}" in caplog.text
        assert "canary" not in caplog.text


class TestOwnView:
    """A site has one webhook for all interactions."""

    def test_a_grant_is_taken(self, token: str, cloud: Cloud) -> None:
        message = grant(token, cloud.callback_urls())
        response = take_handover(request_with(message), "smartthings")

        assert response is not None
        assert json.loads(response.content) == {"headers": headers("grantCallbackAccess")}

    def test_a_deleted_integration_is_taken(self, token: str) -> None:
        assert take_handover(request_with(deleted(token)), "smartthings") is not None
        assert Link.objects.get().status == "ended"

    @pytest.mark.parametrize(
        "kind", ["discoveryRequest", "stateRefreshRequest", "commandRequest", "unknown"]
    )
    def test_other_interactions_are_left_to_the_view(
        self, token: str, cloud: Cloud, kind: str
    ) -> None:
        message = {"headers": headers(kind), "authentication": {"token": token}}
        request = request_with(message)

        assert take_handover(request, "smartthings") is None
        assert json.loads(request.body) == message
        check_nothing_came_of_it(cloud)


class TestWebhookOfTheDocumentation:
    def send(self, message: Any) -> HttpResponse:
        return webhook(request_with(message))

    def test_a_grant_is_taken(self, token: str, cloud: Cloud) -> None:
        assert self.send(grant(token, cloud.callback_urls())).status_code == 200
        assert Link.objects.get().is_two_way

    def test_a_discovery_asks_for_a_grant(self, token: str) -> None:
        authentication = {"tokenType": "Bearer", "token": token}
        response = self.send(
            {"headers": headers("discoveryRequest"), "authentication": authentication}
        )

        assert json.loads(response.content) == {
            "headers": headers("discoveryResponse"),
            "requestGrantCallbackAccess": True,
            "devices": [
                {
                    "externalDeviceId": "lamp-of-alice",
                    "friendlyName": "Lamp",
                    "deviceHandlerType": "c2c-switch",
                }
            ],
        }

    @pytest.mark.parametrize(
        ("message", "status"),
        [
            ({"headers": headers("discoveryRequest"), "authentication": {"token": "x"}}, 403),
            ({"headers": headers("discoveryRequest"), "authentication": {}}, 400),
            ({"headers": headers("other"), "authentication": {"token": "x"}}, 400),
            ([], 400),
        ],
        ids=["unknown token", "no token", "other", "list"],
    )
    def test_the_rest_is_refused(self, peer: Peer, message: Any, status: int) -> None:
        assert self.send(message).status_code == status


class TestPeer:
    def test_nobody_starts_here_and_no_code_is_sent(self, peer: Peer, cloud: Cloud) -> None:
        assert not peer.can_start
        assert not peer.supports_reverse
        result = dialect_of(peer).send(peer, Secret("code"), Secret("token"))
        assert isinstance(result, Failed)
        assert result.reason == Reason.NO_REVERSE
        assert cloud.requests == []

    def test_a_token_cannot_be_revoked_there(self, peer: Peer, cloud: Cloud) -> None:
        assert isinstance(dialect_of(peer).revoke(peer, Secret("token")), Failed)
        assert cloud.requests == []


@pytest.mark.parametrize(
    "response",
    [None, global_error("INVALID-CODE"), global_error("BAD-REQUEST", 400), Reply(500, b"")],
    ids=["success", "refused", "bad request", "down"],
)
def test_no_secret_is_in_a_log_or_in_a_response(
    give: Any,
    cloud: Cloud,
    token: str,
    response: Reply | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    secrets = [CODE, token, OUR_SECRET, "at-1", "rt-1", "canary-of-the-cloud"]
    if response is not None:
        cloud.answer_tokens(response)

    with caplog.at_level(logging.DEBUG):
        answers = [give(), give(authentication__token=f"x{token}"), post(deleted(token))]
    seen = caplog.text + "".join(each.content.decode() for each in answers)
    assert [secret for secret in secrets if secret in seen] == []


def test_a_refusal_does_not_repeat_a_value_of_the_request() -> None:
    message = changed(
        grant("canary-token", SMARTTHINGS), callbackUrls__oauthToken="https://canary.example"
    )

    with pytest.raises(HandoverRefused) as caught:
        SmartThingsDialect().parse(request_with(message))
    assert "canary" not in str(caught.value)


def test_the_request_id_of_the_site_is_new_each_time(give: Any, cloud: Cloud) -> None:
    give()
    give(callbackAuthentication__code="second")

    ids = {message["headers"]["requestId"] for _path, message in cloud.interactions}
    assert len(ids) == 2
    assert REQUEST_ID not in ids
