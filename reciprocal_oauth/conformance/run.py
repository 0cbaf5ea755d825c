"""One run: the checks in their order, and the rules that decide about their verdicts."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from .client_of_subject import read_metadata
from .config import Config
from .drivers.journeys import Driver
from .errors import UsageError
from .needs import NEEDS
from .party_a import PartyA
from .party_b import PartyB
from .redaction import Redaction
from .registry import Check
from .results import CheckResult
from .verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from .wire.client import Client, NoResponse, Request, Response
from .wire.exchanges import Recorder
from .wire.server import Server, tls_of

Party = PartyA | PartyB


@dataclass
class Run:
    """What a run found.

    :ivar seconds: how long it took.
    :ivar notes: about the run as a whole.
    """

    role: str
    started: datetime
    results: list[CheckResult] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    is_interrupted: bool = False


def run(
    config: Config,
    checks: Sequence[Check],
    driver: Driver,
    *,
    is_slow: bool = False,
    stop_at: Callable[[CheckResult], bool] | None = None,
    has_evidence: bool = True,
    require: Callable[[Config], None] = lambda config: None,
    on_result: Callable[[CheckResult], None] = lambda result: None,
) -> Run:
    """Carry out checks.

    :param stop_at: says after which result no other check runs.
    :param is_slow: also those that wait for the end of a life.
    :param require: refuses a configuration once the subject's metadata are read: they may name a
        system that is in use.
    :param on_result: gets each result as soon as its verdict is known.
    :raises UsageError: the server cannot listen, or the subject's metadata are needed and missing.
    """
    recorder, redaction = Recorder(), Redaction()
    for secret in config.secrets():
        redaction.learn(secret, "client_secret")
    client = Client(recorder, _trust(config))
    config = _discovered(config, client)
    require(config)
    role = PartyA if config.role == "a" else PartyB
    party: Party = role(config, recorder, redaction, client, driver)
    party.is_slow = is_slow
    found = Run(config.role, datetime.now(UTC))
    began = time.monotonic()
    address = config.address()
    try:
        with Server(
            address, recorder, party.answer, tls_of(config.tls_cert, config.tls_key)
        ) as server:
            party.server = server
            runner = _Runner(party, found, on_result, has_evidence=has_evidence)
            try:
                runner.run(checks, stop_at)
            except KeyboardInterrupt:
                found.is_interrupted = True
            runner.leave()
    finally:
        driver.close()
    found.seconds = time.monotonic() - began
    return found


def _trust(config: Config) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if config.ca:
        try:
            context.load_verify_locations(config.ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{config.ca} holds no certificates: {error}.") from error
    return context


def _discovered(config: Config, client: Client) -> Config:
    """Take endpoints that the configuration does not have from the subject's metadata."""
    subject = config.subject
    names = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
    missing = [name for name in names if not getattr(subject, name)]
    if subject.issuer and missing:

        def send(request: Request) -> Response:
            try:
                return client.send(request)
            except NoResponse as error:
                raise UsageError(f"The metadata of {subject.issuer}: {error}.") from error

        document = read_metadata(send, subject.issuer) or {}
        given = {name: document.get(name) for name in missing}
        found = {name: url for name, url in given.items() if isinstance(url, str)}
        config = replace(config, subject=replace(subject, **found))  # type: ignore[arg-type]
    if not config.subject.token_endpoint and not config.subject.reciprocal_endpoint:
        raise UsageError(
            "subject.token_endpoint is missing. Give it, or give subject.issuer if the subject has "
            "metadata (RFC 8414)."
        )
    return config


class _Runner:
    """Carries out one check after the other."""

    def __init__(
        self,
        party: Party,
        found: Run,
        on_result: Callable[[CheckResult], None],
        *,
        has_evidence: bool,
    ) -> None:
        self._party = party
        self._found = found
        self._on_result = on_result
        self._has_evidence = has_evidence
        self._told: set[str] = set()
        self._is_unreachable = False

    def run(self, checks: Sequence[Check], stop_at: Callable[[CheckResult], bool] | None) -> None:
        try:
            for number, check in enumerate(checks, start=1):
                result = CheckResult(check)
                self._found.results.append(result)
                self._carry_out(result)
                if not self._party.is_pending(result):
                    self._tell(result)
                is_known = result.verdict is Verdict.FAIL or not self._party.is_pending(result)
                if stop_at is not None and is_known and stop_at(result):
                    self._found.notes.append(
                        f"The run stopped at {check.id}: {len(checks) - number} checks did not run."
                    )
                    break
            self._party.settle(self._judge_later)
        finally:
            # An interrupted run reports what it knows: what was not looked at is not a pass.
            for result in self._found.results:
                if self._party.is_pending(result) and result.verdict is Verdict.PASS:
                    result.verdict = Verdict.INCONCLUSIVE
                    result.observed = "The run ended before the quiet time was over."
                self._tell(result)

    def leave(self) -> None:
        """End the links that the run has made."""
        self._party.recorder.current, self._party.result = "", None
        try:
            faults = self._party.leave()
        except KeyboardInterrupt:
            self._found.is_interrupted, faults = True, []
        self._found.notes += [f"Not everything could be ended: {fault}" for fault in faults]
        self._found.notes = [self._party.redaction.hide(note) for note in self._found.notes]
        for result in self._found.results:
            # Again: what came later may have shown a secret.
            self._hide(result)

    def _hide(self, result: CheckResult) -> None:
        """Take the secrets out of a result, and add its exchanges."""
        redaction = self._party.redaction
        if self._has_evidence:
            exchanges = self._party.recorder.of(result.check.id)
            for each in exchanges:
                # What has the name of a secret in one exchange may stand without it in another.
                each.as_json(redaction)
            result.evidence = [each.as_json(redaction) for each in exchanges]
        result.observed = redaction.hide(result.observed)
        result.expected = redaction.hide(result.expected)
        result.notes = [redaction.hide(note) for note in result.notes]

    def _carry_out(self, result: CheckResult) -> None:
        party = self._party
        party.recorder.current, party.result = result.check.id, result
        began = time.monotonic()
        reason = self._why_not(result.check)
        if reason is not None:
            result.verdict, result.observed = reason
            return
        self.judge(result, lambda: result.check.run(party))
        if result.check.is_control:
            self._is_unreachable = party.has_got_through is False
        party.begin_quiet(result)
        result.seconds = time.monotonic() - began

    def _why_not(self, check: Check) -> tuple[Verdict, str] | None:
        """Why a check does not run."""
        for need in check.needs:
            if not self._party.has(need):
                return Verdict.NOT_TESTED, f"It needs {NEEDS[need]}."
        if check.is_slow and not self._party.is_slow:
            return Verdict.NOT_TESTED, "It waits for the end of a life: add --slow."
        failed = {
            result.check.id: result.verdict
            for result in self._found.results
            if result.check.is_control and result.verdict is not Verdict.PASS
        }
        names = ", ".join(failed)
        if check.is_negative and set(failed.values()) == {Verdict.NOT_TESTED}:
            return Verdict.NOT_TESTED, f"It needs what {names} needs."
        if check.is_negative and failed:
            # A subject that refuses everything, or does nothing, would pass.
            return Verdict.INCONCLUSIVE, f"What is right does not work: {names}."
        if self._is_unreachable and not check.is_control:
            # A person is not asked for each check to open a page that does not open.
            return Verdict.INCONCLUSIVE, f"Nobody got through to the subject: {names}."
        return None

    def judge(self, result: CheckResult, look: Callable[[], None]) -> None:
        """Carry out what raises findings, and set the verdict."""
        try:
            look()
        except Broken as finding:
            self._keep_fault(result, finding)
        except Unclear as finding:
            result.verdict, result.observed = Verdict.INCONCLUSIVE, str(finding)
        except NotGiven as finding:
            result.verdict, result.observed = (
                Verdict.NOT_TESTED,
                f"It needs {str(finding).rstrip('.')}.",
            )
        except Exception as error:
            # A fault of the tester says nothing about the subject.
            result.verdict = Verdict.INCONCLUSIVE
            result.observed = f"The tester failed: {type(error).__name__}: {error}"
        else:
            result.verdict, result.observed = Verdict.PASS, ""

    def _judge_later(self, result: CheckResult, look: Callable[[], None]) -> None:
        if result.verdict is Verdict.PASS:
            self.judge(result, look)
        elif result.verdict in (Verdict.WARN, Verdict.INCONCLUSIVE):
            try:
                look()
            except Broken as finding:
                self._keep_fault(result, finding)

    def _keep_fault(self, result: CheckResult, finding: Broken) -> None:
        severity = result.check.severity
        verdict = Verdict.WARN if finding.at_worst is Verdict.WARN else severity.at_fault
        if severity is Severity.INFORMATION:
            self._party.note(str(finding))
        result.verdict = verdict
        result.expected, result.observed = finding.expected, str(finding)

    def _tell(self, result: CheckResult) -> None:
        if result.check.id in self._told:
            return
        self._told.add(result.check.id)
        self._hide(result)
        self._on_result(result)
