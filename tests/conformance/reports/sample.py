"""A small run that was made up: checks of our own, one for each thing that a report can say."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

from reciprocal_oauth.conformance.exit_status import Expectation, exit_of
from reciprocal_oauth.conformance.registry import CHECKS, Check
from reciprocal_oauth.conformance.reports import document as documents
from reciprocal_oauth.conformance.results import CheckResult
from reciprocal_oauth.conformance.verdicts import Severity, Verdict

CONFIG = {
    "subject": {
        "token_endpoint": "https://music.example/o/token/",
        "at_tester": {"client_id": "music-at-tester", "client_secret": "<secret 1>"},
        "users": ["alice", "bob"],
    },
    "driver": {"kind": "follow"},
}


def make_check(check_id: str, severity: Severity = Severity.MUST, **values: Any) -> Check:
    """Return a check that nobody runs."""
    given: dict[str, Any] = {
        "sentences": (),
        "rfcs": (),
        "threats": (),
        "needs": (),
        "is_control": False,
        "is_negative": False,
        "is_slow": False,
        "title": f"The title of {check_id}.",
        "does": "Sends a request.",
        "expects": "A response.",
        **values,
    }
    return Check(id=check_id, severity=severity, function=lambda party: None, **given)


def result(check_id: str, verdict: Verdict = Verdict.PASS, **values: Any) -> CheckResult:
    """Return the result of one of :data:`SAMPLE_CHECKS`, or of a new check."""
    check = next((each for each in SAMPLE_CHECKS if each.id == check_id), None)
    return CheckResult(
        check or make_check(check_id), verdict, **{"observed": "", "seconds": 0.25, **values}
    )


SAMPLE_CHECKS = [
    make_check(
        "B-OK-1",
        sentences=("2.2.2/1", "2.2.2/11"),
        is_control=True,
        title="A right hand-over is accepted.",
        does="Sends a right hand-over.",
        expects="200.",
    ),
    make_check(
        "B-TOK-1",
        sentences=("2.2.2/10", "2.2.2/11"),
        rfcs=("6749 5.2",),
        threats=("B6",),
        needs=("2c",),
        is_negative=True,
        title="The access token of another client is refused.",
        does="Sends the access token of the tester's second client, and everything else as it was.",
        expects="400 or 401, and no redemption. Afterwards the token works for its own client.",
    ),
    make_check(
        "B-TOK-2",
        sentences=("2.2.2/10", "2.2.2/11"),
        threats=("B7",),
        is_negative=True,
        title="An unknown access token is refused.",
        does="Sends an access token that nobody issued.",
        expects="400, and no redemption.",
    ),
    make_check(
        "B-TOK-4",
        sentences=("2.2.2/11",),
        threats=("B7",),
        is_negative=True,
        is_slow=True,
        title="An expired access token is refused.",
        does="Waits until the access token has expired, then hands over.",
        expects="400.",
    ),
    make_check(
        "B-AUTH-6",
        Severity.SHOULD,
        rfcs=("6749 2.3", "6749 5.2"),
        threats=("B3",),
        is_negative=True,
        title="A request that authenticates in two ways is refused.",
    ),
    make_check(
        "B-TIME-1",
        Severity.SHOULD,
        sentences=("2.2.2/12",),
        threats=("B18", "K7"),
        title="The hand-over is answered before the code is redeemed.",
    ),
    make_check(
        "B-ANS-2",
        Severity.SECURITY,
        threats=("P10",),
        title="An error repeats neither the code nor the access token.",
    ),
    make_check(
        "B-GRANT-2",
        Severity.INFORMATION,
        sentences=("2.2.2/3", "4/5"),
        rfcs=("8414 2",),
        needs=("metadata",),
        title="The metadata list the grant type.",
    ),
    make_check(
        "B-RETRY-1", Severity.SHOULD, threats=("R3",), title="A failed redemption is repeated."
    ),
    make_check("A-E-1", sentences=("2.2.2/3",), title="A hand-over has four parameters."),
]

FORM = "application/x-www-form-urlencoded"
HANDED_OVER = {
    "direction": "sent",
    "at": 12.5,
    "method": "POST",
    "url": "https://music.example/o/token/",
    "request_headers": [
        ["Host", "music.example"],
        ["Authorization", "Basic <credentials 1>"],
        ["Content-Type", FORM],
        ["Content-Length", "187"],
    ],
    "request_body": "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal&code=<code 7>"
    "&client_id=tester&access_token=<access_token 9>",
    "status": 200,
    "reason": "OK",
    "response_headers": [["Content-Type", "application/json"], ["Cache-Control", "no-store"]],
    "response_body": '{"status": "<b>it\'s fine</b>"}',
    "seconds": 0.0421,
    "error": "",
    "note": "The token is that of the client tester-2.",
}
REDEEMED = {
    "direction": "received",
    "at": 13.0,
    "method": "POST",
    "url": "http://127.0.0.1:8765/token",
    "request_headers": [["Content-Type", FORM], ["User-Agent", "music\x1b[31m/1.0"]],
    "request_body": "grant_type=authorization_code&code=<code 7>",
    "status": None,
    "reason": "",
    "response_headers": [],
    "response_body": "",
    "seconds": 0.0,
    "error": "The subject closed the connection.",
    "note": "",
}

SAMPLE_RESULTS = [
    result("B-OK-1", seconds=0.5, evidence=[HANDED_OVER], notes=["It answers in 0.04 seconds."]),
    result(
        "B-TOK-1",
        Verdict.FAIL,
        expected="400 or 401, because the token is that of another client.",
        observed='200 {"status": "<b>it\'s fine</b>"}\nThe code was redeemed after 0.5 seconds.',
        evidence=[HANDED_OVER, REDEEMED],
        notes=["The token of the second client is still valid."],
    ),
    result(
        "B-TOK-2",
        expected="",
        observed="400 invalid_grant, and nothing was redeemed in 3 seconds.",
        seconds=3.1,
    ),
    result(
        "B-TOK-4", Verdict.NOT_TESTED, observed="The tokens live 36000 seconds, max_wait is 120."
    ),
    result(
        "B-AUTH-6",
        Verdict.WARN,
        expected="400 or 401.",
        observed="200. The hand-over with Basic and with client_secret was accepted.",
    ),
    result(
        "B-TIME-1",
        Verdict.INCONCLUSIVE,
        observed="The control B-OK-1 took longer than 2 seconds: \x1b[2J\u202e\x00\ud800.",
    ),
    result("B-ANS-2", observed="Neither of them.", seconds=0.0),
    result("B-GRANT-2", observed="The metadata list it."),
]
EXPECTED = {
    "B-AUTH-6": Expectation(Verdict.WARN, "Our framework takes both. Ticket 12."),
    "B-ANS-2": Expectation(Verdict.FAIL, "The error page shows the request. Ticket 13."),
}


@contextmanager
def sample_checks() -> Iterator[None]:
    """Let the checks of the sample be all that there are."""
    with mock.patch.dict(CHECKS, {each.id: each for each in SAMPLE_CHECKS}, clear=True):
        yield


def sample_document(**values: Any) -> dict[str, Any]:
    """Return the document of the sample, for the caller to change. Keyword arguments are those of
    ``document``."""
    results = values.pop("results", SAMPLE_RESULTS)
    expected = values.pop("expected", EXPECTED)
    status, _ = exit_of(results, expected, is_strict=False, is_interrupted=False)
    given: dict[str, Any] = {
        "role": "b",
        "dialect": "",
        "config": CONFIG,
        "started": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "seconds": 16.789,
        "notes": ["The subject said 429 once. The tester waited 43 seconds."],
        "expected": expected,
        "exit_status": status,
        "is_interrupted": False,
        **values,
    }
    with sample_checks(), mock.patch.object(documents, "__version__", "1.2.3"):
        return copy.deepcopy(documents.document(results, **given))
