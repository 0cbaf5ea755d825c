"""The small party B in the dialect of Amazon's sample, and which check finds each of its faults."""

import json
import os
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from example_project.servers import Server, free_ports, running

from ..configs import Place, party_config, tester_config
from .running import HERE, Report, dialect_table, run_tester

#: Seconds that the party waits for a response. The tester delays some by three seconds.
TIMEOUT: Final = 5


@dataclass(frozen=True)
class Fault:
    """A fault of the sample.

    :ivar switches: names in ``alexa_b.FAULTS``. A fault can need another one to have an effect.
    :ivar checks: IDs of the checks that must find it.
    """

    switches: tuple[str, ...]
    checks: tuple[str, ...]

    def __str__(self) -> str:
        return "+".join(self.switches)


def _fault(switches: str, checks: str) -> Fault:
    return Fault(tuple(switches.split()), tuple(checks.split()))


FAULTS: Final = (
    _fault("no-authentication", "B-AUTH-2 B-AUTH-4 B-AUTH-5"),
    _fault("any-client", "B-TOK-1"),
    _fault("any-client no-authentication", "B-AUTH-7 B-TOK-1"),
    _fault("redeems-inside", "B-TIME-1 B-TIME-2 B-TIME-3"),
    _fault("blank-redirect-uri", "B-RED-3"),
    _fault("redeems-again", "B-REP-2 B-REP-4"),
    _fault("redeems-again redeems-inside", "B-REP-1 B-REP-2"),
    _fault("null-parameters", "B-MISS-2 B-MISS-3"),
    _fault("client-as-user", "B-TOK-6"),
    _fault("tokens-beside", "B-UPD-2"),
    _fault("refresh-token-lost", "B-USE-2"),
    _fault("query", "B-SHAPE-1"),
)
#: What Amazon's sample does.
SAMPLE: Final = tuple(sorted({switch for fault in FAULTS for switch in fault.switches}))
#: What must be found then. Of two faults, one can hide the other from a check.
SAMPLE_CHECKS: Final = tuple(sorted({check for fault in FAULTS for check in fault.checks}))


class Site(Server):
    """The process of the party."""

    ready_path = "/.well-known/oauth-authorization-server"

    def __init__(self, folder: Path, switches: Sequence[str]) -> None:
        ports = free_ports()
        self.place = Place(folder, *ports)
        super().__init__("alexa_b", ports[0], folder / "site.log", os.environ)
        self.env["PYTHONPATH"] = str(HERE.parent)
        self.path = folder / "site.json"
        config = {**party_config("b", self.place), "timeout": TIMEOUT, "faults": list(switches)}
        self.path.write_text(json.dumps(config))

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, HERE / "alexa_b.py", self.path]

    def order(self, *, prepare: bool) -> None:
        """It reads nothing from its standard input."""

    def tester_config(self) -> dict[str, Any]:
        config = tomllib.loads(tester_config("b", self.place, {}))
        config["subject"]["reciprocal_endpoint"] = f"{self.url}/api/reciprocal/authorize"
        return {**config, "dialect": dialect_table("alexa_sample")}


def report(folder: Path, switches: Sequence[str] = (), checks: Sequence[str] = ()) -> Report:
    """Start the party with faults, and run the tester against it."""
    site = Site(folder, switches)
    with running(site):
        return run_tester(folder, site.tester_config(), *checks)
