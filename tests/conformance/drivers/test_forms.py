"""What only the driver ``forms`` does. :mod:`.test_stepping` has what it shares."""

from collections.abc import Callable

import pytest

from reciprocal_oauth.conformance.drivers.journeys import Driver, Journey, JourneyFailed

from .small_site import SmallSite


def never() -> bool:
    return False


def test_a_form_with_files_is_refused_in_clear_words(
    make_driver: Callable[..., Driver], site: SmallSite
) -> None:
    site.page("/", '<form method="post" enctype="multipart/form-data"><button>Go</button></form>')
    steps = {"authorize": [{"open": "{url}"}, {"press": "Go"}]}
    driver = make_driver("b", kind="forms", steps=steps)

    with pytest.raises(
        JourneyFailed, match=r"driver\.steps\.authorize, step 2: .*multipart/form-data"
    ):
        driver.go(Journey("authorize", "alice", f"{site.url}/"), never)


def test_a_page_that_needs_javascript_is_said_with_what_it_says(
    make_driver: Callable[..., Driver], site: SmallSite
) -> None:
    site.page("/", "<noscript>This page needs JavaScript.</noscript><div id=app></div>")
    steps = {"authorize": [{"open": "{url}"}, {"press": "Allow"}]}
    driver = make_driver("b", kind="forms", steps=steps)

    with pytest.raises(JourneyFailed, match="It says: This page needs JavaScript"):
        driver.go(Journey("authorize", "alice", f"{site.url}/"), never)


def test_a_request_has_a_time_limit_that_patience_makes_longer(
    make_driver: Callable[..., Driver], site: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reciprocal_oauth.conformance.drivers.forms.SECONDS", 0.1)
    monkeypatch.setattr("reciprocal_oauth.conformance.drivers.web.time.monotonic", lambda: 0.0)
    steps = {"authorize": [{"open": "{url}"}]}
    driver = make_driver("b", {"patience": 0.5}, kind="forms", steps=steps)
    site.stop()

    with pytest.raises(JourneyFailed, match="cannot be reached"):
        driver.go(Journey("authorize", "alice", f"{site.url}/"), never)
