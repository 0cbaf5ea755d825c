"""Three peers, each with secrets of its own: none ever sees those of another."""

import base64
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests
import time_machine
from django.db import transaction
from django.test import Client
from django.utils import timezone

import reciprocal_oauth
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import pausing, worker
from reciprocal_oauth.exceptions import ReciprocalError
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import KEY_UNKNOWN
from reciprocal_oauth.party_a import consent
from reciprocal_oauth.party_b.link_opening import open_link
from reciprocal_oauth.secret import Secret

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply, token_response
from ..names import Names

pytestmark = pytest.mark.django_db(transaction=True)

SLUGS = ["music", "films", "books"]


def _url(slug: str, site: FakePeer) -> str:
    """A host for each: it is by the host that a session knows where its token may go."""
    return site.url.replace("127.0.0.1", f"{slug}.localhost")


def _of(slug: str, what: str) -> str:
    return f"c4nary.{what}.{slug}"


@pytest.fixture
def sites(names: Names) -> Iterator[dict[str, FakePeer]]:
    sites = {slug: FakePeer() for slug in SLUGS}
    for slug in sites:
        names.resolve(f"{slug}.localhost", "127.0.0.1")
    yield sites
    for site in sites.values():
        site.stop()


@pytest.fixture
def links(
    sites: dict[str, FakePeer],
    make_peer: Callable[..., Peer],
    user: Any,
) -> list[Link]:
    """Alice has a link with each of them and tokens there; the site of each gives new ones."""
    made = []
    for slug, site in sites.items():
        peer = make_peer(slug, _url(slug, site), client_secret=Secret(_of(slug, "secret")))
        made.append(
            Link.objects.create(
                user=user,
                peer=peer,
                account_key=KEY_UNKNOWN,
                outgoing_state=Link.Outgoing.ACTIVE,
                access_token=Secret(_of(slug, "access")),
                refresh_token=Secret(_of(slug, "refresh")),
                access_token_expires_at=timezone.now() + timedelta(hours=1),
                outgoing_scope="play",
                incoming_state=Link.Incoming.OFFERED,
                offered_scope="profile playback",
            )
        )
    return made


Script = Callable[[str, Received], Reply]


def _answers_tokens(slug: str, received: Received) -> Reply:
    return token_response(
        access_token=_of(slug, "new-access"), refresh_token=_of(slug, "new-refresh")
    )


def _sends_us_on(to: str) -> Script:
    return lambda slug, received: Reply(307, b"", {"Location": f"{to}{received.path}"})


def _refuses(slug: str, received: Received) -> Reply:
    return Reply.json(400, error="invalid_grant")


def _wants_a_login(slug: str, received: Received) -> Reply:
    return Reply(401, b"", {"WWW-Authenticate": "Bearer"})


def _deliver_everything() -> None:
    """A peer that wants a login is paused, and resumed for the next row, until none is left."""
    worker.drain()
    while paused := Peer.objects.filter(paused_at__isnull=False):
        for peer in paused:
            pausing.resume(peer)
        worker.drain()


@pytest.mark.threat("H12", "H6")
@pytest.mark.parametrize("mood", ["well", "sent on", "refused", "401"])
def test_no_peer_sees_a_secret_of_another(
    mood: str,
    links: list[Link],
    sites: dict[str, FakePeer],
    user: Any,
    other_user: Any,
    make_token: Callable[..., Any],
) -> None:
    """Each is handed a code, hands us one, is called as alice, has a token refreshed and one given
    back; whatever it answers."""
    for n, (slug, site) in enumerate(sites.items()):
        other = SLUGS[n - 1]
        script = {
            "well": _answers_tokens,
            "sent on": _sends_us_on(_url(other, sites[other])),
            "refused": _refuses,
            "401": _wants_a_login,
        }[mood]
        for path in ("/token/", "/revoke/", "/api/"):
            site.answers[path] = lambda received, slug=slug, say=script: say(slug, received)
    for link in links:
        slug, application = link.peer.slug, link.peer.application
        consent.allow(link, ["playback"])
        token = make_token(application, other_user)
        with transaction.atomic():
            open_link(link.peer, other_user.pk, "playback", token.family)
        taken = post_form(
            Client(),
            {
                "grant_type": GRANT_TYPE,
                "code": _of(slug, "code"),
                "client_id": application.client_id,
                "access_token": token.raw,
            },
            basic(application.client_id, PEER_SECRET),
        )
        assert taken.status_code == 200, taken.content
    _deliver_everything()
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        for link in links:
            _call_as_alice(user, link.peer, sites)
            for each in Link.objects.filter(peer=link.peer):
                lifecycle.end_link(each, Link.Reason.REVOKED_HERE, revoke_outgoing=True)
        _deliver_everything()

    for slug, site in sites.items():
        heard = "\n".join(_text_of(each) for each in site.requests)
        assert _of(slug, "secret") in heard
        assert _of(slug, "access") in heard
        assert _of(slug, "code") in heard
        assert set(re.findall(r"c4nary\.[a-z-]+\.([a-z]+)", heard)) == {slug}
        codes = {each.form["code"] for each in site.to("/token/") if "code" in each.form}
        others = [each for name in SLUGS if name != slug for each in sites[name].requests]
        assert [each for each in others if any(code in each.body for code in codes)] == []


def _text_of(received: Received) -> str:
    """All of a request, with its Basic credentials as they are."""
    scheme, _, value = received.headers.get("Authorization", "").partition(" ")
    credentials = base64.b64decode(value).decode() if scheme == "Basic" else value
    return f"{received.path} {received.headers} {credentials} {received.body}"


def _call_as_alice(user: Any, peer: Peer, sites: dict[str, FakePeer]) -> None:
    """At its own API, and at those of the others."""
    for slug, site in sites.items():
        try:
            reciprocal_oauth.get_session_for(user, peer).get(f"{_url(slug, site)}/api/")
        except (ReciprocalError, requests.RequestException):
            continue
