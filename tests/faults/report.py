"""What came out of a run, for people and for programs."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

#: So many offending rows are printed of each.
SHOWN = 5

INVARIANTS = {
    "I1": "nothing lost: a decision has arrived, or a row says what became of it",
    "I2": "nothing doubled: one live family of tokens for each link",
    "I3": "no token without a code",
    "I4": "one unredeemed code for each link, each with its Grant",
    "I5": "nothing kept twice: one link, one row for each code",
    "I6": "what was ended is revoked, at both sites",
    "I7": "owners agree",
    "I8": "nothing is stuck",
    "I9": "each site holds what the other has issued",
    "I10": "no token is wider than its link, no link than its peer",
    "I11": "a code is sent once, redeemed once, and not after a cut",
    "I12": "no secret in tables or logs",
    "I13": "no error 500, no traceback",
}


@dataclass
class Report:
    """The outcome of a run.

    :ivar lost: people whose last decision is not in force at both sites, with why.
    :ivar doubled: links and codes of which something is there, or was done, twice.
    :ivar problems: what went wrong with the run itself.
    :ivar broken: per invariant, what breaks it.
    """

    links: int
    seed: int
    database: str
    dispatcher: str
    workers: int
    dialect: str = "ietf"
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    given_up: int = 0
    posts: int = 0
    calls: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    kills: dict[str, int] = field(default_factory=dict)
    decisions: dict[str, int] = field(default_factory=dict)
    peak_mb: float = 0.0
    peak_of: str = ""
    growth_mb: float = 0.0
    growth_of: str = ""
    problems: list[str] = field(default_factory=list)
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def posts_per_link(self) -> float:
        return self.posts / self.links

    @property
    def is_ok(self) -> bool:
        """Whether everything holds that must."""
        return not (self.lost or self.doubled or self.problems or any(self.broken.values()))

    def as_json(self) -> str:
        more = {"posts_per_link": round(self.posts_per_link, 3), "ok": self.is_ok}
        return json.dumps({**asdict(self), **more}, indent=2)

    def as_text(self) -> str:
        return "\n".join([*self._table(), "", *self._verdicts()])

    def _table(self) -> Iterator[str]:
        faults = sum(self.faults.values())
        rows: dict[str, Any] = {
            "links": f"{self.links} on {self.database}, {self.workers} workers a site, "
            f"dispatcher “{self.dispatcher}”, dialect “{self.dialect}”, seed {self.seed}",
            "lost": len(self.lost),
            "doubled": len(self.doubled),
            "given up": self.given_up,
            "POSTs per link": f"{self.posts_per_link:.2f}",
            "time": f"{self.seconds:.0f} s, {1000 * self.seconds / self.links:.0f} ms per link",
            "processor time": f"{1000 * self.cpu_seconds / self.links:.0f} ms per link, the "
            "database server's left out",
            "peak memory": f"{self.peak_mb:.0f} MB ({self.peak_of})",
            "growth": f"{self.growth_mb:.0f} MB at most ({self.growth_of})",
            "decisions": _counts(self.decisions),
            "calls": f"{self.calls}, faults on {faults} ({faults / max(self.calls, 1):.0%})",
            "killed": _counts(self.kills),
        }
        for name, value in rows.items():
            yield f"{name:16}{value}"

    def _verdicts(self) -> Iterator[str]:
        for name, what in INVARIANTS.items():
            found = self.broken.get(name, ["was not checked"])
            yield f"{name:5}{'FAILED' if found else 'ok':8}{what}"
            yield from _some(found)
        for name, found in {
            "lost": self.lost,
            "doubled": self.doubled,
            "the run itself": self.problems,
        }.items():
            if found:
                yield f"FAILED {name}:"
                yield from _some(found)
        yield ""
        yield "Everything holds." if self.is_ok else "NOT everything holds."


def _some(found: list[str]) -> Iterator[str]:
    for each in found[:SHOWN]:
        yield f"         {each}"
    if len(found) > SHOWN:
        yield f"         … and {len(found) - SHOWN} more"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
