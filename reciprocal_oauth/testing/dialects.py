"""Tests that every dialect must pass. To run them, derive a test class from ``DialectContract``.

::

    class TestMusicDialect(DialectContract, TestCase):
        dialect_name = "music"

        def handover_request(self, code, access_token, client_id):
            return RequestFactory().post("/o/token/", {...})
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory, TestCase

from ..dialects import Dialect, dialect_of
from ..exceptions import BadResponse, Cause, HandoverRefused, PeerRefused, PeerUnreachable
from ..models.results import Accepted, Done
from ..secret import Secret
from .factories import create_peer
from .fake_peer import REVOCATION_PATH, TOKEN_PATH, FakePeer
from .fake_server import FakeResponse

if TYPE_CHECKING:
    _Base = TestCase
else:
    # At run time, ``DialectContract`` is only a mixin. If it were a ``TestCase`` itself, its tests
    # would also run, without a dialect, in each test module that imports it.
    _Base = object

CODE, ACCESS_TOKEN = Secret("canary-code"), Secret("canary-access-token")
_NOWHERE = "http://127.0.0.1:9/"  # No server listens on port 9.

#: Malformed requests, each with body, content type and query string. A dialect passes the test if
#: ``recognise`` returns False or ``parse`` raises ``HandoverRefused``.
ODD_REQUESTS: tuple[tuple[bytes, str, str], ...] = (
    (b"", "", ""),
    (b"\x00\xff\xfe", "application/x-www-form-urlencoded", ""),
    (b"grant_type=%00&code=%ff&access_token=%80", "application/x-www-form-urlencoded", ""),
    (b"grant_type=urn%3Aietf&&=%", "application/x-www-form-urlencoded; charset=x", "a=%00"),
    (b"code=1&code=2&access_token=", "application/x-www-form-urlencoded", "code=3"),
    (b"{", "application/json", ""),
    (b"[" * 100_000, "application/json", ""),
    (b'{"code": 1, "code": "2"}', "application/json", ""),
    (b'{"grant_type": null, "code": {"a": 1e999}}', "application/json; charset=utf-16", ""),
    (b"--x\r\n", "multipart/form-data; boundary=x", ""),
    (b"--x", "multipart/form-data", "grant_type=reciprocal"),
    (b"x" * 100_000, "text/plain", ""),
)


class DialectContract(_Base):
    """Tests for a subclass of ``Dialect``. Use this class as a mixin of ``django.test.TestCase``.

    A "hand-over" is a request in which one site sends the other site a reciprocal code.
    """

    #: The name of the dialect, as in ``Peer.dialect``.
    dialect_name: ClassVar[str]
    #: The path at which the fake peer accepts hand-overs, and the path at which it issues tokens.
    handover_path: ClassVar[str] = TOKEN_PATH
    token_path: ClassVar[str] = TOKEN_PATH
    #: The response with which the fake peer accepts a hand-over.
    accepted: ClassVar[FakeResponse] = FakeResponse()

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        """Return a correct request in this dialect. With this request, the peer (the client
        ``client_id``) hands over the reciprocal code ``code`` for the user of ``access_token``.

        :raises NotImplementedError: the subclass does not implement this method.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must implement handover_request()")

    def peer_values(self) -> Mapping[str, Any]:
        """Return the field values that this dialect needs in a ``Peer``, such as an endpoint."""
        return {}

    def check_refusal(self, response: HttpResponse) -> None:
        """Check the form of the response to a refused hand-over. Override this method if peers with
        this dialect expect errors with status 200, as some vendors do."""
        self.assertGreaterEqual(response.status_code, 400)
        self.assertIn("no-store", response["Cache-Control"])

    def setUp(self) -> None:
        """Start a fake peer, and save a ``Peer`` for it that uses the dialect."""
        super().setUp()
        self.fake_peer = self.enterContext(FakePeer())
        values = {"dialect": self.dialect_name, **self.peer_values()}
        self.peer = create_peer(self.fake_peer, **values)
        self.dialect: Dialect = dialect_of(self.peer)

    # Tests for hand-overs that the peer sends to this site.

    def test_a_hand_over_is_recognised_and_read(self) -> None:
        """``recognise`` returns True. ``parse`` returns an object with the reciprocal code and the
        access token, and the ``repr`` of this object hides both."""
        request = self.handover_request("the-code", "the-token", "music-here")

        self.assertTrue(self.dialect.recognise(request))
        handover = self.dialect.parse(request)
        self.assertEqual(handover.code.reveal(), "the-code")
        self.assertEqual(handover.access_token.reveal(), "the-token")
        self.assertNotIn("the-code", repr(handover))
        self.assertNotIn("the-token", repr(handover))

    def test_an_ordinary_token_request_is_not_recognised(self) -> None:
        """``recognise`` returns False for other grant types, so that django-oauth-toolkit handles
        these requests."""
        for grant_type in ("authorization_code", "refresh_token", "password", ""):
            with self.subTest(grant_type):
                form = {"grant_type": grant_type, "code": "x"}
                self.assertFalse(self.dialect.recognise(RequestFactory().post("/o/token/", form)))

    def test_an_odd_request_raises_nothing_but_a_refusal(self) -> None:
        """For a malformed request, ``recognise`` raises no exception, and ``parse`` raises only
        ``HandoverRefused``."""
        for body, content_type, query in ODD_REQUESTS:
            with self.subTest(body=body[:40], content_type=content_type):
                self.check_odd_request(body, content_type, query)

    def check_odd_request(
        self, body: bytes, content_type: str, query: str = "", authorization: str = ""
    ) -> None:
        """Check that a malformed request is not recognised, or that ``parse`` refuses it. For
        fuzzing, call this method with random bytes."""
        request = self._odd_request(body, content_type, query, authorization)
        if self.dialect.recognise(request):
            with self.assertRaises(HandoverRefused) as caught:
                self.dialect.parse(request)
            self.assertIn(caught.exception.status, (400, 401))

    def _odd_request(
        self, body: bytes, content_type: str, query: str, authorization: str = ""
    ) -> HttpRequest:
        return RequestFactory().generic(
            "POST",
            "/o/token/",
            body,
            content_type=content_type,
            headers={"Authorization": authorization},
            QUERY_STRING=query,
        )

    def test_success_is_a_2xx_that_no_cache_stores(self) -> None:
        """The response to an accepted hand-over has a 2xx status and forbids caching (RFC 6749,
        section 5.1)."""
        request = self.handover_request("the-code", "the-token", "music-here")
        response = self.dialect.success(request)

        self.assertIn(response.status_code, range(200, 300))
        self.assertIn("no-store", response["Cache-Control"])
        self.assertNotIn(b"the-code", response.content)
        self.assertNotIn(b"the-token", response.content)

    def test_a_refusal_does_not_tell_its_reason(self) -> None:
        """The response does not contain the text of ``HandoverRefused``, which is for the log of
        this site only."""
        request = self.handover_request("the-code", "the-token", "music-here")
        for status in (400, 401, 429, 503):
            for cause in Cause:
                with self.subTest(status=status, cause=cause):
                    refused = HandoverRefused(
                        "invalid_grant", "because of CANARY", status=status, cause=cause
                    )
                    response = self.dialect.error(refused, request)
                    self.check_refusal(response)
                    self.assertNotIn(b"CANARY", response.content)
                    self.assertNotIn(b"the-code", response.content)
                    self.assertNotIn(b"the-token", response.content)

    def test_a_refusal_of_a_malformed_request_is_a_response(self) -> None:
        """``error`` and ``notice`` can read the request. A malformed request must not make them
        fail."""
        for body, content_type, query in ODD_REQUESTS:
            with self.subTest(body=body[:40], content_type=content_type):
                request = self._odd_request(body, content_type, query)
                with suppress(HandoverRefused):
                    self.assertIsNone(self.dialect.notice(request))
                refused = HandoverRefused("invalid_request", "malformed")
                self.check_refusal(self.dialect.error(refused, request))

    # Tests for requests that this site sends to the peer.

    def test_an_accepted_hand_over(self) -> None:
        """``send`` makes one request. If the peer accepts it, the result is ``Accepted``."""
        self.fake_peer.responses[self.handover_path] = self.accepted

        self.assertIsInstance(self.dialect.send(self.peer, CODE, ACCESS_TOKEN), Accepted)
        self.assertEqual(len(self.fake_peer.to(self.handover_path)), 1)

    def test_a_result_contains_no_secret(self) -> None:
        """The result of ``send`` never contains the reciprocal code, even if the error does."""
        echo = b'{"error": "invalid_request", "error_description": "canary-code"}'
        self.fake_peer.responses[self.handover_path] = FakeResponse(400, echo)

        self.assertNotIn("canary", repr(self.dialect.send(self.peer, CODE, ACCESS_TOKEN)))

    def test_a_code_is_redeemed(self) -> None:
        """``redeem`` sends the reciprocal code and returns tokens (RFC 6749, section 4.1.3)."""
        response = self.dialect.redeem(self.peer, Secret(code := self.fake_peer.new_code()))

        self.assertTrue(response.access_token.reveal())
        self.assertIn(code, self.fake_peer.to(self.token_path)[0].body)

    def test_a_token_is_refreshed(self) -> None:
        """``refresh`` sends the refresh token and returns new tokens (RFC 6749, section 6)."""
        tokens = self.fake_peer.issue_tokens()
        response = self.dialect.refresh(self.peer, Secret(tokens["refresh_token"]))

        self.assertNotEqual(response.access_token.reveal(), tokens["access_token"])
        self.assertIn(tokens["refresh_token"], self.fake_peer.to(self.token_path)[0].body)

    def test_a_token_is_revoked(self) -> None:
        """``revoke`` sends the token (RFC 7009, section 2.1) and returns ``Done``."""
        if not self.peer.revocation_endpoint:
            self.skipTest("This peer has no revocation endpoint.")
        tokens = self.fake_peer.issue_tokens()

        self.assertEqual(self.dialect.revoke(self.peer, Secret(tokens["refresh_token"])), Done())
        self.assertIn(tokens["refresh_token"], self.fake_peer.to(REVOCATION_PATH)[0].body)

    def test_an_error_of_the_peer_is_raised(self) -> None:
        """``redeem`` and ``refresh`` raise ``PeerRefused`` with the status and the error code of
        the peer's response (RFC 6749, section 5.2)."""
        self.fake_peer.responses[self.token_path] = FakeResponse.json(400, error="invalid_grant")

        for call in (self.dialect.redeem, self.dialect.refresh):
            with self.subTest(call.__name__):
                with self.assertRaises(PeerRefused) as caught:
                    call(self.peer, CODE)
                self.assertEqual(caught.exception.status, 400)
                self.assertEqual(caught.exception.error, "invalid_grant")
                self.assertNotIn("canary", str(caught.exception))

    def test_a_bad_response_is_raised(self) -> None:
        """``redeem`` raises ``BadResponse`` if the response is not a token response. The text of
        the error does not repeat the response."""
        self.fake_peer.responses[self.token_path] = FakeResponse(200, b"<html>canary-code")

        with self.assertRaises(BadResponse) as caught:
            self.dialect.redeem(self.peer, CODE)
        self.assertNotIn("canary", str(caught.exception))

    def test_a_peer_that_does_not_listen_is_unreachable(self) -> None:
        """``send``, ``redeem`` and ``refresh`` raise ``PeerUnreachable`` if no server listens at
        the peer's address. The text of the error contains no secret."""
        nowhere = {"token_endpoint": _NOWHERE, "reciprocal_endpoint": _NOWHERE}
        values = {**self.peer_values(), **nowhere, "dialect": self.dialect_name}
        peer = create_peer(self.fake_peer, "nowhere", **values)
        self.check_unreachable(lambda: self.dialect.send(peer, CODE, ACCESS_TOKEN))
        self.check_unreachable(lambda: self.dialect.redeem(peer, CODE))
        self.check_unreachable(lambda: self.dialect.refresh(peer, CODE))

    def check_unreachable(self, call: Callable[[], object]) -> None:
        """Check that ``call`` raises ``PeerUnreachable`` with a text that contains no secret."""
        with self.assertRaises(PeerUnreachable) as caught:
            call()
        self.assertNotIn("canary", str(caught.exception))
