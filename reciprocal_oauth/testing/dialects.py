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
from ..dialects.base import UnlinkNotice
from ..exceptions import (
    BadResponse,
    Cause,
    HandoverRefused,
    PeerError,
    PeerRefused,
    PeerUnreachable,
)
from ..models.results import Accepted, Done, Failed
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
_FORM, _JSON = "application/x-www-form-urlencoded", "application/json"

#: Malformed requests, each with body, content type and query string. ``parse`` must raise
#: ``HandoverRefused`` for each of them.
ODD_REQUESTS: tuple[tuple[bytes, str, str], ...] = (
    (b"", "", ""),
    (b"\x00\xff\xfe", _FORM, ""),
    (b"grant_type=%00&code=%ff&access_token=%80", _FORM, ""),
    (b"grant_type=urn%3Aietf&&=%", f"{_FORM}; charset=x", "a=%00"),
    (b"code=1&code=2&access_token=", _FORM, "code=3"),
    (b"{", _JSON, ""),
    (b"[" * 100_000, _JSON, ""),
    (b'{"a":' * 100_000, _JSON, ""),
    (b"[]", _JSON, ""),
    (b"null", _JSON, ""),
    (b'"text"', _JSON, ""),
    (b"1" * 5_000, _JSON, ""),
    (b'{"code": 1, "code": "2"}', _JSON, ""),
    (b'{"headers": [], "authentication": 1, "directive": "x", "inputs": {}}', _JSON, ""),
    (b'{"headers": {}, "directive": {"header": null}, "inputs": [null]}', _JSON, ""),
    (b'{"grant_type": null, "code": {"a": 1e999}}', f"{_JSON}; charset=utf-16", ""),
    (b'{"code": "\\ud800\\u0000"}', _JSON, ""),
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
        ``client_id``) hands over the reciprocal code ``code`` for the user of ``access_token``. If
        the request names the client ID of this site at the peer, use ``self.peer.client_id``. If
        peers with this dialect send no codes (``sends_codes``), the method is not called.

        :raises NotImplementedError: the subclass does not implement this method.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must implement handover_request()")

    def notice_request(self, access_token: str) -> HttpRequest | None:
        """Return a correct request in which the peer says that the user of ``access_token`` has
        ended the link; ``None`` if peers with this dialect send no such request."""
        return None

    def peer_values(self) -> Mapping[str, Any]:
        """Return the field values that this dialect needs in a ``Peer``, such as an endpoint."""
        return {}

    def handover_data(self) -> Mapping[str, str]:
        """Return the values that ``parse`` finds in :meth:`handover_request` besides the code and
        the token (``Handover.data``). The tests of ``redeem`` and ``refresh`` use them too."""
        return {}

    def token_response(self, tokens: Mapping[str, Any]) -> FakeResponse | None:
        """Return the response of the fake peer to a token request that succeeds; ``None`` if the
        token endpoint follows RFC 6749, section 5.1. Override this method if the token request is
        no form, or if the members of the response have other names.

        :param tokens: the members of the response with the names of RFC 6749, section 5.1.
        """
        return None

    def token_refusal(self) -> FakeResponse:
        """Return the response of the fake peer to a token request with a code or a refresh token
        that is not valid. By default, it is the one of RFC 6749, section 5.2."""
        return FakeResponse.json(400, error="invalid_grant")

    def is_success(self, response: HttpResponse) -> bool:
        """Return whether the peer takes ``response`` for "the hand-over was accepted". Override
        this method if peers with this dialect expect errors with status 200, as some vendors do.
        """
        return response.status_code < 400

    def check_refusal(self, response: HttpResponse) -> None:
        """Check the form of the response to a refused hand-over."""
        self.assertFalse(self.is_success(response), response.content)
        self.assertIn("no-store", response["Cache-Control"])

    def setUp(self) -> None:
        """Start a fake peer, and save a ``Peer`` for it that uses the dialect."""
        super().setUp()
        self.fake_peer = self.enterContext(FakePeer())
        values = {"dialect": self.dialect_name, **self.peer_values()}
        self.peer = create_peer(self.fake_peer, **values)
        self.dialect: Dialect = dialect_of(self.peer, self.handover_data())

    # Tests for requests that the peer sends to this site.

    def test_a_hand_over_is_recognised_and_read(self) -> None:
        """``recognise`` returns True. ``parse`` returns an object with the reciprocal code and the
        access token, and the ``repr`` of this object hides both."""
        request = self._handover()
        dialect = dialect_of(self.peer)

        self.assertTrue(dialect.recognise(request))
        handover = dialect.parse(request)
        self.assertEqual(handover.code.reveal(), "the-code")
        self.assertEqual(handover.access_token.reveal(), "the-token")
        self.assertIn(handover.client_id, (None, "music-here"))
        self.assertIn(handover.our_client_id, (None, self.peer.client_id))
        self.assertEqual(dict(handover.data), dict(self.handover_data()))
        self.assertNotIn("the-code", repr(handover))
        self.assertNotIn("the-token", repr(handover))

    def test_a_hand_over_is_no_notice(self) -> None:
        """``notice`` returns ``None`` for a hand-over."""
        self.assertIsNone(self.dialect.notice(self._handover()))

    def test_a_notice_is_read(self) -> None:
        """``notice`` returns an ``UnlinkNotice`` with the access token, and its ``repr`` hides the
        token. ``recognise`` returns False, and ``parse`` refuses the request."""
        request = self._notice()

        notice = self.dialect.notice(request)
        if not isinstance(notice, UnlinkNotice):
            self.fail(f"notice() returned {type(notice).__name__}")
        self.assertEqual(notice.access_token.reveal(), "the-token")
        self.assertNotIn("the-token", repr(notice))
        self.assertFalse(self.dialect.recognise(request))
        with self.assertRaises(HandoverRefused):
            self.dialect.parse(request)

    def test_the_body_stays_readable(self) -> None:
        """After ``recognise`` and ``notice``, a view of the site can read the body: the message can
        be meant for this view."""
        for method in (self.dialect.recognise, self.dialect.notice):
            requests = [self._some_request(), *(self._odd_request(*odd) for odd in ODD_REQUESTS)]
            for request in requests:
                length = int(request.META.get("CONTENT_LENGTH") or 0)
                with self.subTest(method=method.__name__, length=length):
                    with suppress(HandoverRefused):
                        method(request)
                    self.assertEqual(len(request.body), length)

    def test_an_ordinary_token_request_is_not_recognised(self) -> None:
        """``recognise`` returns False for other grant types, so that django-oauth-toolkit handles
        these requests. ``parse`` refuses them."""
        for grant_type in ("authorization_code", "refresh_token", "password", ""):
            with self.subTest(grant_type):
                request = RequestFactory().post(
                    "/o/token/", f"grant_type={grant_type}&code=x", content_type=_FORM
                )
                self.assertFalse(self.dialect.recognise(request))
                with self.assertRaises(HandoverRefused):
                    self.dialect.parse(request)

    def test_an_odd_request_raises_nothing_but_a_refusal(self) -> None:
        """For a malformed request, ``recognise`` raises no exception, and ``parse`` raises
        ``HandoverRefused``."""
        for body, content_type, query in ODD_REQUESTS:
            with self.subTest(body=body[:40], content_type=content_type):
                self.check_odd_request(body, content_type, query)

    def check_odd_request(
        self, body: bytes, content_type: str, query: str = "", authorization: str = ""
    ) -> None:
        """Check that ``recognise`` and ``notice`` accept a malformed request as an argument, and
        that ``parse`` refuses it: at an address of its own, a dialect gets requests that it does
        not recognise. For fuzzing, call this method with random bytes."""
        request = self._odd_request(body, content_type, query, authorization)
        self.assertIsInstance(self.dialect.recognise(request), bool)
        with suppress(HandoverRefused):
            self.dialect.notice(request)
        with self.assertRaises(HandoverRefused) as caught:
            self.dialect.parse(request)
        self.assertIn(caught.exception.status, range(400, 500))

    def _handover(self) -> HttpRequest:
        if not self.dialect.sends_codes:
            self.skipTest("Peers with this dialect send no codes.")
        return self.handover_request("the-code", "the-token", "music-here")

    def _notice(self) -> HttpRequest:
        request = self.notice_request("the-token")
        if request is None:
            self.skipTest("Peers with this dialect send no notices.")
        return request

    def _some_request(self) -> HttpRequest:
        return self._handover() if self.dialect.sends_codes else self._notice()

    def _odd_request(
        self, body: bytes, content_type: str, query: str = "", authorization: str = ""
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
        self._check_success(self.dialect.success(self._handover()))

    def test_the_response_to_a_notice_is_a_2xx_that_no_cache_stores(self) -> None:
        """The response to a notice has a 2xx status, forbids caching, and contains no secret."""
        self._check_success(self.dialect.acknowledge(self._some_request()))

    def _check_success(self, response: HttpResponse) -> None:
        self.assertIn(response.status_code, range(200, 300))
        self.assertTrue(self.is_success(response), response.content)
        self._check_silent(response)

    def _check_silent(self, response: HttpResponse) -> None:
        self.assertIn("no-store", response["Cache-Control"])
        for word in (b"CANARY", b"the-code", b"the-token"):
            self.assertNotIn(word, response.serialize())

    def test_a_refusal_does_not_tell_its_reason(self) -> None:
        """The response does not contain the text of ``HandoverRefused``, which is for the log of
        this site only. It looks like success for no cause."""
        request = self._some_request()
        for status in (400, 401, 429, 503):
            for cause in Cause:
                with self.subTest(status=status, cause=cause):
                    refused = HandoverRefused(
                        "invalid_grant", "because of CANARY", status=status, cause=cause
                    )
                    response = self.dialect.error(refused, request)
                    self.check_refusal(response)
                    self._check_silent(response)

    def test_a_refusal_while_this_site_takes_no_codes_is_no_success(self) -> None:
        """While the peer is paused, disabled or too early, the response must not say that the
        hand-over was accepted: the peer would never send the code again."""
        request = self._some_request()
        for error, status, cause in (
            ("temporarily_unavailable", 503, Cause.BUSY),
            ("temporarily_unavailable", 429, Cause.BUSY),
            ("temporarily_unavailable", 503, Cause.OFF),
            ("unauthorized_client", 400, Cause.OFF),
        ):
            with self.subTest(cause=cause, status=status):
                refused = HandoverRefused(error, "later", status=status, cause=cause)
                self.assertFalse(self.is_success(self.dialect.error(refused, request)))

    def test_a_refusal_of_a_malformed_request_is_a_response(self) -> None:
        """``error`` can read the request. A malformed request must not make it fail."""
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
        self._require_takes_codes()
        self.fake_peer.responses[self.handover_path] = self.accepted

        self.assertIsInstance(self.dialect.send(self.peer, CODE, ACCESS_TOKEN), Accepted)
        self.assertEqual(len(self.fake_peer.to(self.handover_path)), 1)

    def test_a_result_contains_no_secret(self) -> None:
        """The result of ``send`` never contains the reciprocal code, even if the error does."""
        self._require_takes_codes()
        echo = b'{"error": "invalid_request", "error_description": "canary-code"}'
        self.fake_peer.responses[self.handover_path] = FakeResponse(400, echo)

        self.assertNotIn("canary", repr(self.dialect.send(self.peer, CODE, ACCESS_TOKEN)))

    def test_a_peer_that_takes_no_codes_gets_none(self) -> None:
        """If ``takes_codes`` returns False, ``send`` returns ``Failed`` and makes no request."""
        if self.dialect.takes_codes(self.peer):
            self.skipTest("This peer accepts codes.")

        self.assertIsInstance(self.dialect.send(self.peer, CODE, ACCESS_TOKEN), Failed)
        self.assertEqual(self.fake_peer.requests, [])

    def test_a_peer_that_sends_no_codes_gets_no_token_requests(self) -> None:
        """If ``sends_codes`` is False, ``redeem`` and ``refresh`` raise ``PeerError``, and
        ``revoke`` raises it or returns ``Failed``. None of them makes a request."""
        if self.dialect.sends_codes:
            self.skipTest("Peers with this dialect send codes.")

        for call in (self.dialect.redeem, self.dialect.refresh):
            with self.subTest(call.__name__), self.assertRaises(PeerError):
                call(self.peer, CODE)
        with suppress(PeerError):
            self.assertIsInstance(self.dialect.revoke(self.peer, CODE), Failed)
        self.assertEqual(self.fake_peer.requests, [])

    def test_a_code_is_redeemed(self) -> None:
        """``redeem`` sends the reciprocal code and returns tokens (RFC 6749, section 4.1.3)."""
        self._issue_tokens()
        response = self.dialect.redeem(self.peer, Secret(code := self.fake_peer.new_code()))

        self.assertTrue(response.access_token.reveal())
        self.assertIn(code, self.fake_peer.to(self.token_path)[0].body)

    def test_a_token_is_refreshed(self) -> None:
        """``refresh`` sends the refresh token and returns new tokens (RFC 6749, section 6)."""
        tokens = self.fake_peer.issue_tokens()
        self._issue_tokens()
        response = self.dialect.refresh(self.peer, Secret(tokens["refresh_token"]))

        self.assertNotEqual(response.access_token.reveal(), tokens["access_token"])
        self.assertIn(tokens["refresh_token"], self.fake_peer.to(self.token_path)[0].body)

    def test_a_token_is_revoked(self) -> None:
        """``revoke`` sends the token (RFC 7009, section 2.1) and returns ``Done``."""
        self._require_sends_codes()
        if not self.peer.revocation_endpoint:
            self.skipTest("This peer has no revocation endpoint.")
        tokens = self.fake_peer.issue_tokens()

        self.assertEqual(self.dialect.revoke(self.peer, Secret(tokens["refresh_token"])), Done())
        self.assertIn(tokens["refresh_token"], self.fake_peer.to(REVOCATION_PATH)[0].body)

    def test_an_error_of_the_peer_is_raised(self) -> None:
        """``redeem`` and ``refresh`` raise ``PeerRefused`` with status 400 and the error code
        ``invalid_grant`` if the peer refuses the code or the refresh token (RFC 6749, section 5.2).
        This error code ends the access of this site, whatever the vendor calls it."""
        self._require_sends_codes()
        self.fake_peer.responses[self.token_path] = self.token_refusal()

        for call in (self.dialect.redeem, self.dialect.refresh):
            with self.subTest(call.__name__):
                with self.assertRaises(PeerRefused) as caught:
                    call(self.peer, CODE)
                self.assertEqual(caught.exception.status, 400)
                self.assertEqual(caught.exception.error, "invalid_grant")
                self.assertFalse(caught.exception.may_pass)
                self.assertNotIn("canary", str(caught.exception))

    def test_an_outage_of_the_peer_may_pass(self) -> None:
        """``redeem`` and ``refresh`` raise ``PeerRefused`` after a response with status 503. A
        later attempt can succeed (RFC 9110, section 15.6.4)."""
        self._require_sends_codes()
        self.fake_peer.responses[self.token_path] = FakeResponse(503, b"canary-code")

        for call in (self.dialect.redeem, self.dialect.refresh):
            with self.subTest(call.__name__):
                with self.assertRaises(PeerRefused) as caught:
                    call(self.peer, CODE)
                self.assertTrue(caught.exception.may_pass)
                self.assertNotIn("canary", str(caught.exception))

    def test_a_bad_response_is_raised(self) -> None:
        """``redeem`` raises ``BadResponse`` if the response is not a token response. The text of
        the error does not repeat the response."""
        self._require_sends_codes()
        for body in (b"<html>canary-code", b"", b"[]", b'{"canary": "canary-code"}'):
            self.fake_peer.responses[self.token_path] = FakeResponse(200, body)
            with self.subTest(body), self.assertRaises(BadResponse) as caught:
                self.dialect.redeem(self.peer, CODE)
            self.assertNotIn("canary", str(caught.exception))

    def test_a_peer_that_does_not_listen_is_unreachable(self) -> None:
        """``send``, ``redeem`` and ``refresh`` raise ``PeerUnreachable`` if no server listens at
        the peer's address. The text of the error contains no secret."""
        self.fake_peer.stop()
        if self.dialect.takes_codes(self.peer):
            self.check_unreachable(lambda: self.dialect.send(self.peer, CODE, ACCESS_TOKEN))
        if self.dialect.sends_codes:
            self.check_unreachable(lambda: self.dialect.redeem(self.peer, CODE))
            self.check_unreachable(lambda: self.dialect.refresh(self.peer, CODE))

    def check_unreachable(self, call: Callable[[], object]) -> None:
        """Check that ``call`` raises ``PeerUnreachable`` with a text that contains no secret."""
        with self.assertRaises(PeerUnreachable) as caught:
            call()
        self.assertNotIn("canary", str(caught.exception))

    def _require_takes_codes(self) -> None:
        if not self.dialect.takes_codes(self.peer):
            self.skipTest("This peer accepts no codes.")

    def _require_sends_codes(self) -> None:
        if not self.dialect.sends_codes:
            self.skipTest("Peers with this dialect send no codes.")

    def _issue_tokens(self) -> None:
        """Make the fake peer issue tokens in the form of this dialect."""
        self._require_sends_codes()
        response = self.token_response(self.fake_peer.issue_tokens())
        if response is not None:
            self.fake_peer.responses[self.token_path] = response
