"""How this site registers as a client elsewhere, and manages its registration there."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from reciprocal_oauth.client import registration
from reciprocal_oauth.client.registration import Registration
from reciprocal_oauth.exceptions import AddressRefused, BadResponse, PeerRefused
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Reply

#: With blanks and an order of its own, so that a body that was made again would differ.
BODY = '{"redirect_uris":  ["https://us.example/callback/"], "client_name": "Üs"}'
TOKEN = Secret("initial-access-token")


def answer(fake_peer: FakePeer, **members: Any) -> Reply:
    """What a server answers (RFC 7591, section 3.2.1)."""
    return Reply.json(
        201,
        **{
            "client_id": "us-there",
            "client_secret": "secret-there",
            "client_secret_expires_at": 0,
            "registration_access_token": "token-of-the-registration",
            "registration_client_uri": f"{fake_peer.url}/register/us-there",
            "client_name": "Üs",
            **members,
        },
    )


@pytest.fixture
def register(fake_peer: FakePeer) -> Callable[..., Registration]:
    """Registers with the members that the server answers in addition."""

    def call(*, is_foreign: bool = False, status: int = 201, **members: Any) -> Registration:
        reply = answer(fake_peer, **members)
        reply.status = status
        fake_peer.answers["/register/"] = reply
        return registration.register(
            f"{fake_peer.url}/register/", BODY, TOKEN, is_foreign=is_foreign
        )

    return call


@pytest.mark.rfc("7591", "3.1")
def test_exactly_the_given_bytes_are_sent_with_the_token(
    fake_peer: FakePeer, register: Callable[..., Registration]
) -> None:
    register()
    registration.register(f"{fake_peer.url}/register/", Secret(BODY))

    with_token, without = fake_peer.requests
    assert (with_token.method, with_token.body, without.body) == ("POST", BODY, BODY)
    assert with_token.headers["Content-Type"] == "application/json"
    assert with_token.headers["Authorization"] == "Bearer initial-access-token"
    assert "Authorization" not in without.headers


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.rfc("7592", "3")
def test_the_response_is_read_and_shows_no_secret(
    fake_peer: FakePeer, register: Callable[..., Registration]
) -> None:
    result = register(client_secret_expires_at=1800000000, reciprocal_state="waiting")

    assert result.client_id == "us-there"
    assert result.client_secret == Secret("secret-there")
    assert result.client_secret_expires_at == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert result.registration_access_token == Secret("token-of-the-registration")
    assert result.registration_client_uri == f"{fake_peer.url}/register/us-there"
    assert result.metadata == {"client_name": "Üs", "reciprocal_state": "waiting"}
    assert result.is_managed
    assert "secret-there" not in repr(result)
    assert "token-of-the-registration" not in repr(result)


@pytest.mark.rfc("7591", "3.2.1")
def test_a_secret_and_a_way_to_manage_the_registration_are_optional(
    register: Callable[..., Registration],
) -> None:
    result = register(
        client_secret=None, registration_access_token=None, registration_client_uri=None
    )

    assert result.client_secret is None
    assert result.client_secret_expires_at is None
    assert not result.is_managed


BAD = [
    {"client_id": None},
    {"client_id": ""},
    {"client_id": 5},
    {"client_id": "x" * 256},
    {"client_id": "with\nline"},
    {"client_secret": ["secret"]},
    {"client_secret": "x" * 1025},
    {"registration_access_token": "a b"},
    {"registration_access_token": "x" * 9000},
    {"registration_client_uri": "https://elsewhere.example/register/us-there"},
    {"registration_client_uri": "file:///etc/passwd"},
    {"registration_client_uri": "not a URL"},
    {"registration_client_uri": 7},
]


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.parametrize("members", BAD, ids=lambda each: str(each)[:60])
def test_a_response_with_an_unusable_member_is_refused(
    members: dict[str, Any], register: Callable[..., Registration]
) -> None:
    with pytest.raises(BadResponse):
        register(**members)


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b"[" * 60_000, b"x" * 70_000])
def test_a_response_that_is_no_json_object_is_refused(fake_peer: FakePeer, body: bytes) -> None:
    fake_peer.answers["/register/"] = Reply(201, body)

    with pytest.raises(BadResponse):
        registration.register(f"{fake_peer.url}/register/", BODY)


@pytest.mark.rfc("7592", "3")
@pytest.mark.threat("G1")
@pytest.mark.parametrize("members", BAD[-4:], ids=lambda each: str(each)[:60])
def test_a_foreign_server_whose_management_cannot_be_used_has_registered_us_all_the_same(
    members: dict[str, Any], register: Callable[..., Registration]
) -> None:
    result = register(is_foreign=True, status=200, **members)

    assert (result.client_id, result.is_managed) == ("us-there", False)
    assert result.registration_access_token is None


def test_status_200_is_a_success_for_foreign_servers_only(
    register: Callable[..., Registration],
) -> None:
    with pytest.raises(PeerRefused):
        register(status=200)


# Refusals


def refused(fake_peer: FakePeer, reply: Reply) -> PeerRefused:
    fake_peer.answers["/register/"] = reply
    with pytest.raises(PeerRefused) as error:
        registration.register(f"{fake_peer.url}/register/", BODY, TOKEN)
    return error.value


@pytest.mark.rfc("7591", "3.2.2")
def test_a_refusal_has_a_code_for_the_log_and_a_description_for_the_administrator(
    fake_peer: FakePeer,
) -> None:
    error = refused(
        fake_peer,
        Reply.json(400, error="invalid_redirect_uri", error_description="Only https, please."),
    )

    assert (error.status, error.error) == (400, "invalid_redirect_uri")
    assert error.description == "Only https, please."
    assert "Only https" not in str(error)


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("X2", "G2")
@pytest.mark.parametrize(
    "description",
    [
        "No such token: initial-access-token.",
        f"{'k' * 43} is not good",
        "<b>\\n",
        "two\nlines",
        "\u202egnp.exe",
        "x" * 301,
        ["a list"],
        None,
    ],
    ids=lambda each: str(each)[:30],
)
def test_a_description_that_is_not_safe_to_show_is_left_out(
    fake_peer: FakePeer, description: Any
) -> None:
    reply = Reply.json(400, error="invalid_client_metadata", error_description=description)

    assert refused(fake_peer, reply).description == ""


@pytest.mark.rfc("9110", "10.2.3")
def test_a_refusal_says_how_long_to_wait(fake_peer: FakePeer) -> None:
    error = refused(fake_peer, Reply(503, b"", {"Retry-After": "2"}))

    assert (error.status, error.retry_after, error.may_pass) == (503, 2.0, True)


@pytest.mark.rfc("9110", "15.4")
def test_a_redirect_is_not_followed_with_the_token(fake_peer: FakePeer) -> None:
    error = refused(fake_peer, Reply(307, b"", {"Location": f"{fake_peer.url}/elsewhere/"}))

    assert error.status == 307
    assert [each.path for each in fake_peer.requests] == ["/register/"]


def test_an_address_that_must_not_be_called_gets_nothing() -> None:
    with pytest.raises(AddressRefused):
        registration.register("https://user@peer.example/register/", BODY, TOKEN)


# The client configuration endpoint


@pytest.mark.rfc("7592", "2.1")
def test_the_registration_is_read(fake_peer: FakePeer) -> None:
    fake_peer.answers["/register/us-there"] = Reply.json(
        client_id="us-there", reciprocal_state="complete"
    )

    result = registration.read(f"{fake_peer.url}/register/us-there", Secret("token"))

    sent = fake_peer.requests[0]
    assert (sent.method, sent.headers["Authorization"]) == ("GET", "Bearer token")
    assert result.metadata == {"reciprocal_state": "complete"}
    assert result.registration_access_token is None


@pytest.mark.rfc("7592", "2.2")
def test_an_update_sends_all_but_what_a_client_must_not_send(fake_peer: FakePeer) -> None:
    reply = answer(fake_peer, client_secret="new-secret")
    reply.status = 200
    fake_peer.answers["/register/us-there"] = reply
    uri = f"{fake_peer.url}/register/us-there"
    members = {
        "client_id": "us-there",
        "client_name": "Us",
        "client_secret_expires_at": 0,
        "client_id_issued_at": 1,
        "registration_access_token": "token",
        "registration_client_uri": uri,
    }

    result = registration.update(uri, Secret("token"), members)

    sent = fake_peer.requests[0]
    assert (sent.method, sent.headers["Authorization"]) == ("PUT", "Bearer token")
    assert json.loads(sent.body) == {"client_id": "us-there", "client_name": "Us"}
    assert result.client_secret == Secret("new-secret")


@pytest.mark.rfc("7592", "2.3")
def test_the_registration_is_deleted(fake_peer: FakePeer) -> None:
    fake_peer.answers["/register/us-there"] = Reply(204, b"")

    registration.delete(f"{fake_peer.url}/register/us-there", Secret("token"))

    sent = fake_peer.requests[0]
    assert (sent.method, sent.headers["Authorization"]) == ("DELETE", "Bearer token")


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.parametrize("status", [401, 403, 404, 405, 500])
def test_a_refusal_of_the_configuration_endpoint_is_raised(
    fake_peer: FakePeer, status: int
) -> None:
    fake_peer.answers["/register/us-there"] = Reply(status, b"")
    uri, token = f"{fake_peer.url}/register/us-there", Secret("token")

    for call in (
        lambda: registration.read(uri, token),
        lambda: registration.update(uri, token, {}),
        lambda: registration.delete(uri, token),
    ):
        with pytest.raises(PeerRefused) as error:
            call()
        assert error.value.status == status
