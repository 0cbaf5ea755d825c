"""The draft as it is written, on the wire."""

from dataclasses import replace
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory, TestCase
from hypothesis import given, settings
from hypothesis import strategies as st

from reciprocal_oauth.core.protocol import GRANT_TYPE, PARAMETERS
from reciprocal_oauth.dialects.form import FORM_TYPE
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.exceptions import HandoverRefused
from reciprocal_oauth.models import Peer, Reason
from reciprocal_oauth.models.results import (
    Accepted,
    Done,
    Failed,
    HandoverResult,
    Retry,
    StaleToken,
)
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.testing import DialectContract

from ..conftest import OUR_SECRET, PEER_SECRET, basic
from ..fakes import FakePeer, Reply

pytestmark = pytest.mark.django_db

CODE, ACCESS_TOKEN = Secret("canary-code"), Secret("canary-access-token")


class TestContract(DialectContract, TestCase):
    dialect_name = "ietf"

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        body = f"grant_type={GRANT_TYPE}&code={code}&access_token={access_token}"
        return RequestFactory().post(
            "/o/token/",
            f"{body}&client_id={client_id}",
            content_type=FORM_TYPE,
            headers=basic(client_id, PEER_SECRET),
        )

    test_a_result_contains_no_secret = pytest.mark.threat("X2")(
        DialectContract.test_a_result_contains_no_secret
    )


CONTENT_TYPES = [FORM_TYPE, "application/json", "multipart/form-data",
                 "multipart/form-data; boundary=x", "text/plain", ""]  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(
    body=st.binary(max_size=200) | st.just(b"grant_type=urn%3Aietf&" + b"&=%"),
    content_type=st.sampled_from(CONTENT_TYPES),
    query=st.text("abc=&%\x00\u00e9", max_size=20),
    authorization=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])),
)
def test_no_bytes_make_it_raise_anything_but_a_refusal(
    body: bytes, content_type: str, query: str, authorization: str
) -> None:
    contract = TestContract()
    contract.dialect = IETFDialect()
    contract.check_odd_request(body, content_type, query, authorization)


@pytest.mark.draft("Reciprocal Authorization Code")
def test_a_hand_over_carries_the_four_parameters_and_basic_credentials(
    peer: Peer, fake_peer: FakePeer
) -> None:
    IETFDialect().send(peer, CODE, ACCESS_TOKEN)

    sent = fake_peer.requests[0]
    assert (sent.method, sent.path) == ("POST", "/token/")
    assert sent.form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:reciprocal",
        "code": "canary-code",
        "client_id": "us-at-music",
        "access_token": "canary-access-token",
    }
    assert sent.headers["Authorization"] == basic("us-at-music", OUR_SECRET)["Authorization"]
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "2.3.1")
def test_a_hand_over_carries_the_secret_in_the_body_where_the_peer_wants_it_there(
    peer: Peer, fake_peer: FakePeer
) -> None:
    peer.token_endpoint_auth_method = "client_secret_post"

    IETFDialect().send(peer, CODE, ACCESS_TOKEN)

    sent = fake_peer.requests[0]
    assert sent.form.keys() == {*PARAMETERS, "client_secret"}
    assert sent.form["client_secret"] == OUR_SECRET
    assert "Authorization" not in sent.headers


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "B")
def test_a_hand_over_is_a_form_in_utf_8(peer: Peer, fake_peer: FakePeer) -> None:
    IETFDialect().send(peer, Secret("c+d/e=f&g ü"), Secret("a%20b"))

    sent = fake_peer.requests[0]
    assert sent.body.isascii()
    assert "code=c%2Bd%2Fe%3Df%26g+%C3%BC" in sent.body.split("&")
    assert "access_token=a%2520b" in sent.body.split("&")


@pytest.mark.draft("Reciprocal Authorization Code")
def test_a_hand_over_goes_to_the_reciprocal_endpoint_where_there_is_one(
    peer: Peer, fake_peer: FakePeer
) -> None:
    peer.reciprocal_endpoint = f"{fake_peer.url}/reciprocal/"
    fake_peer.answers["/reciprocal/"] = Reply()

    assert isinstance(IETFDialect().send(peer, CODE, ACCESS_TOKEN), Accepted)
    assert [request.path for request in fake_peer.requests] == ["/reciprocal/"]


A: tuple[type[HandoverResult], Reason] = (Accepted, Reason.NONE)
LATER: tuple[type[HandoverResult], Reason] = (Retry, Reason.UNREACHABLE)
STALE: tuple[type[HandoverResult], Reason] = (StaleToken, Reason.NONE)
RESULTS: list[tuple[Reply, tuple[type[HandoverResult], Reason]]] = [
    (Reply(200, b"{}"), A),
    (Reply(200, b""), A),
    (Reply(200, b"<html>"), A),
    (Reply(201), A),
    (Reply(204, b""), A),
    (Reply.json(400, error="invalid_grant"), STALE),
    (Reply(400, b""), STALE),
    (Reply(400, b" \n"), STALE),
    (Reply(400, b"{}"), STALE),
    (Reply(400, b"", {"Content-Type": "text/html"}), STALE),
    (Reply.json(400, error="no code that is registered"), STALE),
    (Reply(400, b"<html>"), LATER),
    (Reply(400, b"Bad Request", {"Content-Type": "text/plain"}), LATER),
    (Reply(400, b"[1]"), LATER),
    (Reply.json(400, message="no upstream"), LATER),
    (Reply(400, b"x" * 100_000), LATER),
    (Reply(400, b"not gzip", {"Content-Encoding": "gzip"}), LATER),
    (Reply.json(400, error="temporarily_unavailable"), LATER),
    (Reply.json(400, error=["invalid_grant"]), STALE),
    (Reply.json(400, error="invalid_request"), (Failed, Reason.HANDOVER_REFUSED)),
    (Reply.json(400, error="unauthorized_client"), (Failed, Reason.HANDOVER_REFUSED)),
    (Reply.json(400, error="unsupported_grant_type"), (Failed, Reason.NO_REVERSE)),
    (Reply.json(400, error="invalid_scope"), (Failed, Reason.HANDOVER_REFUSED)),
    (Reply.json(400, error="invalid_token"), STALE),
    (Reply.json(401, error="invalid_client"), (Failed, Reason.CREDENTIALS_REFUSED)),
    (Reply.json(400, error="invalid_client"), (Failed, Reason.CREDENTIALS_REFUSED)),
    (Reply.json(401, error="invalid_token"), STALE),
    (Reply.json(401, error="invalid_grant"), STALE),
    (Reply.json(401, error="access_denied"), (Failed, Reason.HANDOVER_REFUSED)),
    (Reply(401, b""), (Failed, Reason.CREDENTIALS_REFUSED)),
    (Reply(403), (Failed, Reason.HANDOVER_REFUSED)),
    (Reply(410), (Failed, Reason.GONE)),
    (Reply(413), (Failed, Reason.HANDOVER_REFUSED)),
    *((Reply(status, b""), LATER) for status in
      (301, 302, 303, 307, 308, 404, 405, 408, 425, 429, 500, 502, 503, 504)),
]  # fmt: skip


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("R3", "R4", "R5", "R6")
@pytest.mark.parametrize(
    ("reply", "expected"), RESULTS, ids=[f"{r.status} {r.body[:40]!r}" for r, _ in RESULTS]
)
def test_what_a_response_to_a_hand_over_means(
    peer: Peer, fake_peer: FakePeer, reply: Reply, expected: tuple[type[HandoverResult], Reason]
) -> None:
    fake_peer.answers["/token/"] = reply

    result = IETFDialect().send(peer, CODE, ACCESS_TOKEN)

    assert (type(result), getattr(result, "reason", Reason.NONE)) == expected
    detail = result.detail if isinstance(result, Accepted) else result.error
    assert str(reply.status) in detail


REVOCATIONS: list[tuple[Reply, Any]] = [
    (Reply(200, b""), Done()),
    (Reply(204, b""), Done()),
    (Reply(503, b"", {"Retry-After": "5"}), Retry("", Reason.UNREACHABLE, 5)),
    (Reply(404, b""), Retry("", Reason.UNREACHABLE)),
    (Reply(401, b""), Failed("", Reason.CREDENTIALS_REFUSED)),
    (Reply(410, b""), Failed("", Reason.GONE)),
    (Reply(403, b""), Failed("", Reason.TOKEN_REFUSED)),
    (Reply.json(400, error="invalid_grant"), Failed("", Reason.TOKEN_REFUSED)),
    (Reply.json(400, error="unsupported_token_type"), Failed("", Reason.TOKEN_REFUSED)),
    (Reply.json(400, error="unsupported_grant_type"), Failed("", Reason.TOKEN_REFUSED)),
]


@pytest.mark.rfc("7009", "2.2.1")
@pytest.mark.parametrize(
    ("reply", "expected"), REVOCATIONS, ids=[f"{r.status} {r.body!r}" for r, _ in REVOCATIONS]
)
def test_what_a_response_to_a_revocation_means(
    peer: Peer, fake_peer: FakePeer, reply: Reply, expected: Any
) -> None:
    fake_peer.answers["/revoke/"] = reply

    result = IETFDialect().revoke(peer, ACCESS_TOKEN)

    if not isinstance(result, Done):
        assert str(reply.status) in result.error
        result = replace(result, error="")
    assert result == expected


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R4")
@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120), ("999999999999", 24 * 3600), ("soon", None), ("-5", None)]
)
def test_how_long_the_peer_asks_to_wait_is_passed_on(
    peer: Peer, fake_peer: FakePeer, value: str, seconds: float | None
) -> None:
    fake_peer.answers["/token/"] = Reply(503, b"", {"Retry-After": value})

    result = IETFDialect().send(peer, CODE, ACCESS_TOKEN)

    assert isinstance(result, Retry)
    assert result.after == seconds


@pytest.mark.rfc("7009", "2.1")
def test_a_revocation_goes_to_the_revocation_endpoint(peer: Peer, fake_peer: FakePeer) -> None:
    fake_peer.answers["/revoke/"] = Reply(200, b"")

    assert isinstance(IETFDialect().revoke(peer, ACCESS_TOKEN), Done)
    sent = fake_peer.requests[0]
    assert (sent.path, sent.form) == ("/revoke/", {"token": "canary-access-token"})
    assert sent.headers["Authorization"].startswith("Basic ")


@pytest.mark.rfc("6749", "5.2")
def test_a_refusal_is_json_with_the_error_code_alone() -> None:
    response: Any = IETFDialect().error(
        HandoverRefused("temporarily_unavailable", "the log", status=503, retry_after=30),
        RequestFactory().post("/o/token/"),
    )

    assert (response.status_code, response.content) == (
        503,
        b'{"error": "temporarily_unavailable"}',
    )
    assert response["Retry-After"] == "30"
    assert response["Content-Type"] == "application/json"
    assert "WWW-Authenticate" not in response
