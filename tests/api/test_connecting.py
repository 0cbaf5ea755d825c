"""Peers that can be connected, and the way there and back from a front end."""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.models import AuthorizationRequest, Link, Peer

from ..fakes import FakePeer
from .conftest import Api, problem

RETURN_TO = "https://front.example/connected"


@pytest.fixture(autouse=True)
def allowed(site: Settings) -> None:
    site.RECIPROCAL_OAUTH = {
        **site.RECIPROCAL_OAUTH,
        "API_RETURN_TO": ["https://front.example", "https://other.example/done?from=site"],
    }


def come_back(front_end: Api, url: str, **answer: str) -> Any:
    state = parse_qs(urlsplit(url).query)["state"][0]
    return front_end.client.get(
        "/connections/music/callback/", {"state": state, **(answer or {"code": "code-of-b"})}
    )


# The peers


def test_the_peers_that_can_be_connected(
    api: Api, peer: Peer, make_peer: Callable[..., Peer]
) -> None:
    make_peer("heating", homepage="https://heating.example/", scope="openid warmth")
    make_peer("off", enabled=False)
    Peer.objects.filter(pk=peer.pk).update(paused_at=timezone.now(), paused_reason="gone")

    assert api.get("/peers/").said == {
        "next": None,
        "previous": None,
        "results": [
            {
                "slug": "heating",
                "name": "Heating",
                "homepage": "https://heating.example/",
                "description": "",
                "logo_url": "",
                "policy_uri": "",
                "tos_uri": "",
                "is_linked": False,
                "is_paused": False,
                "several_accounts": True,
                "asks_for": ["openid", "warmth"],
                "connect_url": "http://testserver/api/reciprocal/peers/heating/connect/",
                "start_url": "http://testserver/api/reciprocal/peers/heating/start/",
            },
            {
                "slug": "music",
                "name": "Music",
                "homepage": "",
                "description": "",
                "logo_url": "",
                "policy_uri": "",
                "tos_uri": "",
                "is_linked": False,
                "is_paused": True,
                "several_accounts": False,
                "asks_for": ["play"],
                "connect_url": "http://testserver/api/reciprocal/peers/music/connect/",
                "start_url": "http://testserver/api/reciprocal/peers/music/start/",
            },
        ],
    }


def test_a_peer_is_linked_for_whom_it_is_linked(
    api: Api, api_with: Callable[..., Api], link: Link, other_user: Any
) -> None:
    assert api.get("/peers/").said["results"][0]["is_linked"] is True
    assert api_with(of=other_user).get("/peers/").said["results"][0]["is_linked"] is False

    Link.objects.update(status="ended")
    assert api.get("/peers/").said["results"][0]["is_linked"] is False


def test_the_list_makes_as_many_queries_for_ten_peers_as_for_one(
    api: Api, peer: Peer, make_peer: Callable[..., Peer], django_assert_num_queries: Any
) -> None:
    with CaptureQueriesContext(connection) as one:
        api.get("/peers/")
    for number in range(9):
        make_peer(f"peer-{number}")

    with django_assert_num_queries(len(one)):
        assert len(api.get("/peers/").said["results"]) == 10


# There


def test_a_front_end_gets_the_address_to_send_the_browser_to(front_end: Api, peer: Peer) -> None:
    response = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO})

    assert response.status_code == 200
    assert response.said["expires_in"] == 1800
    asked = parse_qs(urlsplit(response.said["authorization_url"]).query)
    assert response.said["authorization_url"].startswith(peer.authorization_endpoint)
    assert asked["redirect_uri"] == ["http://testserver/connections/music/callback/"]
    assert asked["code_challenge_method"] == ["S256"]
    assert response["Cache-Control"] == "no-store"


@pytest.mark.threat("L1")
def test_a_token_cannot_begin_a_visit(api: Api, peer: Peer) -> None:
    """The peer's answer is taken in the browser that began it, and a token has none."""
    response = api.post("/peers/music/connect/", {"return_to": RETURN_TO})

    assert problem(response) == (403, "session_required")
    assert "session" in response.said["detail"]
    assert not AuthorizationRequest.objects.exists()


def test_a_peer_that_is_unknown_or_switched_off_cannot_be_connected(
    front_end: Api, make_peer: Callable[..., Peer]
) -> None:
    make_peer("off", enabled=False)

    assert problem(front_end.post("/peers/off/connect/")) == (404, "not_found")
    assert problem(front_end.post("/peers/unknown/connect/")) == (404, "not_found")


# And back


def test_the_person_comes_back_to_the_front_end(front_end: Api, peer: Peer) -> None:
    url = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO}).said[
        "authorization_url"
    ]

    back = come_back(front_end, url)

    link = Link.objects.get()
    assert back.status_code == 303
    assert back["Location"] == f"{RETURN_TO}?peer=music&link={link.pk}"
    assert back["Referrer-Policy"] == "no-referrer"
    said = front_end.get(f"/links/{link.pk}/").said
    assert (said["next_step"], said["outgoing"]["state"]) == ("finish", "active")


def test_the_front_end_is_told_what_went_wrong(front_end: Api, peer: Peer) -> None:
    url = front_end.post(
        "/peers/music/connect/", {"return_to": "https://other.example/done?from=site"}
    ).said["authorization_url"]

    back = come_back(front_end, url, error="access_denied")

    assert back["Location"] == ("https://other.example/done?from=site&peer=music&problem=denied")
    assert not Link.objects.exists()


def test_without_a_place_to_return_to_the_person_goes_on_here(front_end: Api, peer: Peer) -> None:
    url = front_end.post("/peers/music/connect/").said["authorization_url"]

    assert come_back(front_end, url)["Location"].startswith("/connections/links/")


@pytest.mark.parametrize(
    "return_to", ["https://front.example", "https://front.example/", f"{RETURN_TO}/?a=/../b"]
)
def test_an_origin_stands_for_all_that_is_below_it(
    front_end: Api, peer: Peer, return_to: str
) -> None:
    url = front_end.post("/peers/music/connect/", {"return_to": return_to}).said[
        "authorization_url"
    ]

    assert come_back(front_end, url)["Location"].startswith(return_to)


def test_two_visits_return_to_their_own_places(front_end: Api, peer: Peer) -> None:
    urls = [
        front_end.post("/peers/music/connect/", body).said["authorization_url"]
        for body in ({"return_to": f"{RETURN_TO}/1"}, {}, {"return_to": f"{RETURN_TO}/2"})
    ]

    places = [come_back(front_end, url)["Location"].partition("?")[0] for url in urls]

    assert places[0] == f"{RETURN_TO}/1"
    assert places[1].startswith("/connections/")
    assert places[2] == f"{RETURN_TO}/2"


@pytest.mark.threat("L100")
def test_visits_that_begin_at_once_return_to_their_own_places(
    front_end: Api, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins and ends while the first is about to be stored."""
    urls: list[str] = []
    create = AuthorizationRequest.objects.create

    def overtaken(**values: Any) -> AuthorizationRequest:
        monkeypatch.undo()
        urls.append(press("2"))
        return create(**values)

    def press(name: str) -> str:
        body = {"return_to": f"{RETURN_TO}/{name}"}
        return str(front_end.post("/peers/music/connect/", body).said["authorization_url"])

    monkeypatch.setattr(AuthorizationRequest.objects, "create", overtaken)
    urls.insert(0, press("1"))

    places = [come_back(front_end, url)["Location"].partition("?")[0] for url in urls]

    assert places == [f"{RETURN_TO}/1", f"{RETURN_TO}/2"]


@pytest.mark.threat("A6")
@pytest.mark.rfc("9700", "4.11")
@pytest.mark.parametrize(
    "return_to",
    [
        "https://evil.example/",
        "https://front.example.evil.example/",
        "https://front.example@evil.example/",
        "https://front.example:443/",
        "https://front.example:evil@evil.example/",
        "https://front.examples/",
        "https://front.example?x",
        "https://front.example\\@evil.example/",
        "https://front.example/\\evil",
        "https://front.example/#token",
        "https://front.example/a b",
        "https://front.example/\r\nSet-Cookie: a=b",
        "https://front.example/é",
        "\thttps://front.example/",
        "http://front.example/",
        "HTTPS://front.example/",
        "//front.example/",
        "/connections/",
        "javascript:alert(1)",
        "https://other.example/done",
        "https://other.example/done?from=site&more",
        "https://other.example/done?from=site/more",
        "",
        f"https://front.example/{'a' * 300}",
    ],
)
def test_people_are_sent_nowhere_else(front_end: Api, peer: Peer, return_to: str) -> None:
    response = front_end.post("/peers/music/connect/", {"return_to": return_to})

    assert response.status_code in (400, 403)
    if response.status_code == 403:
        assert problem(response) == (403, "return_to_not_allowed")
    assert not AuthorizationRequest.objects.exists()


@pytest.mark.threat("A6")
def test_a_place_that_is_allowed_no_longer_is_not_returned_to(
    front_end: Api, peer: Peer, site: Settings
) -> None:
    url = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO}).said[
        "authorization_url"
    ]
    site.RECIPROCAL_OAUTH = {**site.RECIPROCAL_OAUTH, "API_RETURN_TO": []}

    assert come_back(front_end, url)["Location"].startswith("/connections/links/")


@pytest.mark.threat("A6")
def test_by_default_no_place_is_allowed(front_end: Api, peer: Peer, site: Settings) -> None:
    site.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True, "DISPATCHER": "none"}

    response = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO})

    assert problem(response) == (403, "return_to_not_allowed")


@pytest.mark.threat("L1")
def test_another_browser_is_sent_nowhere(
    front_end: Api, peer: Peer, fake_peer: FakePeer, other_user: Any
) -> None:
    url = front_end.post("/peers/music/connect/", {"return_to": RETURN_TO}).said[
        "authorization_url"
    ]
    victim = Client()
    victim.force_login(other_user)

    response = come_back(Api(victim), url)

    assert (response.status_code, response["Location"]) == (303, "/connections/music/callback/")
    assert victim.get(response["Location"]).status_code == 400
    assert fake_peer.to("/token/") == []


@pytest.mark.parametrize("body", [{"return_to": 1}, {"return_to": None}, {"return_to": []}])
def test_a_place_that_is_no_text_is_refused(front_end: Api, peer: Peer, body: Any) -> None:
    response = front_end.post("/peers/music/connect/", body)

    assert problem(response) == (400, "invalid")
    assert [error["field"] for error in response.said["errors"]] == ["return_to"]
