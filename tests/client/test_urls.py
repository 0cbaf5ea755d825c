"""Which URLs are taken for endpoints: when an administrator saves them, and again when they are
called."""

from collections.abc import Callable

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from reciprocal_oauth.client import http
from reciprocal_oauth.core.peer_urls import url_problem
from reciprocal_oauth.exceptions import AddressRefused
from reciprocal_oauth.models import Peer

from ..names import Names
from .bad_urls import BAD

#: What only requests finds fault with.
ONLY_AT_THE_CALL = {"a label that begins with a dot"}


@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("H3")
@pytest.mark.parametrize("fault", [fault for fault in BAD if fault not in ONLY_AT_THE_CALL])
def test_a_bad_url_is_refused_when_it_is_saved(fault: str, make_peer: Callable[..., Peer]) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(token_endpoint=BAD[fault], revocation_endpoint=BAD[fault])

    assert {"token_endpoint", "revocation_endpoint"} <= refused.value.message_dict.keys()


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("H3")
@pytest.mark.parametrize("fault", BAD)
def test_a_bad_url_is_refused_when_it_is_called(
    fault: str, names: Names, connected_to: list[object]
) -> None:
    names.resolve("peer.example", "93.184.216.34")

    with pytest.raises(AddressRefused) as refused:
        http.call("POST", BAD[fault], data={"code": "c0de"})

    assert connected_to == []
    assert "pass@" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://peer.example/token/",
        "https://peer.example:8443/token/?tenant=1",
        "https://127.0.0.1/token/",
    ],
)
def test_an_https_url_is_taken(url: str) -> None:
    assert url_problem(url, allow_loopback=False) is None


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost", "music.localhost:1", "[::1]:80"])
def test_plain_http_is_for_this_machine_and_only_where_the_settings_allow_it(host: str) -> None:
    assert url_problem(f"http://{host}/token/", allow_loopback=True) is None
    assert url_problem(f"http://{host}/token/", allow_loopback=False) is not None


@pytest.mark.parametrize(
    "host", ["localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "evillocalhost"]
)
def test_a_host_that_looks_like_this_machine_is_not(host: str) -> None:
    assert url_problem(f"http://{host}/token/", allow_loopback=True) is not None


def test_loopback_over_https_is_refused_too_where_it_is_not_allowed(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": False}

    with pytest.raises(AddressRefused):
        http.call("GET", "https://localhost/")
