"""A party B as Amazon's sample: without its faults, and with each of them."""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .alexa_sample import FAULTS, SAMPLE, SAMPLE_CHECKS, Fault, report
from .running import HERE, Report, known

AT_ONCE = 2
#: With all faults, the oldest tokens are used for ever, so those of this check are not.
HIDDEN = {"B-USE-2"}


@pytest.fixture(scope="module")
def without_faults(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Report]:
    folder = tmp_path_factory.mktemp("alexa")
    return folder, report(folder)


@pytest.mark.two_process
def test_without_faults_no_check_fails(without_faults: tuple[Path, Report]) -> None:
    _folder, found = without_faults

    assert found.not_passed() == known("alexa_sample"), found.printed
    assert found.exit_status == 0


@pytest.mark.two_process
def test_each_report_says_that_it_is_a_dialect(without_faults: tuple[Path, Report]) -> None:
    folder, found = without_faults
    name = "Alexa, reciprocal authorization endpoint"

    assert f"A DIALECT, NOT THE DRAFT: {name}" in found.printed
    assert found.document["dialect"] == name
    page = (folder / "report.html").read_text()
    assert "A dialect, not the draft." in page
    assert name in page
    assert f"(a dialect, not the draft: {name})" in (folder / "report.xml").read_text()


@pytest.mark.two_process
def test_each_fault_is_found_by_the_checks_that_must(tmp_path: Path) -> None:
    def missed(fault: Fault) -> dict[str, str]:
        folder = tmp_path / str(fault)
        folder.mkdir()
        return report(folder, fault.switches, fault.checks).missed(fault.checks)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(zip(map(str, FAULTS), pool.map(missed, FAULTS), strict=True))

    assert {fault: each for fault, each in found.items() if each} == {}


@pytest.mark.two_process
def test_the_sample_as_it_stands_fails_where_it_must(tmp_path: Path) -> None:
    found = report(tmp_path, SAMPLE, SAMPLE_CHECKS)

    assert set(found.missed(SAMPLE_CHECKS)) == HIDDEN, found.printed


def test_every_fault_of_the_party_is_planted() -> None:
    # The party imports its neighbours as a program does, so it cannot be imported here.
    tree = ast.parse((HERE / "alexa_b.py").read_text(encoding="utf-8"))
    tables = [each.value for each in tree.body if isinstance(each, ast.Assign)]
    faults = next(ast.literal_eval(each) for each in tables if isinstance(each, ast.Dict))

    assert set(SAMPLE) == set(faults)
