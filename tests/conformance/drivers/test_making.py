"""A mistake in the table of the driver is found before the run, and the text says where it is."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from reciprocal_oauth.conformance import drivers
from reciprocal_oauth.conformance.errors import UsageError

URLS = {"authorize": "{url}&user={user}"}
STEPS = {"authorize": [{"open": "{url}"}]}


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "driver.kind is missing. It is one of follow, forms, playwright, command, ask."),
        ({"kind": 5}, "driver.kind is a text, not of the type int."),
        ({"kind": "form"}, 'driver.kind is "form", which is no driver. Is forms meant?'),
        ({"kind": "follow"}, "driver.urls is missing"),
        ({"kind": "follow", "urls": []}, "driver.urls is a table: [driver.urls]."),
        ({"kind": "follow", "url": URLS}, "driver.url is not known. Is urls meant?"),
        ({"kind": "follow", "urls": {"authorise": "{url}"}}, "Is authorize meant?"),
        ({"kind": "follow", "urls": {"link": "{url}"}}, "is for a test of party A"),
        ({"kind": "follow", "urls": {"end": 5}}, "driver.urls.end is a text, not of the type int."),
        ({"kind": "follow", "urls": {"end": "/end"}}, "begins with http://, https:// or {url}"),
        ({"kind": "follow", "urls": {"end": "http://x/{usr}"}}, "Is user meant?"),
        (
            {"kind": "forms", "urls": URLS},
            "driver.urls is not known. Known are kind, steps, users.",
        ),
        ({"kind": "command"}, "driver.command is missing"),
        ({"kind": "command", "command": []}, "driver.command is empty"),
        ({"kind": "command", "command": "'"}, "cannot be split into words"),
        (
            {"kind": "command", "command": ["no-such-program"]},
            "there is no program no-such-program",
        ),
        ({"kind": "command", "command": [1]}, "driver.command is a list of texts, not [1]."),
        (
            {"kind": "command", "command": sys.executable, "seconds": 0},
            "a number of seconds above 0",
        ),
        ({"kind": "command", "command": sys.executable, "seconds": True}, "above 0, not True"),
        (
            {"kind": "command", "command": sys.executable, "journeys": ["autorize"]},
            "authorize meant?",
        ),
        ({"kind": "ask", "url": {}}, "driver.url is not known. Is urls meant?"),
        ({"kind": "ask", "urls": {"ende": "http://x"}}, "Is end meant?"),
        ({"kind": "ask", "urls": {"end": "http://x/{scopes}"}}, "unknown placeholder {scopes}"),
    ],
)
def test_a_mistake_in_the_table_is_said(table: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        drivers.make(table, role="b")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (None, "driver.steps has no journey"),
        ([], "driver.steps is a table: [driver.steps]."),
        ({"sign_in": [{"open": "{url}"}]}, "driver.steps has no journey"),
        ({"authorise": [{"open": "{url}"}]}, "driver.steps.authorise is not known. Is authorize"),
        ({"link": [{"open": "http://x"}]}, "driver.steps.link is for a test of party A"),
        ({"authorize": {"open": "{url}"}}, "driver.steps.authorize is a list of steps"),
        ({"authorize": []}, "driver.steps.authorize is a list of steps"),
        ({"authorize": ["open"]}, "driver.steps.authorize, step 1 is a table"),
        ({"authorize": [{"open": "{url}"}, {"pres": "x"}]}, "step 2 does not know pres. Is press"),
        ({"authorize": [{"open": "{url}"}, {"if": "x"}]}, "step 2 does nothing"),
        ({"authorize": [{"open": "{url}"}, {"press": 1}]}, "step 2: press is a text"),
        ({"authorize": [{"open": "{url}"}, {"press": " "}]}, "press is a text that is not empty"),
        ({"authorize": [{"open": "{url}"}, {"fill": "x"}]}, "step 2: fill is a table of fields"),
        ({"authorize": [{"open": "{url}"}, {"fill": {}}]}, "step 2: fill is a table of fields"),
        (
            {"authorize": [{"open": "{url}"}, {"tick": {"x": 1}}]},
            "step 2: tick.x is a text, not of the type int",
        ),
        ({"authorize": [{"open": "{url}"}, {"fill": {"a": "{pasword}"}}]}, "Is password meant?"),
        ({"authorize": [{"open": "{url}", "form": "x"}]}, "form says where to fill, tick or press"),
        ({"authorize": [{"open": "/login"}]}, "step 1: open begins with http://"),
        ({"authorize": [{"press": "Allow"}]}, "step 1 does not open a URL"),
    ],
)
def test_a_mistake_in_the_steps_is_said(steps: Any, said: str) -> None:
    table = {"kind": "forms", "users": {"alice": {"password": "x"}}}
    if steps is not None:
        table["steps"] = steps

    with pytest.raises(UsageError) as caught:
        drivers.make(table, role="b")

    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ({"link": [{"open": "http://x"}]}, "driver.steps.link needs driver.steps.allow"),
        ({"allow": [{"press": "Allow"}]}, "driver.steps.allow needs driver.steps.link"),
        ({"use": [{"open": "{url}"}]}, "driver.steps.use is for a test of party B"),
    ],
)
def test_the_lists_of_a_link_belong_together(steps: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        drivers.make({"kind": "forms", "steps": steps}, role="a")

    assert said in str(caught.value)


def test_the_values_of_a_user_are_texts() -> None:
    table = {"kind": "forms", "steps": STEPS, "users": {"alice": {"pin": 1234}}}

    with pytest.raises(
        UsageError, match=r"driver\.users\.alice\.pin is a text, not of the type int"
    ):
        drivers.make(table, role="b")


def test_a_driver_without_playwright_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(
        UsageError, match=r"pip install reciprocal-oauth\[conformance\], or pip inst"
    ):
        drivers.make({"kind": "playwright", "steps": STEPS}, role="b")


def test_an_executable_that_does_not_exist_is_said() -> None:
    table = {"kind": "playwright", "steps": STEPS, "executable": "/no/chromium"}

    with pytest.raises(UsageError, match="/no/chromium, which does not exist"):
        drivers.make(table, role="b")


@pytest.mark.parametrize("role", ["a", "b"])
def test_where_nobody_may_be_asked_the_driver_supports_nothing(
    make_driver: Callable[..., Any], role: str
) -> None:
    driver = make_driver(role, {"may_ask": False}, kind="ask")

    names = ("authorize", "use", "end", "link", "update", "open", "forge")
    assert [name for name in names if driver.supports(name)] == []


@pytest.mark.parametrize(
    ("role", "table", "supported"),
    [
        ("b", {"kind": "follow", "urls": URLS}, {"authorize"}),
        ("a", {"kind": "follow", "urls": {"end": "http://x"}}, {"end", "open"}),
        (
            "b",
            {"kind": "forms", "steps": {**STEPS, "end": STEPS["authorize"]}},
            {"authorize", "end"},
        ),
        (
            "a",
            {
                "kind": "forms",
                "steps": {"link": [{"open": "http://x"}], "allow": [{"press": "Allow"}]},
            },
            {"link", "open", "forge"},
        ),
        (
            "a",
            {
                "kind": "forms",
                "steps": {"link": [{"open": "http://x"}], "allow": [{"follow": "Allow"}]},
            },
            {"link", "open"},
        ),
        ("b", {"kind": "command", "command": sys.executable}, {"authorize", "use", "end"}),
        ("a", {"kind": "command", "command": sys.executable, "journeys": ["end"]}, {"end"}),
        ("b", {"kind": "ask"}, {"authorize", "use", "end"}),
        ("a", {"kind": "ask"}, {"link", "update", "end", "open", "authorize"}),
    ],
)
def test_a_driver_says_which_journeys_it_is_configured_for(
    make_driver: Callable[..., Any], role: str, table: dict[str, Any], supported: set[str]
) -> None:
    driver = make_driver(role, **table)

    names = ("authorize", "use", "end", "link", "update", "open", "forge", "allow", "sign_in")
    assert {name for name in names if driver.supports(name)} == supported
