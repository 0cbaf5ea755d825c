"""The driver ``follow`` opens URLs that do on their own what a person does."""

from collections.abc import Callable

import pytest

from reciprocal_oauth.conformance.drivers.journeys import (
    Driver,
    Journey,
    JourneyFailed,
    Outcome,
    Unsupported,
)

from .small_site import Request, Response, SmallSite, redirect

MakeDriver = Callable[..., Driver]


def never() -> bool:
    return False


def test_a_journey_opens_its_url_and_follows_it_to_the_end(
    make_driver: MakeDriver, site: SmallSite
) -> None:
    site.pages["/authorize"] = lambda request: redirect("/callback?code=1")
    site.page("/callback", "Thank you")
    driver = make_driver("b", kind="follow", urls={"authorize": "{url}&user={user}"})

    journey = Journey("authorize", "alice", f"{site.url}/authorize?client_id=x")
    outcome = driver.go(journey, never)

    assert outcome == Outcome(f"{site.url}/callback?code=1", 200)
    assert site.requests[0].fields == [("client_id", "x"), ("user", "alice")]


def test_a_link_says_what_the_user_decides(make_driver: MakeDriver, site: SmallSite) -> None:
    site.page("/link")
    template = f"{site.url}/link?user={{user}}&decision={{decision}}&scopes={{scopes}}"
    driver = make_driver("a", kind="follow", urls={"link": template})

    driver.go(Journey("link", "alice", decision="allow", scopes=("read", "write")), never)
    driver.go(Journey("link", "alice", decision="look"), never)

    assert [request.fields for request in site.requests] == [
        [("user", "alice"), ("decision", "allow"), ("scopes", "read write")],
        [("user", "alice"), ("decision", "look"), ("scopes", "")],
    ]


def test_no_scopes_at_all_cannot_be_said_by_a_url(make_driver: MakeDriver, site: SmallSite) -> None:
    site.page("/update")
    driver = make_driver(
        "a", kind="follow", urls={"update": f"{site.url}/update?scopes={{scopes}}"}
    )

    with pytest.raises(Unsupported, match="cannot say none"):
        driver.go(Journey("update", "alice", scopes=()), never)


def test_an_error_page_at_the_end_is_a_failure(make_driver: MakeDriver, site: SmallSite) -> None:
    site.page("/end", "<h1>No such link</h1>", 404)
    driver = make_driver("b", kind="follow", urls={"end": f"{site.url}/end?user={{user}}"})

    with pytest.raises(JourneyFailed) as caught:
        driver.go(Journey("end", "alice"), never)

    assert "error page, status 404" in str(caught.value)
    assert "“No such link”" in str(caught.value)
    assert caught.value.outcome == Outcome(f"{site.url}/end?user=alice", 404)


@pytest.mark.parametrize("name", ["open", "forge"])
def test_two_journeys_may_end_at_an_error_page(
    make_driver: MakeDriver, site: SmallSite, name: str
) -> None:
    site.page("/here", "no", 403)
    urls = {"forge": f"{site.url}/here?how={{how}}&other={{other_user}}"}
    driver = make_driver("a", kind="follow", urls=urls)

    journey = Journey(name, "alice", f"{site.url}/here", how="other", other_user="bob")

    assert driver.go(journey, never).status == 403
    if name == "forge":
        assert site.requests[0].fields == [("how", "other"), ("other", "bob")]


def test_each_user_has_cookies_that_stay(make_driver: MakeDriver, site: SmallSite) -> None:
    def use(request: Request) -> Response:
        return Response("", 200, {"Set-Cookie": f"user={request.values('user')[0]}; Path=/"})

    site.pages["/use"] = use
    driver = make_driver("b", kind="follow", urls={"use": f"{site.url}/use?user={{user}}"})

    for user in ("alice", "bob", "alice"):
        driver.go(Journey("use", user), never)

    assert [each.cookies for each in site.requests] == [{}, {}, {"user": "alice"}]


def test_open_is_done_in_the_browser_of_the_user(make_driver: MakeDriver, site: SmallSite) -> None:
    site.page("/end", "", Set_Cookie="user=alice; Path=/")
    driver = make_driver("a", kind="follow", urls={"end": f"{site.url}/end"})
    driver.go(Journey("end", "alice"), never)

    for user in ("alice", "bob"):
        driver.go(Journey("open", user, f"{site.url}/end"), never)

    assert [each.cookies for each in site.requests] == [{}, {"user": "alice"}, {}]


def test_a_journey_without_a_url_is_not_supported(make_driver: MakeDriver) -> None:
    driver = make_driver("b", kind="follow", urls={"end": "http://127.0.0.1:1/"})

    with pytest.raises(Unsupported, match=r"driver\.urls\.use is missing"):
        driver.go(Journey("use", "alice"), never)
