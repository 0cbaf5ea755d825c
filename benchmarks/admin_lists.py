"""Measures how long the pages of the admin take if the database contains many links.

::

    python -m benchmarks.admin_lists [--links 200000] [--keep]
    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/test python -m benchmarks.admin_lists

The benchmark first fills the tables: each link belongs to another user, and has events, hand-overs
and reciprocal codes. Then it requests the admin pages in this process, with Django's test client:
each list without filters, with filters and with searches, a page far down in each list, the
overview, and the page of a link. With ``--keep``, the database is kept and used again next time.
"""

import argparse
import os
import random
import statistics
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import islice
from typing import Any

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    django.setup()

from django.conf import settings
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext, setup_databases, teardown_databases
from django.urls import include, path, reverse
from django.utils import timezone
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import (
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    Party,
    Peer,
    ReciprocalCode,
    Step,
)
from reciprocal_oauth.secret import Secret

PEERS = 10
DAYS = 400
TURNS = 3
BATCH = 5000
STEPS = (Step.A, Step.D, Step.CONSENT, Step.E, Step.F)

urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.admin_lists")
    parser.add_argument("--links", type=int, default=200_000)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    settings.ROOT_URLCONF = "benchmarks.admin_lists"
    databases = setup_databases(
        verbosity=0, interactive=False, keepdb=options.keep, serialized_aliases=()
    )
    try:
        if Link.objects.count() != options.links:
            fill(options.links)
        print(f"{connection.display_name}, {os.cpu_count()} cores, {options.links} links")
        measure()
    finally:
        teardown_databases(databases, verbosity=0, keepdb=options.keep)


# Filling


def fill(count: int) -> None:
    call_command("flush", interactive=False, verbosity=0)
    # The fixed seed gives the same rows in each run.
    chance = random.Random(1)  # noqa: S311
    # Let make_link() set ``created_at`` to times in the past.
    Link._meta.get_field("created_at").auto_now_add = False
    users = get_user_model().objects
    add(users, (users.model(username=f"user-{n}", password="!") for n in range(count)))
    peers = [make_peer(number) for number in range(PEERS)]
    people = users.order_by("pk").values_list("pk", flat=True).iterator()
    links = [make_link(n, pk, chance, peers) for n, pk in enumerate(people)]
    add(Link.objects, links)
    add(LinkEvent.objects, events_of(links))
    add(OutboxItem.objects, (hand_over(link, chance) for link in links))
    add(InboxItem.objects, (received(link, chance) for link in links[::4]))
    add(ReciprocalCode.objects, map(code_of, links))
    users.create_superuser("root", password="root")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE" if connection.vendor != "mysql" else "SELECT 1")


def add(manager: Any, rows: Iterable[Any]) -> None:
    waiting = iter(rows)
    while batch := list(islice(waiting, BATCH)):
        manager.bulk_create(batch)


def make_peer(number: int) -> Peer:
    application = get_application_model().objects.create(
        name=f"peer-{number}",
        client_id=f"peer-{number}",
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://client.example/callback/",
    )
    return Peer.objects.create(
        slug=f"peer-{number}",
        name=f"Peer {number}",
        authorization_endpoint="https://peer.example/authorize/",
        token_endpoint="https://peer.example/token/",
        client_id="us",
        client_secret=Secret("ours"),
        application=application,
    )


def make_link(number: int, user_id: Any, chance: random.Random, peers: Sequence[Peer]) -> Link:
    begun = timezone.now() - timedelta(days=chance.random() * DAYS)
    ended = chance.random() < 0.1
    return Link(
        user_id=user_id,
        peer=chance.choice(peers),
        account_key=f"family:{uuid.UUID(int=number)}",
        subject=f"subject-{number}",
        account_name=f"account-{number}@peer.example",
        status=Link.Status.ENDED if ended else Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ENDED if ended else Link.Outgoing.ACTIVE,
        incoming_state=Link.Incoming.ENDED if ended else Link.Incoming.ACTIVE,
        created_at=begun,
        linked_at=None if ended else begun + timedelta(seconds=5),
        ended_at=min(begun + timedelta(days=chance.random() * 90), timezone.now())
        if ended
        else None,
    )


def events_of(links: Iterable[Link]) -> Iterator[LinkEvent]:
    for link in links:
        for second, step in enumerate(STEPS):
            at = link.created_at + timedelta(seconds=second)
            yield LinkEvent(link=link, at=at, party=Party.A, step=step, generation=1)


def hand_over(link: Link, chance: random.Random) -> OutboxItem:
    state = chance.choices(
        (OutboxItem.State.DONE, OutboxItem.State.FAILED, OutboxItem.State.PENDING), (97, 2, 1)
    )[0]
    has_ended = state != OutboxItem.State.PENDING
    seconds = chance.lognormvariate(1, 2)
    return OutboxItem(
        peer=link.peer,
        link=link,
        generation=1,
        state=state,
        attempts=1,
        created_at=link.created_at,
        finished_at=link.created_at + timedelta(seconds=seconds) if has_ended else None,
        next_attempt_at=timezone.now() if state == OutboxItem.State.PENDING else None,
    )


def received(link: Link, chance: random.Random) -> InboxItem:
    return InboxItem(
        peer=link.peer,
        link=link,
        code_hash=link.pk.hex,
        state=InboxItem.State.DONE,
        next_attempt_at=None,
        created_at=link.created_at,
        finished_at=link.created_at + timedelta(seconds=chance.random()),
    )


def code_of(link: Link) -> ReciprocalCode:
    return ReciprocalCode(
        code_hash=link.pk.hex,
        link=link,
        generation=1,
        application_pk="1",
        state=ReciprocalCode.State.REDEEMED,
        created_at=link.created_at,
        expires_at=link.created_at + timedelta(minutes=10),
    )


# Measuring


def measure() -> None:
    client = Client()
    client.force_login(get_user_model().objects.get(username="root"))
    for name, url in pages():
        times = []
        for _turn in range(TURNS):
            with CaptureQueriesContext(connection) as queries:
                begun = time.perf_counter()
                response = client.get(url)
                times.append(time.perf_counter() - begun)
            assert response.status_code == 200, (url, response.status_code)  # noqa: S101
        print(
            f"{name:44s} median {statistics.median(times) * 1000:5.0f} ms, "
            f"longest {max(times) * 1000:5.0f} ms, {len(queries):2d} queries"
        )


def pages() -> Iterator[tuple[str, str]]:
    link = Link.objects.order_by("pk")[1000]
    peer = Peer.objects.order_by("pk")[0]
    searches = {
        "a user": link.user.get_username(),
        "the ID of a link": str(link.pk),
        "an account": link.account_name,
        "a peer": peer.slug,
        "nothing": "no-such-thing",
    }
    filters = {
        Link: {"status__exact": "ended", "incoming_state__exact": "broken"},
        LinkEvent: {"outcome__exact": "failed", "step__exact": "F"},
        OutboxItem: {"state__exact": "failed", "kind__exact": "revocation"},
        InboxItem: {"state__exact": "failed"},
        ReciprocalCode: {"state__exact": "live"},
    }
    for model, chosen in filters.items():
        names = model._meta.verbose_name_plural
        url = list_of(model)
        yield f"{names}", url
        yield f"{names}, page 500", f"{url}?p=500"
        for name, value in chosen.items():
            yield f"{names}, {name}={value}", f"{url}?{name}={value}"
        of_peer = "link__peer" if model in (LinkEvent, ReciprocalCode) else "peer"
        yield f"{names}, of a peer", f"{url}?{of_peer}__id__exact={peer.pk}"
        for name, text in searches.items():
            yield f"{names}, search for {name}", f"{url}?q={text}"
    yield "peers", list_of(Peer)
    yield "overview", reverse("admin:reciprocal_oauth_peer_overview")
    yield "a link", reverse("admin:reciprocal_oauth_link_change", args=[link.pk])


def list_of(model: Any) -> str:
    return reverse(f"admin:reciprocal_oauth_{model._meta.model_name}_changelist")


if __name__ == "__main__":
    main()
