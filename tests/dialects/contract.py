"""What every dialect must do. Its test class subclasses :class:`DialectContract`."""

from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reciprocal_oauth.dialects import Dialect, dialect_of
from reciprocal_oauth.exceptions import BadResponse, HandoverRefused, PeerRefused, PeerUnreachable
from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.results import Accepted
from reciprocal_oauth.secret import Secret

from ..conftest import always_had
from ..fakes import FakePeer, Reply, token_response

CODE, ACCESS_TOKEN = Secret("canary-code"), Secret("canary-access-token")

CONTENT_TYPES = ["application/x-www-form-urlencoded", "application/json", "multipart/form-data",
                 "multipart/form-data; boundary=x", "text/plain", ""]  # fmt: skip


class DialectContract:
    """Subclass it, name the dialect, and say what a hand-over in it looks like."""

    #: What ``Peer.dialect`` holds.
    name: str
    #: Where the fake peer takes hand-overs, and where it issues tokens.
    handover_path = token_path = "/token/"
    #: An answer of the peer's that accepts a hand-over.
    accepted = Reply()

    def handover(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        """A right request in this dialect."""
        raise NotImplementedError(f"{type(self).__qualname__} must implement handover()")

    @pytest.fixture
    def dialect(self, peer: Peer) -> Dialect:
        peer.dialect = self.name
        return dialect_of(peer)

    # Receiving

    def test_a_hand_over_is_recognised_and_read(self, dialect: Dialect) -> None:
        request = self.handover("the-code", "the-token", "music-here")

        assert dialect.recognise(request)
        handover = dialect.parse(request)
        assert handover.code.reveal() == "the-code"
        assert handover.access_token.reveal() == "the-token"

    def test_what_was_read_does_not_show_its_secrets(self, dialect: Dialect) -> None:
        handover = dialect.parse(self.handover("the-code", "the-token", "music-here"))

        assert "the-code" not in repr(handover)
        assert "the-token" not in repr(handover)

    @pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token", "password", ""])
    def test_an_ordinary_token_request_is_left_to_dot(
        self, dialect: Dialect, rf: RequestFactory, grant_type: str
    ) -> None:
        assert not dialect.recognise(rf.post("/o/token/", {"grant_type": grant_type, "code": "x"}))

    @settings(
        deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(
        body=st.binary(max_size=200) | st.just(b"grant_type=urn%3Aietf&" + b"&=%"),
        content_type=st.sampled_from(CONTENT_TYPES),
        query=st.text("abc=&%\x00\u00e9", max_size=20),
        authorization=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"])),
    )
    def test_no_bytes_whatever_make_it_raise_anything_but_a_refusal(
        self,
        dialect: Dialect,
        rf: RequestFactory,
        body: bytes,
        content_type: str,
        query: str,
        authorization: str,
    ) -> None:
        request = rf.generic(
            "POST",
            "/o/token/",
            body,
            content_type=content_type,
            headers={"Authorization": authorization},
            QUERY_STRING=query,
        )

        if dialect.recognise(request):
            with pytest.raises(HandoverRefused) as refused:
                dialect.parse(request)
            assert refused.value.status in (400, 401)

    def test_success_is_a_2xx(self, dialect: Dialect) -> None:
        status, headers, body = dialect.success()

        assert 200 <= status < 300
        assert "no-store" in headers["Cache-Control"]
        assert isinstance(body, str)

    @pytest.mark.parametrize("status", [400, 401, 429, 503])
    def test_a_refusal_keeps_its_reason_to_itself(self, dialect: Dialect, status: int) -> None:
        refused = HandoverRefused("invalid_grant", "because of CANARY", status=status)

        response = dialect.error(refused)

        assert response.status_code >= 400
        assert b"CANARY" not in response.content
        assert "no-store" in response["Cache-Control"]

    # Calling the peer

    def test_a_hand_over_that_is_taken_is_accepted(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers[self.handover_path] = self.accepted

        assert isinstance(dialect.send(peer, CODE, ACCESS_TOKEN), Accepted)
        assert len(fake_peer.to(self.handover_path)) == 1

    def test_a_redemption_gives_the_tokens(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        answer = dialect.redeem(peer, CODE)

        assert answer.access_token.reveal() == "token-of-the-peer"
        assert "canary-code" in fake_peer.to(self.token_path)[0].body

    def test_a_refresh_gives_a_token(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers[self.token_path] = token_response(access_token="renewed")

        answer = dialect.refresh(peer, Secret("refresh-token"))

        assert answer.access_token.reveal() == "renewed"
        assert "refresh-token" in fake_peer.to(self.token_path)[0].body

    def test_an_error_of_the_peer_is_raised_as_such(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers[self.token_path] = Reply.json(400, error="invalid_grant")

        for call in (dialect.redeem, dialect.refresh):
            with pytest.raises(PeerRefused) as refused:
                call(peer, CODE)
            assert (refused.value.status, refused.value.error) == (400, "invalid_grant")
            assert "canary" not in str(refused.value)

    def test_nonsense_of_the_peer_is_raised_as_such(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers[self.token_path] = Reply(200, b"<html>canary-code")

        with pytest.raises(BadResponse) as bad:
            dialect.redeem(peer, CODE)
        assert "canary" not in str(bad.value)

    def test_a_peer_that_is_not_there_is_unreachable(self, dialect: Dialect, peer: Peer) -> None:
        nowhere = "http://127.0.0.1:9/"
        always_had(token_endpoint=nowhere, revocation_endpoint=nowhere)
        peer.refresh_from_db()
        calls: list[Any] = [
            lambda: dialect.send(peer, CODE, ACCESS_TOKEN),
            lambda: dialect.redeem(peer, CODE),
            lambda: dialect.refresh(peer, CODE),
        ]
        for call in calls:
            with pytest.raises(PeerUnreachable) as unreachable:
                call()
            assert "canary" not in str(unreachable.value)

    @pytest.mark.threat("X2")
    def test_the_answer_to_a_hand_over_is_described_without_secrets(
        self, dialect: Dialect, peer: Peer, fake_peer: FakePeer
    ) -> None:
        echo = b'{"error": "invalid_request", "error_description": "canary-code"}'
        fake_peer.answers[self.handover_path] = Reply(400, echo)

        answer = dialect.send(peer, CODE, ACCESS_TOKEN)

        assert "canary" not in repr(answer)
