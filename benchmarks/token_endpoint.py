"""Compares the time that party B needs to accept a reciprocal code with the time that DOT needs for
an ordinary exchange of an authorization code.

::

    python -m benchmarks.token_endpoint [--seconds 5]
    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/test python -m benchmarks.token_endpoint

Requests of both kinds are made one after the other in this process, with Django's test client and
the same settings. The benchmark runs twice: first the client secrets are stored with Django's
default hasher, then they are not hashed. The ordinary exchange uses the view and the validator of
DOT. Each reciprocal code is new, and belongs to one of many users. The dispatcher is off, so no
code is redeemed.
"""

import argparse
import os
import secrets
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import include, path
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
    get_refresh_token_model,
)
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.views import TokenView as DOTTokenView
from oauthlib.oauth2 import WebApplicationClient

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import key_of_family
from reciprocal_oauth.provider import verified_secrets
from reciprocal_oauth.secret import Secret
from tests.conftest import PEER_SECRET, basic, post_form

USERS = 400
#: The number of reciprocal codes that are sent for each user. The token endpoint accepts at most
#: this number in one minute.
CODES_PER_USER = 10
TURN_SECONDS = 0.5
VERIFIER = "v" * 64
CALLBACK = "https://client.example/callback/"
PATHS = {"reciprocal": "/o/token/", "dot": "/stock/token/"}


class StockTokenView(DOTTokenView):
    """The token endpoint of DOT, as it works without this app."""

    validator_class = OAuth2Validator


urlpatterns = [
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
    path("stock/token/", StockTokenView.as_view()),
]

Request = Callable[[], Any]


def make_application(client_id: str, hashed: bool) -> Any:
    return get_application_model().objects.create(
        name=client_id,
        client_id=client_id,
        client_secret=PEER_SECRET,
        hash_client_secret=hashed,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris=CALLBACK,
    )


def make_peer(hashed: bool) -> Peer:
    return Peer.objects.create(
        slug="music",
        name="Music",
        authorization_endpoint="https://music.example/authorize/",
        token_endpoint="https://music.example/token/",
        client_id="us",
        client_secret=Secret("ours"),
        allowed_scope="playback",
        application=make_application("peer", hashed),
    )


def make_users() -> list[Any]:
    model = get_user_model()
    return model.objects.bulk_create(
        [model(username=f"user-{number}", password="!") for number in range(USERS)]
    )


def make_links(peer: Peer, users: list[Any]) -> list[str]:
    """Create a link for each user, with valid tokens of the peer. Return the access tokens."""
    access, refresh = get_access_token_model(), get_refresh_token_model()
    raw = []
    for user in users:
        raw.append(secrets.token_urlsafe(30))
        token = access.objects.create(
            user=user,
            application=peer.application,
            token=raw[-1],
            scope="playback",
            expires=timezone.now() + timedelta(hours=1),
        )
        made = refresh.objects.create(
            user=user,
            application=peer.application,
            token=secrets.token_urlsafe(30),
            access_token=token,
            token_family=uuid.uuid4(),
        )
        Link.objects.create(
            user=user,
            peer=peer,
            account_key=key_of_family(made.token_family),
            incoming_state=Link.Incoming.ACTIVE,
            incoming_scope="playback",
            incoming_family=made.token_family,
        )
    return raw


def hand_overs(client_id: str, tokens: list[str]) -> Iterator[Request]:
    """Yield requests that each send one reciprocal code. Each request is for another user than the
    one before, so that no user reaches the limit of codes for one user."""
    for number in range(CODES_PER_USER):
        for token in tokens:
            parameters = {
                "grant_type": GRANT_TYPE,
                "code": f"{number}-{token}",
                "client_id": client_id,
                "access_token": token,
            }
            yield _post("reciprocal", parameters, client_id)


def exchanges(application: Any, users: list[Any]) -> Iterator[Request]:
    """Yield requests that each exchange one authorization code at DOT, with PKCE. The time for the
    creation of the code is not measured."""
    challenge = WebApplicationClient("").create_code_challenge(VERIFIER, "S256")
    for number in count():
        code = f"code-{number}-{secrets.token_urlsafe(16)}"
        get_grant_model().objects.create(
            user=users[number % len(users)],
            application=application,
            code=code,
            expires=timezone.now() + timedelta(minutes=5),
            redirect_uri=CALLBACK,
            scope="playback",
            code_challenge=challenge,
            code_challenge_method="S256",
        )
        parameters = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": VERIFIER,
        }
        yield _post("dot", parameters, application.client_id)


def _post(what: str, parameters: dict[str, str], client_id: str) -> Request:
    headers = basic(client_id, PEER_SECRET)
    return lambda: post_form(Client(), parameters, headers, PATHS[what])


class Measured:
    """The measurement of one kind of request: the time of each request, and the number of SQL
    statements of one request."""

    def __init__(self, requests: Iterator[Request]) -> None:
        self.requests = requests
        self.times: list[float] = []
        # The first request is slower than later ones, so do not measure it.
        _answered(next(requests))
        with CaptureQueriesContext(connection) as queries:
            _answered(next(requests))
        self.statements = len(queries)

    def go_on(self, seconds: float) -> None:
        end = sum(self.times) + seconds
        while sum(self.times) < end:
            request = next(self.requests)
            begun = time.perf_counter()
            _answered(request)
            self.times.append(time.perf_counter() - begun)

    @property
    def per_second(self) -> float:
        return len(self.times) / sum(self.times)

    @property
    def p95(self) -> float:
        """Return the 95th percentile of the times, in seconds."""
        return statistics.quantiles(self.times, n=20)[-1]


def _answered(request: Request) -> None:
    response = request()
    if response.status_code != 200:
        raise SystemExit(f"HTTP {response.status_code}: {response.content[:200]!r}")


def run(seconds: float) -> None:
    users = make_users()
    print(
        f"{os.cpu_count()} cores, {connection.vendor}, Django {django.__version__}, "
        f"{seconds:g} s each, hasher {settings.PASSWORD_HASHERS[0].rsplit('.', 1)[-1]}"
    )
    print(f"{'client secrets':<16}{'what':<24}{'per second':>12}{'p95 ms':>10}{'SQL':>6}")
    for hashed in (True, False):
        peer = make_peer(hashed)
        plain = make_application("plain", hashed)
        verified_secrets.forget()
        ours = Measured(hand_overs("peer", make_links(peer, users)))
        theirs = Measured(exchanges(plain, users))
        for _turn in range(max(round(seconds / TURN_SECONDS), 2)):
            # Measure both kinds in turn for a short time. If another program slows down the
            # machine, this affects both kinds.
            ours.go_on(TURN_SECONDS)
            theirs.go_on(TURN_SECONDS)
        name = "hashed" if hashed else "not hashed"
        for what, result in (("hand-over", ours), ("code exchange of DOT", theirs)):
            print(
                f"{name:<16}{what:<24}{result.per_second:>12.1f}"
                f"{1000 * result.p95:>10.1f}{result.statements:>6}"
            )
        print(f"{name:<16}{'ratio':<24}{ours.per_second / theirs.per_second:>12.1f}")
        Link.objects.all().delete()
        Peer.objects.all().delete()
        get_application_model().objects.all().delete()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each is measured")
    options = parser.parse_args()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    try:
        run(options.seconds)
    finally:
        connection.creation.destroy_test_db(settings.DATABASES["default"]["NAME"], verbosity=0)


if __name__ == "__main__":
    main()
