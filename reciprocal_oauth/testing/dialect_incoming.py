"""Tests of a dialect, for requests that the peer sends to this site."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from ..dialects import dialect_of
from ..dialects.base import UnlinkNotice
from ..exceptions import Cause, HandoverRefused
from .dialect_setting import DialectSetting

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


class IncomingContract(DialectSetting):
    """The part of ``DialectContract`` about ``recognise``, ``parse`` and ``notice``, and about the
    responses."""

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
