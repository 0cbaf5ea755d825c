"""The page about logging lists all loggers and actions, and its sample works."""

import json
import re
import subprocess
import sys
from pathlib import Path

from reciprocal_oauth.models import results

from .newcomer.pages_of_docs import blocks_of
from .reading import ROOT, rows_of

PAGE = (ROOT / "docs" / "logging.rst").read_text()
SOURCES = [file.read_text() for file in (ROOT / "reciprocal_oauth").rglob("*.py")]


def _named(heading: str) -> set[str]:
    cells = [row.cells[0] for row in rows_of(PAGE) if row.heading == heading]
    return {name for cell in cells for name in re.findall(r"``([^`]+)``", cell)}


def _in_code(pattern: str) -> set[str]:
    return {name for source in SOURCES for name in re.findall(pattern, source)}


def test_it_lists_all_loggers() -> None:
    assert _named("Loggers") == _in_code(r'getLogger\("([^"]+)"\)')


def test_it_lists_all_actions() -> None:
    fixed = _in_code(r'extra=\{"action": "(\w+)"')
    of_results = {
        name.lower()
        for name, value in vars(results).items()
        if isinstance(value, type) and value.__module__ == results.__name__
    }

    assert _named("The field ``action``") == fixed | of_results


def test_the_sample_writes_one_json_object_with_the_action(tmp_path: Path) -> None:
    code = {block.caption: block.text for block in blocks_of("logging")}
    (tmp_path / "mysite").mkdir()
    (tmp_path / "mysite" / "json_lines.py").write_text(code["mysite/json_lines.py"])
    (tmp_path / "program.py").write_text(
        code["plain"]
        + code["json"]
        + "import logging.config\n"
        + "logging.config.dictConfig(LOGGING)\n"
        + "extra = {'action': 'retry', 'attempts': 2}\n"
        + "logging.getLogger('reciprocal_oauth.delivery').info('Attempt %s', 2, extra=extra)\n"
    )

    ended = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    line = json.loads(ended.stderr)
    assert line["message"] == "Attempt 2"
    assert (line["level"], line["logger"]) == ("INFO", "reciprocal_oauth.delivery")
    assert (line["action"], line["attempts"]) == ("retry", 2)
