"""What only the driver ``playwright`` does: pages that need JavaScript. :mod:`.test_stepping` has
what it shares with ``forms``."""

import threading
import time
from collections.abc import Callable

import pytest

from reciprocal_oauth.conformance.drivers.journeys import (
    Driver,
    Journey,
    JourneyFailed,
    Outcome,
    Unsupported,
)
from reciprocal_oauth.conformance.errors import UsageError

from .small_site import Request, Response, SmallSite

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("chromium")]

MakeDriver = Callable[..., Driver]

#: A page that a program makes. Its question comes late, its buttons are in no form, and a program
#: sends its answer.
APPLICATION = """<title>App</title><div id="app">Please wait</div><script>
setTimeout(() => {
  document.getElementById("app").innerHTML = `<h1 style="text-transform: uppercase">May they?</h1>
    <label><input type="checkbox" name="scopes" value="read" style="display: none">Read</label>
    <div role="button" id="yes">Yes</div><button style="display: none">Hidden</button>`;
  document.getElementById("yes").onclick = () => {
    if (!confirm("Really?")) return;
    const ticked = document.querySelector("input").checked;
    fetch("/answer", {method: "POST", body: new URLSearchParams({ticked})})
      .then(() => setTimeout(() => location.href = "/done", 200));
  };
}, 300);
</script>"""


def never() -> bool:
    return False


@pytest.fixture
def application(site: SmallSite) -> SmallSite:
    site.page("/app", APPLICATION)
    site.page("/answer")
    site.page("/done", "<h1>Done</h1>")
    return site


def test_a_step_waits_until_the_page_has_what_it_needs(
    make_driver: MakeDriver, application: SmallSite
) -> None:
    steps = [
        {"open": "{url}"},
        {"if": "may they?", "tick": {"scopes": "read"}, "press": "Yes", "expect": "/done"},
    ]
    driver = make_driver("b", kind="playwright", steps={"authorize": steps})

    outcome = driver.go(Journey("authorize", "alice", f"{application.url}/app"), never)

    assert outcome == Outcome(f"{application.url}/done", 200)
    (answer,) = [each for each in application.requests if each.path == "/answer"]
    assert answer.fields == [("ticked", "true")]


def test_a_journey_ends_when_the_page_has_come_to_rest(
    make_driver: MakeDriver, application: SmallSite
) -> None:
    steps = [{"open": "{url}"}, {"press": "yes"}]
    driver = make_driver("b", kind="playwright", steps={"authorize": steps})

    outcome = driver.go(Journey("authorize", "alice", f"{application.url}/app"), never)

    assert outcome == Outcome(f"{application.url}/done", 200)


def test_a_look_waits_for_a_question_that_comes_late(
    make_driver: MakeDriver, application: SmallSite
) -> None:
    steps = {"link": [{"open": f"{application.url}/app"}], "allow": [{"press": "Yes"}]}
    driver = make_driver("a", kind="playwright", steps=steps)

    assert driver.go(Journey("link", "alice", decision="look"), never).consent is True


def test_a_question_that_is_no_form_cannot_be_forged(
    make_driver: MakeDriver, application: SmallSite
) -> None:
    steps = {"link": [{"open": f"{application.url}/app"}], "allow": [{"press": "Yes"}]}
    driver = make_driver("a", kind="playwright", steps=steps)

    with pytest.raises(Unsupported, match="belongs to no form that is sent; it needs JavaScript"):
        driver.go(Journey("forge", "alice", how="post"), never)


def test_a_button_that_nobody_sees_is_not_pressed(
    make_driver: MakeDriver, application: SmallSite
) -> None:
    steps = [{"open": "{url}"}, {"press": "Hidden"}]
    driver = make_driver("b", {"patience": 0.1}, kind="playwright", steps={"authorize": steps})

    with pytest.raises(JourneyFailed, match='no button "Hidden". It has "Yes"'):
        driver.go(Journey("authorize", "alice", f"{application.url}/app"), never)


def test_a_link_that_opens_a_new_window_is_followed(
    make_driver: MakeDriver, site: SmallSite
) -> None:
    site.page("/1", '<a href="/2" target="_blank">Connect</a>')
    site.page("/2", '<form action="/3"><button>Allow</button></form>')
    site.page("/3", "done")
    steps = [{"open": "{url}"}, {"follow": "Connect"}, {"press": "Allow"}]
    driver = make_driver("b", kind="playwright", steps={"authorize": steps})

    outcome = driver.go(Journey("authorize", "alice", f"{site.url}/1"), never)

    assert outcome.url == f"{site.url}/3?"


def test_a_form_that_sends_itself_is_waited_for(make_driver: MakeDriver, site: SmallSite) -> None:
    form = '<form method="post" action="/2"></form>'
    site.page("/1", f"{form}<script>document.forms[0].submit()</script>")
    site.page("/2", "done")
    driver = make_driver("b", kind="playwright", steps={"authorize": [{"open": "{url}"}]})

    outcome = driver.go(Journey("authorize", "alice", f"{site.url}/1"), never)

    assert outcome == Outcome(f"{site.url}/2", 200)


def test_a_slow_page_is_waited_for_before_the_next_step(
    make_driver: MakeDriver, site: SmallSite
) -> None:
    def slow(request: Request) -> Response:
        time.sleep(1)
        return Response("done")

    go = "setTimeout(() => location.href = '/2', 20)"
    site.page("/1", f'<button onclick="{go}">Sign in</button>')
    site.pages["/2"] = slow
    press = {"if": "sign in", "press": "Sign in"}
    steps = {"authorize": [{"open": "{url}"}, press, press]}
    driver = make_driver("b", kind="playwright", steps=steps)

    driver.go(Journey("authorize", "alice", f"{site.url}/1"), never)

    assert [request.path for request in site.requests] == ["/1", "/2"]


def test_it_can_be_used_from_any_thread(make_driver: MakeDriver, site: SmallSite) -> None:
    site.page("/1", "done")
    driver = make_driver("b", kind="playwright", steps={"authorize": [{"open": "{url}"}]})
    outcomes: list[Outcome] = []

    def visit() -> None:
        outcomes.append(driver.go(Journey("authorize", "alice", f"{site.url}/1"), never))

    visit()
    other = threading.Thread(target=visit)
    other.start()
    other.join(30)

    assert outcomes == [Outcome(f"{site.url}/1", 200)] * 2


def test_a_program_that_is_no_browser_is_said(make_driver: MakeDriver) -> None:
    with pytest.raises(UsageError, match="/bin/true does not start"):
        make_driver(
            "b",
            kind="playwright",
            executable="/bin/true",
            steps={"authorize": [{"open": "{url}"}]},
        )


def test_it_can_be_closed_twice(make_driver: MakeDriver) -> None:
    driver = make_driver("b", kind="playwright", steps={"authorize": [{"open": "{url}"}]})

    driver.close()
    driver.close()
