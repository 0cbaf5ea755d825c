"""The rules that keep false verdicts out, at subjects that do nothing right."""

import base64
import json
import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from example_project.servers import HOST, free_ports
from reciprocal_oauth.conformance.cli import main
from reciprocal_oauth.conformance.party_b import PartyB
from reciprocal_oauth.conformance.registry import CHECKS
from reciprocal_oauth.conformance.wire.client import with_query
from reciprocal_oauth.conformance.wire.server import Received, Reply

from ..reading import ROOT

Write = Callable[..., Path]
Serve = Callable[[Callable[[Received], Reply]], str]


def _run(path: Path, *arguments: str, role: str = "b") -> tuple[int, dict[str, Any]]:
    report = path.with_name("report.json")
    status = main([role, "--config", str(path), "--json", str(report), *arguments])
    return status, json.loads(report.read_text())


def _verdicts(report: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["verdict"] for each in report["checks"]}


def _issuing(received: Received, handover: Reply) -> Reply:
    """A party B that issues tokens, and answers each hand-over alike."""
    query = dict(received.query)
    if received.path == "/authorize":
        back = {"code": "code-of-b-1234567", "state": query["state"]}
        return Reply.redirect(with_query(query["redirect_uri"], back))
    if received.first("grant_type") == "authorization_code":
        return Reply.json(access_token="token-of-b-1234567", token_type="Bearer")
    return handover


def test_nothing_passes_where_nobody_listens(config_b: Write) -> None:
    status, report = _run(config_b(f"http://{HOST}:{free_ports()[0]}"))

    assert status == 3
    assert set(Counter(_verdicts(report).values())) == {"inconclusive", "not tested"}


def test_no_negative_check_passes_at_a_party_that_refuses_everything(
    config_b: Write, serve: Serve
) -> None:
    """Rule N: a refusal counts only after the right request has worked."""
    url = serve(lambda received: _issuing(received, Reply.error("invalid_request")))

    status, report = _run(config_b(url))

    verdicts = _verdicts(report)
    assert (status, verdicts["B-OK-1"]) == (1, "fail")
    passed = [name for name, verdict in verdicts.items() if verdict == "pass"]
    assert [name for name in passed if CHECKS[name].is_negative] == []


def test_no_negative_check_passes_at_a_party_that_redirects_everything(
    config_b: Write, serve: Serve
) -> None:
    status, report = _run(config_b(serve(lambda received: Reply.redirect("/elsewhere"))))

    assert status == 3
    assert "pass" not in _verdicts(report).values()


def test_no_negative_check_passes_at_a_party_that_says_yes_and_does_nothing(
    config_b: Write, serve: Serve
) -> None:
    """Rule Q: "not redeemed" says nothing about a party that never redeems."""
    url = serve(lambda received: _issuing(received, Reply.json()))

    _, report = _run(config_b(url), "B-RED-4", "B-MISS")

    verdicts = _verdicts(report)
    assert verdicts["B-OK-1"] == "pass"
    assert verdicts["B-OK-2"] == "fail"
    assert {verdicts[name] for name in verdicts if CHECKS[name].is_negative} == {"inconclusive"}


def test_a_party_that_asks_to_wait_gets_the_request_again(config_b: Write, serve: Serve) -> None:
    """Rule L: 429 with Retry-After says nothing about the request."""
    answers = [Reply(429, [("Retry-After", "1")]), Reply.json()]

    def answer(received: Received) -> Reply:
        if "reciprocal" in received.first("grant_type"):
            return answers.pop(0) if len(answers) > 1 else answers[0]
        return _issuing(received, Reply.json())

    status, report = _run(config_b(serve(answer)), "B-PARAM-1")

    (check,) = report["checks"]
    assert (status, check["verdict"]) == (0, "pass")
    assert check["notes"] == ["The subject asked to wait 1 s (status 429)."]
    assert [each["status"] for each in check["evidence"]][-2:] == [429, 200]


def test_a_token_that_ends_while_the_tester_waits_is_no_fault(
    config_b: Write, serve: Serve
) -> None:
    """Rule L, at a party B whose tokens live for a second."""
    tokens: list[str] = []
    busy = [Reply(429, [("Retry-After", "2")])]

    def answer(received: Received) -> Reply:
        if "reciprocal" in received.first("grant_type"):
            if busy:
                return busy.pop()
            is_newest = received.first("access_token") == tokens[-1] and len(tokens) > 1
            return Reply.json() if is_newest else Reply.error("invalid_grant")
        if received.first("grant_type") == "authorization_code":
            tokens.append(f"token-of-b-{len(tokens)}")
            return Reply.json(access_token=tokens[-1], token_type="Bearer", expires_in=1)
        return _issuing(received, Reply.json())

    status, report = _run(config_b(serve(answer)), "B-TOK-8")

    assert (status, _verdicts(report)) == (0, {"B-TOK-8": "pass"})
    assert len(tokens) > 1


def test_a_party_that_asks_to_wait_too_long_is_not_judged(config_b: Write, serve: Serve) -> None:
    busy = Reply(503, [("Retry-After", "3600")])
    url = serve(lambda received: _issuing(received, busy))

    status, report = _run(config_b(url), "B-PARAM-1")

    (check,) = report["checks"]
    assert (status, check["verdict"]) == (3, "inconclusive")
    assert "waits.max_wait is 2" in check["observed"]


def test_a_person_who_does_not_get_through_makes_a_check_inconclusive(
    config_b: Write, serve: Serve
) -> None:
    """Rule J."""
    status, report = _run(config_b(serve(lambda received: Reply.text("Sorry", 500))), "B-PARAM-1")

    (check,) = report["checks"]
    assert (status, check["verdict"]) == (3, "inconclusive")
    assert "authorize" in check["observed"]


def test_a_party_that_wants_raw_basic_is_blamed_once_and_tested_on(
    config_b: Write, serve: Serve
) -> None:
    """Rule D: one fault does not blank the run (RFC 6749, section 2.3.1)."""

    def answer(received: Received) -> Reply:
        header = received.header("Authorization").removeprefix("Basic ")
        right = base64.b64decode(header or "").decode() == "tester:secret:+%of/the tester"
        if received.path == "/token" and not right:
            return Reply.error("invalid_client", 401)
        return _issuing(received, Reply.json())

    path = config_b(serve(answer), **{"secret-of-the-tester": "secret:+%of/the tester"})
    status, report = _run(path, "B-PARAM-1", "B-AUTH-1")

    verdicts = _verdicts(report)
    assert (verdicts["B-PARAM-1"], verdicts["B-AUTH-1"]) == ("pass", "fail")
    assert status == 1


def test_a_run_goes_on_after_a_known_fault_and_stops_at_a_new_one(
    config_b: Write, serve: Serve, tmp_path: Path
) -> None:
    url = serve(lambda received: _issuing(received, Reply.error("invalid_request")))
    known = tmp_path / "known.json"
    known.write_text('{"B-OK-1": {"verdict": "fail", "why": "known"}}')

    status, report = _run(config_b(url), "B-OK", "B-PARAM", "--fail-fast", "--expected", str(known))

    assert status == 1
    assert list(_verdicts(report))[-1] == "B-PARAM-1"
    assert report["notes"] == ["The run stopped at B-PARAM-1: 2 checks did not run."]


def test_nobody_is_asked_for_every_check_to_open_a_page_that_does_not_open(
    config_b: Write, serve: Serve
) -> None:
    visits: list[str] = []

    def answer(received: Received) -> Reply:
        visits.append(received.path)
        return Reply.text("Sorry", 500)

    status, _ = _run(config_b(serve(answer)))

    assert status == 3
    assert len(visits) <= 4


def test_a_run_goes_on_when_the_reader_of_its_output_has_gone(
    config_b: Write, serve: Serve, tmp_path: Path
) -> None:
    url = serve(lambda received: _issuing(received, Reply.json()))
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "reciprocal_oauth.conformance", "b", "B-PARAM", "B-TOK-2"]
    reader, writer = os.pipe()
    os.close(reader)

    ended = subprocess.run(
        [*command, "--config", str(config_b(url)), "--json", str(report)],
        cwd=ROOT,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )

    os.close(writer)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert json.loads(report.read_text())["counts"]["fail"] == 1


def test_a_fault_of_the_tester_is_no_verdict_about_the_subject(
    config_b: Write, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(PartyB, "must_accept", broken)
    url = serve(lambda received: _issuing(received, Reply.json()))

    status, report = _run(config_b(url), "B-PARAM-1")

    (check,) = report["checks"]
    assert (status, check["verdict"]) == (3, "inconclusive")
    assert check["observed"] == "The tester failed: ZeroDivisionError: division by zero"


def test_a_port_that_is_taken_is_a_clear_error(
    config_b: Write, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    url = serve(lambda received: Reply.json())
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        status = main(["b", "--config", str(config_b(url)), "--listen", f"{HOST}:{port}"])

    assert status == 2
    assert f"cannot listen at {HOST}:{port}" in capsys.readouterr().err


def test_a_run_that_is_interrupted_writes_its_reports(
    config_b: Write, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    url = serve(lambda received: _issuing(received, Reply.json()))
    monkeypatch.setattr(PartyB, "right", interrupted)

    status, report = _run(config_b(url), "B-PARAM-1", "B-ASK-1")

    assert status == 130
    assert report["interrupted"]
    assert "pass" not in [each["verdict"] for each in report["checks"] if each["id"] == "B-PARAM-1"]


def test_endpoints_come_from_the_metadata_of_the_issuer(config_b: Write, serve: Serve) -> None:
    """RFC 8414, section 3."""
    urls: list[str] = []

    def answer(received: Received) -> Reply:
        if received.path == "/.well-known/oauth-authorization-server/o":
            return Reply.json(
                issuer=urls[0] + "/o",
                authorization_endpoint=urls[0] + "/authorize",
                token_endpoint=urls[0] + "/token",
            )
        return _issuing(received, Reply.json())

    urls.append(serve(answer))
    path = config_b(urls[0])
    lines = path.read_text().splitlines()
    kept = [line for line in lines if "_endpoint" not in line]
    kept.insert(kept.index("[subject]") + 1, f'issuer = "{urls[0]}/o"')
    path.write_text("\n".join(kept))

    status, report = _run(path, "B-PARAM-1")

    assert (status, _verdicts(report)) == (0, {"B-PARAM-1": "pass"})
