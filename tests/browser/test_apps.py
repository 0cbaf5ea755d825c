"""An app opens a page in the browser of the system, and its user returns to the app (RFC 8252)."""

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from example_project.sites import Site

from .people import DESKTOP, PHONE, sign_in

pytestmark = [pytest.mark.browser, pytest.mark.two_process]

RETURN_TO = "com.example.app:/connected"


@pytest.fixture
def desktop_app() -> Iterator[str]:
    """The address at which an app on this machine waits."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>App</title>This is the app.")

        def log_message(self, *args: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/connected"
    server.shutdown()
    server.server_close()


def start_at(page: Any, site: Site, return_to: str = RETURN_TO) -> str:
    """The address that an app opens in the browser. The browser is signed in."""
    api = f"{site.url}/api/reciprocal/peers/"
    page.request.get(api)
    (token,) = (
        cookie["value"] for cookie in page.context.cookies(api) if "csrftoken" in cookie["name"]
    )
    response = page.request.post(
        f"{api}music/start/",
        data={"return_to": return_to, "state": "of-the-app"},
        headers={"X-CSRFToken": token},
    )
    assert response.status == 200, response.text()
    return str(response.json()["url"])


def go_to_consent(page: Any, assistant: Site, music: Site, return_to: str = RETURN_TO) -> None:
    sign_in(page, music)
    sign_in(page, assistant)
    page.goto(start_at(page, assistant, return_to))
    page.get_by_role("button", name="Continue to Music").click()
    page.wait_for_url(f"{music.url}/o/authorize/**")
    page.get_by_role("button", name="Allow").click()
    page.wait_for_url(f"{assistant.url}/connections/links/*/consent/?visit=*")


@pytest.mark.rfc("8252", "7.1")
@pytest.mark.parametrize(("options", "script"), [(PHONE, True), (DESKTOP, False)])
def test_the_browser_opens_the_app(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    examine: Callable[[Any, str], None],
    options: dict[str, Any],
    script: bool,
) -> None:
    """No app has the scheme here, so the page stays, with its button."""
    assistant, music = sites
    page = new_page(**options, java_script_enabled=script)
    asked: list[str] = []
    go_to_consent(page, assistant, music)
    devtools = page.context.new_cdp_session(page)
    devtools.send("Page.enable")
    devtools.on("Page.frameRequestedNavigation", lambda event: asked.append(event["url"]))

    page.get_by_role("button", name="Allow", exact=True).click()
    page.wait_for_url(f"{assistant.url}/connections/visits/*/back/")

    button = page.get_by_role("link", name="Back to the app")
    address = button.get_attribute("href")
    assert address.startswith(f"{RETURN_TO}?peer=music&result=linked&link=")
    assert address.endswith("&state=of-the-app")
    for _attempt in range(300):
        if address in asked:
            break
        page.wait_for_timeout(100)
    assert address in asked
    assert page.url.endswith("/back/")
    if script:
        examine(page, "app-back")


@pytest.mark.rfc("8252", "7.3")
def test_a_policy_for_forms_does_not_keep_the_person_from_the_app(
    sites: tuple[Site, Site], new_page: Callable[..., Any], desktop_app: str
) -> None:
    """Chromium applies ``form-action`` to redirects after a form. The app is not in it."""
    assistant, music = sites
    page = new_page(**DESKTOP)

    def with_policy(route: Any) -> None:
        response = route.fetch(max_redirects=0)
        policy = response.headers["content-security-policy"] + "; form-action 'self'"
        headers = {**response.headers, "content-security-policy": policy}
        route.fulfill(response=response, headers=headers)

    page.route(
        "**/consent/**",
        lambda route: with_policy(route) if route.request.method == "GET" else route.fallback(),
    )
    go_to_consent(page, assistant, music, desktop_app)

    page.get_by_role("button", name="Do not allow").click()

    page.wait_for_url(f"{desktop_app}?peer=music&result=one_way&link=*&state=of-the-app")
    assert page.get_by_text("This is the app.").count() == 1


@pytest.mark.threat("AP1")
def test_the_pages_before_the_peer(
    sites: tuple[Site, Site],
    new_page: Callable[..., Any],
    examine: Callable[[Any, str], None],
) -> None:
    """The question, the browser of somebody else, and a start that was used."""
    assistant, music = sites
    page, other = new_page(**PHONE), new_page(**PHONE)
    sign_in(page, assistant)
    address = start_at(page, assistant)

    page.goto(address)
    assert page.get_by_role("heading", name="Connect Music?").count() == 1
    examine(page, "app-start")

    other.goto(address)
    other.fill("input[name=username]", "admin")
    other.fill("input[name=password]", "admin")
    other.press("input[name=password]", "Enter")
    other.wait_for_url("**/start/?start=*")
    assert other.get_by_text("you use another account in the app").count() == 1
    assert "alice" not in other.inner_text("body")
    examine(other, "app-other-account")

    page.get_by_role("button", name="Continue to Music").click()
    page.wait_for_url(f"{music.url}/**")
    page.goto(address)
    page.get_by_role("button", name="Continue to Music").click()
    assert page.get_by_text("opened this page once already").count() == 1
