"""Runs the tester against a changed small party, and judges what it says."""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from example_project.servers import HOST, free_ports

from .configs import Place, party_config, tester_config
from .mutation import FILES, Allowed, Mutant, Variant, changed_files

ROOT: Final = Path(__file__).parents[2]
START_SECONDS: Final = 20
RUN_SECONDS: Final = 1200
#: A mutant with a slip in its text fails for another reason than the mistake that it stands for.
SLIPS: Final = re.compile(r"\b(NameError|ImportError|ModuleNotFoundError|SyntaxError)\b.*")


@dataclass(frozen=True)
class Trial:
    """What came of one variant.

    :ivar verdicts: of each check that ran.
    :ivar seconds: how long it took.
    :ivar problem: what is not as it must be, or an empty text.
    """

    role: str
    variant: Variant
    verdicts: Mapping[str, str]
    seconds: float
    problem: str

    def count(self, verdict: str) -> int:
        return list(self.verdicts.values()).count(verdict)


class NotStarted(Exception):
    """The party or the tester did not run. ``str()`` has the output."""


def run(role: str, variant: Variant, ports: Sequence[int] = ()) -> Trial:
    """Start a party with its changes, run the tester against it, and judge the verdicts.

    :param ports: two free ports. By default they are chosen.
    :raises BadChange: a change does not apply.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        party_port, tester_port = ports or free_ports()
        place = Place(folder, party_port, tester_port, has_tls=variant.has_tls)
        if variant.has_tls:
            _make_certificates(folder)
        try:
            verdicts, log = _verdicts(role, variant, place)
            slip = SLIPS.search(log)
            problem = f"slip: {slip[0]}" if slip else judge(variant, verdicts)
        except NotStarted as error:
            verdicts, problem = {}, str(error)
    return Trial(role, variant, verdicts, time.monotonic() - began, problem)


def judge(variant: Variant, verdicts: Mapping[str, str]) -> str:
    """Return what is not as it must be with these verdicts, or an empty text."""
    if isinstance(variant, Mutant):
        missed = [each for each in variant.caught_by if not _finds_fault(verdicts.get(each, ""))]
        return ", ".join(f"{each} is {verdicts.get(each, 'missing')}" for each in missed)
    bad = {"fail", "inconclusive", "warn"}
    warns = variant.warns if isinstance(variant, Allowed) else ()
    alarms = [
        f"{each} is {verdict}"
        for each, verdict in verdicts.items()
        if verdict in bad and not (verdict == "warn" and each in warns)
    ]
    if not alarms and "pass" not in verdicts.values():
        return "no check passes"
    return ", ".join(alarms)


def _finds_fault(verdict: str) -> bool:
    return verdict in ("fail", "warn")


def _verdicts(role: str, variant: Variant, place: Place) -> tuple[dict[str, str], str]:
    """Return the verdicts, and the log of the party."""
    prepared(role, place, variant)
    report = place.folder / "report.json"
    with party(role, place):
        ended = subprocess.run(
            [*command(role, place), "--json", str(report), *_arguments(variant)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=RUN_SECONDS,
        )
    if not report.exists():
        raise NotStarted(f"the tester ended with {ended.returncode}: {ended.stderr[-2000:]}")
    checks = json.loads(report.read_text())["checks"]
    log = (place.folder / "party.log").read_text(errors="replace")
    return {each["id"]: each["verdict"] for each in checks}, log


def prepared(role: str, place: Place, variant: Variant | None = None) -> None:
    """Write the files of a party and the configuration of the tester.

    :param variant: what is changed. By default nothing.
    """
    variant = variant or Variant("unchanged", "", ())
    for file, text in changed_files(role, variant.changes).items():
        (place.folder / file).write_text(text, encoding="utf-8")
    config = {**party_config(role, place), **variant.settings}
    (place.folder / "party.json").write_text(json.dumps(config))
    (place.folder / "tester.toml").write_text(tester_config(role, place, variant.waits))


def command(role: str, place: Place) -> list[str]:
    module = [sys.executable, "-m", "reciprocal_oauth.conformance", role]
    return [*module, "--config", str(place.folder / "tester.toml")]


def _arguments(variant: Variant) -> list[str]:
    """Return the checks to run, and what they need."""
    chosen = list(variant.caught_by) if isinstance(variant, Mutant) else []
    return [*chosen, *(["--slow"] if variant.is_slow else [])]


@contextmanager
def party(role: str, place: Place) -> Iterator[None]:
    """Run the party while the block runs.

    :raises NotStarted: it does not listen.
    """
    with (place.folder / "party.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, FILES[role][0], "party.json"],
            cwd=place.folder,
            stdout=log,
            stderr=log,
        )
    try:
        give_up = time.monotonic() + START_SECONDS
        while not _listens(place.party_port):
            if process.poll() is not None or time.monotonic() > give_up:
                text = (place.folder / "party.log").read_text(errors="replace")
                raise NotStarted(f"the party did not start: {text[-2000:]}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _make_certificates(folder: Path) -> None:
    """Write the certificate of the tester, its key, and that of who issued it."""
    authority = trustme.CA()
    certificate = authority.issue_cert(HOST)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "tester.key"))
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(str(folder / "tester.pem"), append=number > 0)
