"""The small browser does what browsers do with redirects, cookies and headers."""

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from example_project.servers import free_ports
from reciprocal_oauth.conformance.drivers.html_forms import Submission
from reciprocal_oauth.conformance.drivers.journeys import JourneyFailed
from reciprocal_oauth.conformance.drivers.web import Web

from .small_site import Request, Response, SmallSite, redirect


@pytest.fixture
def web() -> Web:
    return Web(5)


@pytest.fixture
def other_site() -> Iterator[SmallSite]:
    site = SmallSite()
    yield site
    site.stop()


def test_it_knows_the_page_that_it_has_come_to(web: Web, site: SmallSite) -> None:
    site.page("/", "<title>T</title><h1>Hello</h1> you", 404)

    page = web.open(f"{site.url}/?code=secret")

    assert (page.url, page.status, page.text) == (f"{site.url}/?code=secret", 404, "T Hello you")
    assert web.page is page
    assert str(page) == f"{site.url}/ (HTTP 404) “Hello”. It says: T Hello you"


def test_redirects_are_followed_to_their_end(web: Web, site: SmallSite) -> None:
    site.pages["/1"] = lambda request: redirect("2?a=b c")
    site.pages["/2"] = lambda request: redirect(f"{site.url}/3")
    site.page("/3", "end")

    page = web.open(f"{site.url}/1#part")

    assert page.url == f"{site.url}/3#part"
    assert [request.path for request in site.requests] == ["/1", "/2", "/3"]
    assert site.requests[1].values("a") == ["b c"]


def test_what_a_url_must_not_have_is_percent_encoded(web: Web, site: SmallSite) -> None:
    site.pages["/1%202"] = lambda request: redirect("/3?a=" + "ü".encode().decode("latin-1"))
    site.page("/3")

    page = web.open(f"{site.url}/1 2?b=ä")

    assert page.url == f"{site.url}/3?a=%C3%BC"
    assert [request.fields for request in site.requests] == [[("b", "ä")], [("a", "ü")]]


def test_a_redirect_in_a_circle_ends(web: Web, site: SmallSite) -> None:
    site.pages["/1"] = lambda request: redirect("/1")

    with pytest.raises(JourneyFailed, match="redirects more than 20 times"):
        web.open(f"{site.url}/1")

    assert len(site.requests) == 21


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET")])
def test_after_most_redirects_a_form_is_not_sent_again(
    web: Web, site: SmallSite, status: int, method: str
) -> None:
    site.pages["/1"] = lambda request: redirect("/2", status)
    site.page("/2")

    web.submit(Submission("POST", f"{site.url}/1", (("a", "1"),)))

    assert site.requests[-1].method == method
    assert site.requests[-1].fields == []


@pytest.mark.parametrize("status", [307, 308])
def test_two_kinds_of_redirects_keep_the_form(web: Web, site: SmallSite, status: int) -> None:
    site.pages["/1"] = lambda request: redirect("/2", status)
    site.page("/2")

    web.submit(Submission("POST", f"{site.url}/1", (("a", "1"), ("a", "ü"))))

    assert site.requests[-1].method == "POST"
    assert site.requests[-1].fields == [("a", "1"), ("a", "ü")]


def test_a_page_that_leads_on_by_itself_is_left(web: Web, site: SmallSite) -> None:
    site.page("/1", '<meta http-equiv="refresh" content="0; url=/2?again=1">')
    site.page("/2", "end")

    assert web.open(f"{site.url}/1").text == "end"


def test_a_page_that_reloads_itself_is_not_reloaded(web: Web, site: SmallSite) -> None:
    site.page("/1", '<meta http-equiv="refresh" content="1; url=/1">wait')

    assert web.open(f"{site.url}/1").text == "wait"


def test_an_error_page_is_not_left(web: Web, site: SmallSite) -> None:
    site.page("/1", '<meta http-equiv="refresh" content="0; url=/2">', 500)

    assert web.open(f"{site.url}/1").status == 500


def test_cookies_are_kept_for_their_browser_only(web: Web, site: SmallSite) -> None:
    site.page("/set", "", Set_Cookie="user=alice; Path=/; HttpOnly; SameSite=Lax")
    site.page("/see")
    web.open(f"{site.url}/set")

    web.open(f"{site.url}/see")
    Web(5).open(f"{site.url}/see")

    assert [request.cookies for request in site.requests[1:]] == [{"user": "alice"}, {}]


def test_a_cookie_of_a_redirect_is_there_on_the_next_page(web: Web, site: SmallSite) -> None:
    site.pages["/1"] = lambda request: redirect("/2", Set_Cookie="a=1; Path=/")
    site.page("/2")

    web.open(f"{site.url}/1")

    assert site.requests[-1].cookies == {"a": "1"}


def test_a_secure_cookie_is_sent_to_this_computer_without_tls(web: Web, site: SmallSite) -> None:
    site.page("/set", "", Set_Cookie="user=alice; Path=/; Secure")
    web.open(f"{site.url}/set")

    web.open(f"{site.url}/set")

    assert site.requests[-1].cookies == {"user": "alice"}


def test_a_form_says_which_page_it_is_from(
    web: Web, site: SmallSite, other_site: SmallSite
) -> None:
    for each in (site, other_site):
        each.page("/page")
        each.page("/form")
    web.open(f"{site.url}/page?x=1#part")
    web.submit(Submission("POST", f"{site.url}/form", ()))
    web.open(f"{site.url}/page")
    web.submit(Submission("POST", f"{other_site.url}/form", ()))

    same, other = site.requests[1].headers, other_site.requests[0].headers
    assert (same["Origin"], same["Referer"]) == (site.url, f"{site.url}/page?x=1")
    assert (other["Origin"], other["Referer"]) == (site.url, f"{site.url}/")


def test_other_headers_take_the_place_of_those(web: Web, site: SmallSite) -> None:
    site.page("/page")
    site.pages["/form"] = lambda request: redirect("/page")
    web.open(f"{site.url}/page")

    web.submit(Submission("POST", f"{site.url}/form", ()), {"Origin": "null"})

    form, page = site.requests[1:]
    assert form.headers["Origin"] == "null"
    assert "Referer" not in form.headers
    assert "Origin" not in page.headers


def test_a_text_in_another_encoding_is_read(web: Web, site: SmallSite) -> None:
    site.page("/1", "Grüße".encode("latin-1"), Content_Type="text/html; charset=latin-1")
    site.page("/2", '<meta charset="latin-1">Grüße'.encode("latin-1"))
    site.page("/3", "Grüße", Content_Type="text/html; charset=no-such-one")

    texts = [web.open(f"{site.url}/{number}").text for number in (1, 2, 3)]

    assert texts == ["Grüße"] * 3


def test_a_page_that_is_no_html_has_no_forms(web: Web, site: SmallSite) -> None:
    site.page("/1", "{<form><button>x</button></form>}", Content_Type="application/json")

    page = web.open(f"{site.url}/1")

    assert page.document.forms == []
    assert page.document.says("<form>")


def test_the_rest_of_an_endless_page_is_left_unread(web: Web, site: SmallSite) -> None:
    site.page("/1", "x" * 5_000_000)

    assert 2_000_000 < len(web.open(f"{site.url}/1").html) < 2_300_000


def test_a_server_that_is_not_there_is_said(web: Web) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}/authorize"

    with pytest.raises(JourneyFailed) as caught:
        web.open(f"{url}?state=secret")

    assert str(caught.value) == f"{url} cannot be reached: Connection refused."


@pytest.mark.parametrize("url", ["app://callback?code=1", "/authorize", "http://", "http://[", ""])
def test_what_is_no_web_page_is_said(web: Web, url: str) -> None:
    with pytest.raises(JourneyFailed, match="is no URL with http or https"):
        web.open(url)


def test_a_redirect_to_an_app_is_said(web: Web, site: SmallSite) -> None:
    site.pages["/1"] = lambda request: redirect("app://callback?code=1")

    with pytest.raises(JourneyFailed, match="app://callback is no URL with http or https"):
        web.open(f"{site.url}/1")


def test_a_server_that_speaks_no_http_is_said(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(JourneyFailed, match="cannot be reached"):
            web.open(f"http://127.0.0.1:{server.getsockname()[1]}/")


def test_a_server_that_is_silent_is_not_waited_for_longer_than_the_limit() -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:
        started = time.monotonic()
        with pytest.raises(JourneyFailed, match=r"did not answer in 0\.3 seconds"):
            Web(0.3).open(f"http://127.0.0.1:{server.getsockname()[1]}/")

    assert time.monotonic() - started < 2


def test_a_page_that_trickles_is_not_waited_for_longer_than_the_limit(site: SmallSite) -> None:
    with socket.create_server(("127.0.0.1", free_ports(1)[0])) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _second in range(100):
                    time.sleep(0.1)
                    try:
                        connection.sendall(b"x")
                    except OSError:
                        return

        threading.Thread(target=answer, daemon=True).start()
        started = time.monotonic()
        with pytest.raises(JourneyFailed, match="did not answer in 0.5 seconds"):
            Web(0.5).open(f"http://127.0.0.1:{server.getsockname()[1]}/")

    assert time.monotonic() - started < 3


def test_any_certificate_is_accepted(web: Web, site: SmallSite, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("other.example").configure_cert(context)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    site.page("/", "hello")

    assert web.open(site.url.replace("http:", "https:")).status in (200, 404)


def test_the_proxies_of_the_environment_are_not_used(
    web: Web, site: SmallSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    site.page("/", "hello")

    assert web.open(f"{site.url}/").text == "hello"


def test_no_connection_stays_open(web: Web, site: SmallSite) -> None:
    closed = threading.Event()

    def answer(request: Request) -> Response:
        closed.set()
        return Response("hello", headers={"Content-Type": "text/html", "Connection": "keep-alive"})

    site.pages["/"] = answer
    for _visit in range(50):
        web.open(f"{site.url}/")

    assert site.requests[-1].headers["Connection"] == "close"
