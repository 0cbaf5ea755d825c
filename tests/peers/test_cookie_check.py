"""The connection check finds out whether a browser sends our cookies to the peer."""

from typing import Any

import pytest

from reciprocal_oauth.models import Peer
from tests.fakes import FakePeer

from .conftest import findings


def our_url(settings: Any, url: str) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "BASE_URL": url}


def test_two_hosts_share_none(good_peer: FakePeer) -> None:
    assert findings()["cookies"] == ("passed", "The sites have different hosts.")


@pytest.mark.rfc("6265", "8.5")
def test_two_ports_of_one_host_do(good_peer: FakePeer, settings: Any) -> None:
    our_url(settings, "http://127.0.0.1:1")

    state, reason = findings()["cookies"]

    assert state == "advice"
    assert "Both sites are on 127.0.0.1." in reason
    assert "SESSION_COOKIE_NAME and CSRF_COOKIE_NAME" in reason


@pytest.mark.parametrize(
    "names",
    [
        {"SESSION_COOKIE_NAME": "us_session", "CSRF_COOKIE_NAME": "us_csrf"},
        {"SESSION_COOKIE_NAME": "us_session", "CSRF_USE_SESSIONS": True},
    ],
)
def test_names_of_their_own_keep_them_apart(
    good_peer: FakePeer, settings: Any, names: dict[str, Any]
) -> None:
    our_url(settings, "http://127.0.0.1:1")
    for name, value in names.items():
        setattr(settings, name, value)

    assert findings()["cookies"][0] == "passed"


@pytest.mark.rfc("6265", "5.1.3")
def test_a_session_for_a_whole_domain_goes_to_the_peer(good_peer: FakePeer, settings: Any) -> None:
    settings.SESSION_COOKIE_DOMAIN = ".us.example"
    Peer.objects.update(homepage="https://shop.us.example/")

    state, reason = findings()["cookies"]

    assert state == "advice"
    assert "to shop.us.example too, because SESSION_COOKIE_DOMAIN is .us.example" in reason


def test_without_a_url_of_this_site_it_is_not_known(good_peer: FakePeer, settings: Any) -> None:
    our_url(settings, "")

    assert findings()["cookies"][0] == "unknown"
