"""The results of a run, as the reports get them."""

from dataclasses import dataclass, field
from typing import Any

from .registry import Check
from .verdicts import Verdict


@dataclass
class CheckResult:
    """What one check found.

    :ivar expected: what should have been seen. Set for a fault only; ``check.expects`` says it in
        general.
    :ivar observed: what was seen, or why the check says nothing.
    :ivar notes: what else was seen, each a sentence.
    :ivar seconds: how long the check took.
    :ivar evidence: the HTTP exchanges of the check as JSON objects, secrets replaced.
    """

    check: Check
    verdict: Verdict = Verdict.INCONCLUSIVE
    expected: str = ""
    observed: str = "The check did not run."
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    evidence: list[dict[str, Any]] = field(default_factory=list)
