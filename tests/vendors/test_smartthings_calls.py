"""Callbacks: a site tells SmartThings what has changed at a device."""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from reciprocal_oauth.exceptions import (
    AddressRefused,
    NotLinked,
    PeerError,
    PeerRefused,
    PeerUnreachable,
)
from reciprocal_oauth.models import Link, Peer, peer_data
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors import smartthings
from reciprocal_oauth.vendors.smartthings import send_callback

from ..fakes import Reply
from .smartthings_cloud import DIALECTS, Cloud, global_error, grant, post

US, EU = "/us/device/events", "/eu/device/events"
#: As in the tests of st-schema-nodejs.
STATE = {
    "deviceState": [
        {
            "externalDeviceId": "abcd",
            "states": [
                {
                    "component": "main",
                    "capability": "st.switch",
                    "attribute": "switch",
                    "value": "on",
                }
            ],
        }
    ]
}


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    cloud = Cloud()
    yield cloud
    cloud.stop()


@pytest.fixture
def peer(cloud: Cloud, make_peer: Callable[..., Peer], settings: Any) -> Peer:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}
    return make_peer(
        "smartthings",
        cloud.url,
        issuer="",
        authorization_endpoint="",
        revocation_endpoint="",
        dialect="smartthings",
        client_id="pdq",
        token_endpoint=cloud.callback_urls()["oauthToken"],
    )


@pytest.fixture
def link(cloud: Cloud, peer: Peer, user: Any, make_token_of_a: Callable[..., Any]) -> Link:
    """A link with the tokens ``at-1`` and ``rt-1``, in the region ``eu``."""
    token = make_token_of_a(peer, user)
    post(grant(token.raw, cloud.callback_urls("eu")))
    cloud.requests.clear()
    return Link.objects.get()


def test_the_literal_message_is_sent_to_the_address_of_the_grant(link: Link, cloud: Cloud) -> None:
    send_callback(link, STATE)

    ((path, message),) = cloud.interactions
    assert path == EU
    assert len(message["headers"].pop("requestId")) == 36
    assert message == {
        "headers": {"schema": "st-schema", "version": "1.0", "interactionType": "stateCallback"},
        "authentication": {"tokenType": "Bearer", "token": "at-1"},
        **STATE,
    }
    (request,) = cloud.requests
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Authorization" not in request.headers


def test_a_discovery_can_be_sent_too(link: Link, cloud: Cloud) -> None:
    send_callback(link, {"devices": []}, "discoveryCallback")

    ((_path, message),) = cloud.interactions
    assert message["headers"]["interactionType"] == "discoveryCallback"
    assert message["devices"] == []


def test_headers_and_token_of_the_caller_do_not_count(link: Link, cloud: Cloud) -> None:
    send_callback(link, {**STATE, "headers": {}, "authentication": {"token": "another"}})

    ((_path, message),) = cloud.interactions
    assert message["headers"]["schema"] == "st-schema"
    assert message["authentication"]["token"] == "at-1"


def test_an_expired_token_is_refreshed_first(link: Link, cloud: Cloud) -> None:
    Link.objects.update(access_token_expires_at=datetime.fromisoformat("2020-01-01T00:00Z"))

    send_callback(link, STATE)
    assert [path for path, _message in cloud.interactions] == ["/eu/oauth/token", EU]
    assert cloud.interactions[-1][1]["authentication"]["token"] == "at-2"


@pytest.mark.parametrize(
    "refusal",
    [
        Reply(401, b""),
        global_error("TOKEN-EXPIRED", 401),
        global_error("TOKEN-EXPIRED"),
        global_error("INVALID-TOKEN"),
    ],
    ids=lambda value: f"{value.status} {value.body[:40]!r}",
)
def test_a_refused_token_is_refreshed_once(link: Link, cloud: Cloud, refusal: Reply) -> None:
    cloud.answers[EU] = [refusal, Reply(200, b"")]

    send_callback(link, STATE)
    assert [path for path, _message in cloud.interactions] == [EU, "/eu/oauth/token", EU]
    sent = [message.get("authentication") for _path, message in cloud.interactions]
    assert sent[0] == {"tokenType": "Bearer", "token": "at-1"}
    assert sent[2] == {"tokenType": "Bearer", "token": "at-2"}


def test_a_token_that_is_refused_again_is_an_error(link: Link, cloud: Cloud) -> None:
    cloud.answers[EU] = Reply(401, b"")

    with pytest.raises(PeerRefused):
        send_callback(link, STATE)
    assert len(cloud.to(EU)) == 2
    link.refresh_from_db()
    assert link.outgoing_state == "active"


def test_a_refused_token_without_a_refresh_token_is_an_error(link: Link, cloud: Cloud) -> None:
    link.refresh_token = Secret("")
    link.save()
    cloud.answers[EU] = Reply(401, b"")

    with pytest.raises(PeerRefused):
        send_callback(link, STATE)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (global_error("BAD-REQUEST"), "invalid_request"),
        (global_error("BAD-REQUEST", 400), "invalid_request"),
        (global_error("UNKNOWN-ERROR"), "server_error"),
        (global_error(17), "server_error"),
        (Reply.json(200, globalError="canary"), "server_error"),
        (Reply(500, b"canary"), ""),
        (Reply(404, b"canary"), ""),
        (Reply(302, b"", {"Location": "/us/device/events"}), ""),
    ],
    ids=lambda value: f"{value.status} {value.body[:40]!r}" if isinstance(value, Reply) else None,
)
def test_another_refusal_is_raised(link: Link, cloud: Cloud, response: Reply, error: str) -> None:
    cloud.answers[EU] = response

    with pytest.raises(PeerRefused) as caught:
        send_callback(link, STATE)
    assert caught.value.error == error
    assert "canary" not in str(caught.value)
    assert len(cloud.requests) == 1


@pytest.mark.parametrize("body", [b"", b"{}", b"ok", b"[]", b'{"globalError": null}'])
def test_every_other_2xx_is_a_success(link: Link, cloud: Cloud, body: bytes) -> None:
    cloud.answers[EU] = Reply(202, body)

    send_callback(link, STATE)


def test_a_cloud_that_does_not_listen(link: Link, cloud: Cloud) -> None:
    cloud.stop()

    with pytest.raises(PeerUnreachable):
        send_callback(link, STATE)


class TestRemovedConnector:
    @pytest.mark.parametrize("status", [200, 400, 401, 403])
    def test_the_link_ends(self, link: Link, cloud: Cloud, status: int) -> None:
        cloud.answers[EU] = global_error("INTEGRATION-DELETED", status)

        with pytest.raises(NotLinked):
            send_callback(link, STATE)
        link.refresh_from_db()
        assert (link.status, link.outgoing_reason) == ("ended", "revoked_by_peer")
        assert not link.has_outgoing_tokens
        assert len(cloud.requests) == 1

    def test_nothing_is_sent_after_that(self, link: Link, cloud: Cloud) -> None:
        cloud.answers[EU] = global_error("INTEGRATION-DELETED")

        for _time in range(2):
            with pytest.raises(NotLinked):
                send_callback(link, STATE)
        assert len(cloud.requests) == 1

    def test_a_newer_grant_stays(
        self, link: Link, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        send = smartthings._post

        def and_the_person_adds_it_again(*arguments: Any) -> Any:
            response = send(*arguments)
            newer = Link.objects.get()
            newer.access_token = Secret("newer")
            newer.save()
            return response

        monkeypatch.setattr(smartthings, "_post", and_the_person_adds_it_again)
        cloud.answers[EU] = global_error("INTEGRATION-DELETED")

        with pytest.raises(NotLinked):
            send_callback(link, STATE)
        link.refresh_from_db()
        assert (link.status, link.access_token.reveal()) == ("active", "newer")

    def test_when_the_refresh_says_so_the_outgoing_direction_ends(
        self, link: Link, cloud: Cloud
    ) -> None:
        cloud.answers[EU] = Reply(401, b"")
        cloud.answer_tokens(global_error("INTEGRATION-DELETED"))

        with pytest.raises(NotLinked):
            send_callback(link, STATE)
        link.refresh_from_db()
        assert (link.status, link.outgoing_state) == ("active", "broken")


class TestAddress:
    @pytest.mark.parametrize(
        "path", ["/evil/", "/eu/oauth/token", "/eu/device/events?x=1", "/eu/device/events/"]
    )
    def test_only_listed_addresses_get_the_token(self, link: Link, cloud: Cloud, path: str) -> None:
        link.peer_data = peer_data.written({"stateCallback": f"{cloud.url}{path}"})
        link.save()

        with pytest.raises(AddressRefused):
            send_callback(link, STATE)
        assert cloud.requests == []

    def test_the_secret_must_belong_to_smartthings(self, link: Link, cloud: Cloud) -> None:
        Peer.objects.update(bound_to="pdq\nhttps://music.example")

        with pytest.raises(PeerError):
            send_callback(link, STATE)
        assert cloud.requests == []

    def test_a_link_without_an_address_gets_nothing(self, link: Link, cloud: Cloud) -> None:
        link.peer_data = Secret("")
        link.save()

        with pytest.raises(NotLinked):
            send_callback(link, STATE)
        assert cloud.requests == []

    def test_a_link_with_another_vendor_gets_nothing(self, link: Link, cloud: Cloud) -> None:
        Peer.objects.update(dialect="ietf")

        with pytest.raises(NotLinked):
            send_callback(link, STATE)
        assert cloud.requests == []


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"deviceState": [datetime(2026, 1, 1)]}, TypeError),  # noqa: DTZ001
        ({"deviceState": float("nan")}, ValueError),
    ],
    ids=["datetime", "nan"],
)
def test_a_message_that_is_no_json_is_an_error_of_the_caller(
    link: Link, cloud: Cloud, message: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        send_callback(link, message)
    assert cloud.requests == []


@pytest.mark.django_db(transaction=True)
def test_it_is_no_work_for_a_transaction(link: Link, cloud: Cloud) -> None:
    with transaction.atomic(), pytest.raises(TransactionManagementError):
        send_callback(link, STATE)
    assert cloud.requests == []


def test_no_token_is_logged(link: Link, cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    cloud.answers[EU] = [Reply(401, b""), global_error("canary")]

    with caplog.at_level(logging.DEBUG), pytest.raises(PeerRefused):
        send_callback(link, STATE)
    assert [word for word in ("at-1", "at-2", "rt-1", "canary") if word in caplog.text] == []
