"""Tests of a dialect, for requests that this site sends to the peer."""

from collections.abc import Callable
from contextlib import suppress

from ..exceptions import BadResponse, PeerError, PeerRefused, PeerUnreachable
from ..models.results import Accepted, Done, Failed
from ..secret import Secret
from .dialect_setting import DialectSetting
from .fake_peer import REVOCATION_PATH
from .fake_server import FakeResponse

CODE, ACCESS_TOKEN = Secret("canary-code"), Secret("canary-access-token")


class OutgoingContract(DialectSetting):
    """The part of ``DialectContract`` about ``send``, ``redeem``, ``refresh`` and ``revoke``."""

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
