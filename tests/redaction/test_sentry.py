"""What sentry-sdk sends with its default settings: nothing that is secret, and still of use.

The faults of ``test_no_secrets_in_error_reports`` are looked at by it as well.
"""

import io
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from asgiref.sync import async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path, set_script_prefix
from oauth2_provider.views import ProtectedResourceView
from pytest_django import Settings

import reciprocal_oauth
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.redaction import sentry

from ..conftest import OUR_SECRET, PEER_SECRET, basic
from ..fakes import FakePeer, token_response
from ..sentry import Sent, needs_sentry, sending
from ..urls import urlpatterns as site_urls

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.threat("X100"),
    needs_sentry,
]

CODE = "c4nary.code"
STATE = "c4nary.state"
TOKEN = "c4nary.token"
SECRETS = (CODE, STATE, TOKEN, OUR_SECRET, PEER_SECRET)


@pytest.fixture
def sent() -> Iterator[Sent]:
    with sending() as sent:
        yield sent


def assert_clean(sent: Sent, *more: str) -> None:
    """Something was sent, and no secret with it."""
    assert sent.events
    text = "\n".join(sent.texts)
    assert [secret for secret in (*SECRETS, *more) if secret in text] == []


def over_wsgi(method: str, url: str, body: str = "", **headers: str) -> str:
    """What the site answers to a request as a server hands it in: its status."""
    path_, _, query = url.partition("?")
    answered: list[str] = []
    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path_,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "RAW_URI": url,
        "REQUEST_URI": url,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/x-www-form-urlencoded",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body.encode()),
        "wsgi.errors": sys.stderr,
        **{f"HTTP_{name.upper()}": value for name, value in headers.items()},
    }
    response = WSGIHandler()(environ, lambda status, *_others: answered.append(status))
    list(response)
    response.close()  # type: ignore[attr-defined]
    return answered[0]


Fail = Callable[[str], None]


@pytest.fixture
def fail_in(monkeypatch: pytest.MonkeyPatch) -> Fail:
    def force(place: str, error: type[Exception] = RuntimeError) -> None:
        monkeypatch.setattr(place, Mock(side_effect=error("forced fault")))

    return force


COPIES = [
    "x_original_uri",
    "x_original_url",
    "x_rewrite_url",
    "x_forwarded_uri",
    "x_envoy_original_path",
    "referer",
]


@pytest.mark.parametrize("how", ["wsgi", "test client"])
def test_a_fault_of_the_callback(
    how: str, browser: Client, peer: Peer, fake_peer: FakePeer, sent: Sent, fail_in: Fail
) -> None:
    fake_peer.answers["/token/"] = token_response(access_token=TOKEN)
    started = browser.post("/connections/music/connect/")
    state = parse_qs(urlsplit(started["Location"]).query)["state"][0]
    cookies = "; ".join(f"{name}={morsel.value}" for name, morsel in browser.cookies.items())
    fail_in("reciprocal_oauth.party_a.exchange.record_event")
    url = f"/connections/music/callback/?{urlencode({'code': CODE, 'state': state})}"
    copies = dict.fromkeys(COPIES, f"http://testserver{url}")

    if how == "wsgi":
        assert over_wsgi("GET", url, cookie=cookies, **copies).startswith("500")
    else:
        browser.raise_request_exception = False
        assert browser.get(url).status_code == 500

    assert_clean(sent, state)
    (event,) = [each for each in sent.events if "exception" in each]
    assert event["exception"]["values"][-1]["value"] == "forced fault"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert "reciprocal_oauth.party_a.exchange" in [frame["module"] for frame in frames]
    assert event["transaction"].startswith("/connections/")


def test_a_fault_under_asgi(sent: Sent, fail_in: Fail) -> None:
    fail_in("reciprocal_oauth.pages.connect.take_query")
    query = urlencode({"code": CODE, "state": STATE})
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": "/connections/music/callback/",
        "query_string": query.encode(),
        "headers": [(b"host", b"testserver"), (b"x-original-uri", f"/?{query}".encode())],
        "server": ("testserver", 443),
        "client": ("127.0.0.1", 9),
    }

    async def ask() -> int:
        site = ApplicationCommunicator(ASGIHandler(), scope)
        await site.send_input({"type": "http.request", "body": b""})
        return int((await site.receive_output(timeout=10))["status"])

    assert async_to_sync(ask)() == 500
    assert_clean(sent)


@pytest.mark.parametrize(
    "place",
    [
        "reciprocal_oauth.party_b.receive.hash_of",
        "oauth2_provider.oauth2_validators.OAuth2Validator.authenticate_client",
        "django.contrib.sessions.middleware.SessionMiddleware.process_response",
    ],
)
def test_a_fault_of_the_token_endpoint(
    place: str, token_of_a: Any, sent: Sent, fail_in: Fail
) -> None:
    fail_in(place)
    body = {
        "grant_type": GRANT_TYPE,
        "code": CODE,
        "client_id": "music-here",
        "access_token": token_of_a.raw,
    }

    status = over_wsgi(
        "POST",
        "/o/token/",
        urlencode(body),
        authorization=basic("music-here", PEER_SECRET)["Authorization"],
    )
    assert status.startswith("500")
    assert_clean(sent, token_of_a.raw, basic("music-here", PEER_SECRET)["Authorization"])


def tenant_in_path(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """A middleware of a site that has its tenants in the path: no URL leads to what was sent."""

    def middleware(request: HttpRequest) -> Any:
        request.path_info = request.path_info.removeprefix("/tenant")
        return get_response(request)

    return middleware


@pytest.mark.threat("X122")
def test_an_address_that_a_middleware_has_rewritten(
    token_of_a: Any, sent: Sent, fail_in: Fail, settings: Settings
) -> None:
    settings.MIDDLEWARE = [f"{__name__}.tenant_in_path", *settings.MIDDLEWARE]
    fail_in("reciprocal_oauth.party_b.receive.hash_of")
    body = {
        "grant_type": GRANT_TYPE,
        "code": CODE,
        "client_id": "music-here",
        "client_secret": PEER_SECRET,
        "access_token": token_of_a.raw,
    }

    assert over_wsgi("POST", "/tenant/o/token/", urlencode(body)).startswith("500")

    assert_clean(sent, token_of_a.raw)


@pytest.mark.parametrize("options", [{}, {"send_default_pii": True}, {"event_scrubber": None}])
def test_whatever_else_the_site_has_sent(
    options: dict[str, Any], token_of_a: Any, fail_in: Fail
) -> None:
    fail_in("reciprocal_oauth.party_b.receive.hash_of")
    body = {
        "grant_type": GRANT_TYPE,
        "code": CODE,
        "client_id": "music-here",
        "client_secret": PEER_SECRET,
        "access_token": token_of_a.raw,
    }

    with sending(traces_sample_rate=1.0, **options) as sent:
        assert over_wsgi("POST", "/o/token/", urlencode(body), cookie=f"a={STATE}")

    assert_clean(sent, token_of_a.raw)


@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_an_outage_of_the_database_is_one_line_without_a_trace(
    error: type[Exception],
    token_of_a: Any,
    hand_over: Callable[..., Any],
    sent: Sent,
    fail_in: Fail,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fail_in("reciprocal_oauth.party_b.receive.hash_of", error)  # type: ignore[call-arg]

    assert hand_over(code=CODE, access_token=token_of_a.raw).status_code == 503

    (record,) = [r for r in caplog.records if r.name.startswith("reciprocal_oauth")]
    assert record.exc_info is None
    assert error.__name__ in record.getMessage()
    assert "forced fault" in record.getMessage()
    assert_clean(sent, token_of_a.raw)
    assert not [event for event in sent.events if "exception" in event]


def test_another_error_of_the_database_has_its_trace(
    token_of_a: Any, hand_over: Callable[..., Any], sent: Sent, fail_in: Fail
) -> None:
    fail_in("reciprocal_oauth.party_b.receive.hash_of", DatabaseError)  # type: ignore[call-arg]

    assert hand_over(code=CODE, access_token=token_of_a.raw).status_code == 503

    assert_clean(sent, token_of_a.raw)
    assert [event for event in sent.events if "exception" in event]


def test_an_error_that_quotes_the_row(
    hand_over: Callable[..., Any], token_of_a: Any, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As PostgreSQL does."""
    text = f"null value in column\nDETAIL:  Failing row contains ({TOKEN})."
    monkeypatch.setattr(
        "reciprocal_oauth.party_b.receive.hash_of", Mock(side_effect=DatabaseError(text))
    )

    hand_over(code=CODE, access_token=token_of_a.raw)

    assert_clean(sent, token_of_a.raw)
    assert "null value in column" in "\n".join(sent.texts)


def test_a_cause_below_our_frames(
    browser: Client, peer: Peer, sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The trace of a cause begins where it was caught, so that none of our frames is in it."""

    def low(parameters: str) -> None:
        raise ValueError("the cause")

    def fail(*_arguments: Any) -> None:
        try:
            low(TOKEN)
        except ValueError as error:
            raise RuntimeError("forced fault") from error

    monkeypatch.setattr("reciprocal_oauth.party_a.authorization.request_url", fail)
    browser.raise_request_exception = False
    browser.post("/connections/music/connect/")

    assert_clean(sent)
    assert "the cause" in "\n".join(sent.texts)


# What sites write


def site_view(request: HttpRequest) -> HttpResponse:
    ours = "of the site"
    assert ours
    link = Link.objects.get()
    reciprocal_oauth.get_session(link).get("http://127.0.0.1:9/api/")
    return HttpResponse()


class OwnResource(ProtectedResourceView):
    """A view of the site that takes tokens."""

    def get(self, request: HttpRequest) -> HttpResponse:
        raise RuntimeError("forced fault")


@pytest.fixture
def site(settings: Settings) -> Settings:
    settings.ROOT_URLCONF = (
        *site_urls,
        path("mine/", site_view),
        path("resource/", OwnResource.as_view()),
    )
    return settings


def test_of_a_site_that_calls_a_peer_its_own_frames_keep_their_variables(
    link_as_a: Link, sent: Sent, site: Settings, fail_in: Fail
) -> None:
    fail_in("requests.Session.send")

    status = over_wsgi("POST", "/mine/?a=b", urlencode({"x": "of the form"}))

    assert status.startswith("403")  # Django asks for its token.
    assert over_wsgi("GET", "/mine/?a=b").startswith("500")
    assert_clean(sent, "token-of-the-peer", "refresh-of-the-peer")
    (event,) = [each for each in sent.events if "exception" in each]
    assert event["request"]["query_string"] == "a=b"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    mine = [frame for frame in frames if frame["function"] == "site_view"]
    assert mine[0]["vars"]["ours"] == "'of the site'"
    modules = [str(frame["module"]).partition(".")[0] for frame in frames]
    assert not [frame for frame in frames[modules.index("reciprocal_oauth") :] if "vars" in frame]


def test_a_view_of_the_site_that_is_derived_from_one_of_the_libraries(
    make_token: Callable[..., Any], application: Any, user: Any, sent: Sent, site: Settings
) -> None:
    token = make_token(application, user)

    assert over_wsgi("GET", f"/resource/?access_token={token.raw}").startswith(("500", "403"))
    status = over_wsgi("GET", f"/resource/?x={CODE}", authorization=f"Bearer {token.raw}")

    assert status.startswith("500")
    assert_clean(sent, token.raw)


def test_the_form_of_a_peer_in_the_admin(
    admin_client: Client, peer: Peer, sent: Sent, fail_in: Fail
) -> None:
    fail_in("reciprocal_oauth.models.Peer.full_clean")
    admin_client.raise_request_exception = False
    url = f"/admin/reciprocal_oauth/peer/{peer.pk}/change/"
    cookies = "; ".join(f"{n}={m.value}" for n, m in admin_client.cookies.items())
    admin_client.get(url)

    response = admin_client.post(url, {"name": "Music", "client_secret": OUR_SECRET})
    sent_by_client = len(sent.events)
    over_wsgi("POST", url, urlencode({"client_secret": OUR_SECRET}), cookie=cookies)

    assert response.status_code == 500
    assert sent_by_client
    assert_clean(sent)


def test_the_arguments_of_a_command(
    sent: Sent, monkeypatch: pytest.MonkeyPatch, fail_in: Fail
) -> None:
    import sentry_sdk

    fail_in("reciprocal_oauth.management.commands.reciprocal_peer.save")
    arguments = ["reciprocal_peer", "add", "music", f"--client-secret={OUR_SECRET}"]
    monkeypatch.setattr(sys, "argv", ["manage.py", *arguments])

    with pytest.raises(RuntimeError) as caught:
        call_command(*arguments)
    sentry_sdk.capture_exception(caught.value)

    assert_clean(sent)
    assert sent.events[0]["extra"]["sys.argv"] == ["manage.py", "reciprocal_peer", "…"]


def test_the_arguments_of_other_commands_are_sent_as_ever(
    sent: Sent, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sentry_sdk

    monkeypatch.setattr(sys, "argv", ["manage.py", "migrate", "--plan"])
    sentry_sdk.capture_message("hello", "error")

    assert sent.events == []
    assert '"migrate"' in sent.texts[0]


# How it is put in place


def test_a_site_that_scrubs_by_itself_still_does(sent: Sent) -> None:
    import sentry_sdk

    scrubber = Mock()
    with sending(event_scrubber=scrubber) as own:
        for _ in range(3):
            sentry_sdk.capture_message("hello", "error")

    assert scrubber.scrub_event.call_count == 3
    assert len(own.texts) == 3


def test_an_event_that_cannot_be_looked_through_is_cut_and_sent(
    monkeypatch: pytest.MonkeyPatch, sent: Sent, anyone_asks: Callable[[], int]
) -> None:
    monkeypatch.setattr(sentry, "_serves_secrets", Mock(side_effect=KeyError))

    assert anyone_asks() == 500

    text = "\n".join(sent.texts)
    assert "could not scrub this event" in text
    assert [secret for secret in SECRETS if secret in text] == []


@pytest.fixture
def anyone_asks(token_of_a: Any, fail_in: Fail) -> Callable[[], int]:
    fail_in("reciprocal_oauth.party_b.receive.hash_of")
    body = {
        "grant_type": GRANT_TYPE,
        "code": CODE,
        "client_id": "music-here",
        "access_token": token_of_a.raw,
        "client_secret": PEER_SECRET,
    }
    return lambda: int(over_wsgi("POST", "/o/token/", urlencode(body)).partition(" ")[0])


def test_a_site_below_a_path() -> None:
    url = "https://site.example/app/o/token/"
    event: dict[str, Any] = {"request": {"url": url, "data": {"code": CODE}}}
    set_script_prefix("/app/")
    try:
        sentry.scrub(event)
    finally:
        set_script_prefix("/")

    assert event["request"] == {"url": url}
