"""The examples in the documentation of the drivers work."""

import json
import re
import shutil
import sys
import textwrap
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from reciprocal_oauth.conformance.drivers import KINDS, steps
from reciprocal_oauth.conformance.drivers.journeys import Driver, Journey, Outcome, Unsupported

from .small_site import SmallSite, redirect

PAGE = Path(__file__).parents[3] / "docs" / "conformance_drivers.rst"


def blocks(language: str) -> list[str]:
    """The code blocks of the page in this language."""
    found = re.findall(rf"\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", PAGE.read_text())
    return [textwrap.dedent(each) for each in found]


def never() -> bool:
    return False


def test_each_driver_has_an_example() -> None:
    assert {tomllib.loads(block)["driver"]["kind"] for block in blocks("toml")} == set(KINDS)


@pytest.mark.parametrize("block", blocks("toml"))
def test_a_configuration_in_the_documentation_is_right(
    make_driver: Callable[..., Driver], block: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tomllib.loads(block)["driver"]
    if table["kind"] == "playwright":
        # Its steps are those of forms. Chromium is started elsewhere.
        table = {"kind": "forms", "steps": table["steps"]}
    if table["kind"] == "command":
        monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    journeys = {**table.get("urls", {}), **table.get("steps", {})}

    assert make_driver("a" if "link" in journeys else "b", **table)


def test_the_documentation_knows_all_actions() -> None:
    described = re.findall(r"^   \* - ``(\w+) = ", PAGE.read_text(), re.MULTILINE)

    assert sorted(described) == sorted(steps._KEYS)


@pytest.mark.parametrize(
    ("language", "program", "name"),
    [("python", sys.executable, "driver.py"), ("javascript", "node", "driver.mjs")],
)
def test_a_program_in_the_documentation_works(
    make_driver: Callable[..., Driver],
    site: SmallSite,
    tmp_path: Path,
    language: str,
    program: str,
    name: str,
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"needs {program}")
    (block,) = blocks(language)
    (tmp_path / name).write_text(block)
    site.pages["/authorize"] = lambda request: redirect("/callback?code=1")
    site.page("/callback")
    driver = make_driver("b", kind="command", command=[program, str(tmp_path / name)])

    outcome = driver.go(Journey("authorize", "alice", f"{site.url}/authorize"), never)

    assert outcome == Outcome(f"{site.url}/callback?code=1", 200)
    assert site.requests[0].fields == [("user", "alice"), ("answer", "allow")]
    with pytest.raises(Unsupported):
        driver.go(Journey("end", "alice"), never)


def test_the_example_of_a_journey_is_what_the_driver_sends() -> None:
    (block,) = blocks("json")

    journey = Journey("link", "alice", decision="allow", scopes=("read",))
    assert json.loads(block) == journey.as_json()
