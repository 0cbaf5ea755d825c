"""Whole reports are as they were. After a change that is meant, look at what differs, and write the
files again: ``python -m tests.conformance.reports``."""

import pytest

from .rendered import FOLDER, SNAPSHOTS


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_report_is_as_in_the_file(name: str) -> None:
    assert SNAPSHOTS[name]() == (FOLDER / name).read_text(encoding="utf-8")


def test_each_file_belongs_to_a_report() -> None:
    assert {each.name for each in FOLDER.iterdir()} == set(SNAPSHOTS)
