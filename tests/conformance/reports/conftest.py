"""The checks of the sample, and Chromium."""

from collections.abc import Iterator

import pytest

from tests.browser.conftest import chromium  # noqa: F401 - a fixture

from .sample import sample_checks


@pytest.fixture(autouse=True)
def only_checks_of_the_sample() -> Iterator[None]:
    """There are no other checks, so that tests need not know those of the package."""
    with sample_checks():
        yield
