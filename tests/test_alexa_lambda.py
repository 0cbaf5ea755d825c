"""The Lambda function of the example, called as Alexa calls it, against a live site."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler

from example_project.alexa_lambda import handler
from reciprocal_oauth.models import Link, Peer

from .alexa import LWA_REFUSAL, LWA_TOKENS, accept_grant, make_alexa
from .conftest import PEER_SECRET
from .fakes import FakePeer, Received, Reply

FAILED = {
    "namespace": "Alexa.Authorization",
    "name": "ErrorResponse",
    "payloadVersion": "3",
}


@pytest.fixture
def peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    fake_peer.answers["/token/"] = LWA_TOKENS
    return make_alexa(make_peer, fake_peer.url)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def change(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    change(CLIENT_ID="alexa-here", CLIENT_SECRET=PEER_SECRET, AWS_REGION="eu-west-1")
    return change


@pytest.fixture
def site(fake_peer: FakePeer, environment: Callable[..., None]) -> FakePeer:
    """A site that responds with what a test says."""
    environment(HANDOVER_URL=f"{fake_peer.url}/handover/")
    return fake_peer


@pytest.fixture
def live_site(shared_database: None, environment: Callable[..., None]) -> Iterator[None]:
    """This site, over real HTTP."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), WSGIRequestHandler)
    server.set_app(WSGIHandler())
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    port = server.server_address[1]
    environment(HANDOVER_URL=f"http://127.0.0.1:{port}/connections/handover/alexa/")
    yield
    server.shutdown()
    server.server_close()


def assert_failed(answer: Any) -> None:
    header = answer["event"]["header"]
    assert uuid.UUID(header["messageId"])
    assert {name: header[name] for name in FAILED} == FAILED
    assert answer["event"]["payload"]["type"] == "ACCEPT_GRANT_FAILED"


@pytest.mark.django_db(transaction=True)
class TestAgainstALiveSite:
    def test_a_grant_is_accepted(self, live_site: None, token_of_a: Any) -> None:
        answer = handler.lambda_handler(accept_grant(token_of_a.raw), None)

        assert answer["event"]["header"]["name"] == "AcceptGrant.Response"
        link = Link.objects.get()
        assert link.is_two_way
        assert link.data == {"origin": "directive", "region": "EU"}

    def test_a_code_that_amazon_refuses_fails(
        self, live_site: None, token_of_a: Any, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers["/token/"] = LWA_REFUSAL
        assert_failed(handler.lambda_handler(accept_grant(token_of_a.raw), None))

    def test_a_wrong_secret_fails(
        self, live_site: None, token_of_a: Any, environment: Callable[..., None]
    ) -> None:
        environment(CLIENT_SECRET="wrong")

        assert_failed(handler.lambda_handler(accept_grant(token_of_a.raw), None))
        assert not Link.objects.get().access_token

    def test_another_region_is_named_by_nobody(
        self, live_site: None, token_of_a: Any, environment: Callable[..., None]
    ) -> None:
        environment(AWS_REGION="ap-south-1")

        handler.lambda_handler(accept_grant(token_of_a.raw), None)
        assert Link.objects.get().data == {"origin": "directive"}


@pytest.mark.parametrize(
    "answer",
    [
        Reply.json(401, error="invalid_client"),
        Reply.json(500, event={}),
        Reply(200, b"<html>"),
        Reply(200, b""),
        Reply(200, b"\xff"),
        Reply(200, b"[]"),
        Reply(200, b"{}"),
        Reply(404, b"not here"),
    ],
    ids=["401", "500", "html", "empty", "no-utf8", "list", "no-event", "404"],
)
def test_any_other_response_makes_a_failure(site: FakePeer, answer: Reply) -> None:
    site.answers["/handover/"] = answer
    assert_failed(handler.lambda_handler(accept_grant("token"), None))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(site: FakePeer, status: int) -> None:
    site.answers["/handover/"] = Reply(status, b"", {"Location": f"{site.url}/elsewhere/"})

    assert_failed(handler.lambda_handler(accept_grant("token"), None))
    assert site.to("/elsewhere/") == []


def test_a_site_that_does_not_respond_in_time_makes_a_failure(
    site: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "TIMEOUT_SECONDS", 0.1)

    def silent(request: Received) -> Reply:
        time.sleep(0.4)
        return Reply.json(event={})

    site.answers["/handover/"] = silent
    assert_failed(handler.lambda_handler(accept_grant("token"), None))


def test_a_site_that_does_not_listen_makes_a_failure(environment: Callable[..., None]) -> None:
    environment(HANDOVER_URL="http://127.0.0.1:9/")
    assert_failed(handler.lambda_handler(accept_grant("token"), None))


def test_other_directives_are_left_to_the_skill(
    site: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = {"directive": {"header": {"namespace": "Alexa.Discovery", "name": "Discover"}}}
    monkeypatch.setattr(handler, "other_directives", lambda event, context: (event, context))

    assert handler.lambda_handler(event, "context") == (event, "context")
    assert site.requests == []


def test_the_function_needs_only_the_standard_library() -> None:
    with open(handler.__file__) as file:
        imported = {
            line.split()[1].split(".")[0] for line in file if line.startswith(("import", "from"))
        }

    assert imported == {"base64", "json", "os", "urllib", "uuid"}
