"""Small sites, and drivers that are closed after the test."""

import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from reciprocal_oauth.conformance import drivers
from reciprocal_oauth.conformance.drivers import browser
from reciprocal_oauth.conformance.drivers.journeys import Driver

from .small_site import PartyA, SmallSite

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def site() -> Iterator[SmallSite]:
    site = SmallSite()
    yield site
    site.stop()


@pytest.fixture
def party_a() -> Iterator[PartyA]:
    site = PartyA()
    yield site
    site.stop()


@pytest.fixture
def make_driver() -> Iterator[Callable[..., Driver]]:
    """Makes a driver of the table that the keyword arguments are. ``options`` are those of
    ``make``."""
    made: list[Driver] = []

    def make(role: str, options: dict[str, Any] | None = None, **table: Any) -> Driver:
        made.append(drivers.make(table, role=role, **(options or {})))
        return made[-1]

    yield make
    for driver in made:
        driver.close()


@pytest.fixture
def chromium() -> None:
    """The test needs Playwright and Chromium."""
    needed = "Playwright" if importlib.util.find_spec("playwright") is None else ""
    needed = needed or ("" if any(map(shutil.which, CHROMIUM)) else "Chromium")
    if needed and os.environ.get("REQUIRE_BROWSER"):
        pytest.fail(f"{needed} is needed (REQUIRE_BROWSER is set)")
    if needed:
        pytest.skip(f"needs {needed}; see CONTRIBUTING.md")


@pytest.fixture(params=["forms", pytest.param("playwright", marks=pytest.mark.browser)])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both drivers that carry out steps."""
    if request.param == "playwright":
        request.getfixturevalue("chromium")
        # The pages of these sites have no programs, so they are at rest at once.
        monkeypatch.setattr(browser, "_QUIET_SECONDS", 0.1)
    return str(request.param)
