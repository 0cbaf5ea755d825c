"""A redirect is a response like any other: it is not followed, and its body has a limit."""

from collections.abc import Callable, Iterator

import pytest
from pytest_django import Settings

from reciprocal_oauth.client import http, token_endpoint
from reciprocal_oauth.exceptions import PeerRefused
from reciprocal_oauth.models import Peer

from ..fakes import FakePeer, Reply
from .servers import RawServer, flooding

CODES = [301, 302, 303, 307, 308]


@pytest.fixture
def second_host() -> Iterator[FakePeer]:
    peer = FakePeer()
    yield peer
    peer.stop()


@pytest.mark.threat("H6", "R6")
@pytest.mark.parametrize("status", CODES)
def test_no_redirect_is_followed(status: int, fake_peer: FakePeer, second_host: FakePeer) -> None:
    fake_peer.answers["/token/"] = Reply(status, b"", {"Location": f"{second_host.url}/token/"})

    response = http.call("POST", f"{fake_peer.url}/token/", data={"code": "c0de"})

    assert response.status == status
    assert second_host.requests == []
    assert len(fake_peer.requests) == 1


@pytest.mark.threat("H6")
@pytest.mark.parametrize("status", CODES)
def test_a_redirect_counts_as_a_failure(
    status: int, fake_peer: FakePeer, second_host: FakePeer, music: Callable[..., Peer]
) -> None:
    fake_peer.answers["/token/"] = Reply(status, b"", {"Location": f"{second_host.url}/token/"})

    with pytest.raises(PeerRefused) as refused:
        token_endpoint.request_token(music(fake_peer.url), {"grant_type": "refresh_token"})

    assert refused.value.status == status
    assert second_host.requests == []


@pytest.mark.threat("H6", "H8")
def test_the_body_of_a_redirect_is_not_read_to_its_end(
    serve: Callable[..., RawServer], settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"HTTP_TOTAL_TIMEOUT_SECONDS": 2.0}
    server = serve(
        flooding(b"HTTP/1.1 302 Found\r\nLocation: https://evil.example/\r\n\r\n", b"x" * 65536)
    )

    assert http.call("POST", f"{server.url}/token/").problem.endswith("more than 65536 bytes.")
