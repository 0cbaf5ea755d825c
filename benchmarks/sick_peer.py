"""Measures how long deliveries to nine healthy peers wait if a tenth peer does not respond.

::

    python -m benchmarks.sick_peer [--rows 1000]
    TEST_DATABASE_URL=postgres://postgres@127.0.0.1:5432/test python -m benchmarks.sick_peer

One process with several threads and the default settings delivers to ten peers, which run on this
machine and use real HTTP. The deliveries become due one after the other, the same number for each
peer. The benchmark runs twice: first all ten peers respond, and then every request to the tenth
peer hangs until it times out. Each time, it measures the waiting times of the deliveries to the
first nine peers, from the time at which a delivery is due until it is done.
"""

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.settings")
    django.setup()

from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from django.utils import timezone
from oauth2_provider.models import get_application_model

from reciprocal_oauth.delivery.engine import Engine
from reciprocal_oauth.models import OutboxItem, Peer
from reciprocal_oauth.secret import Secret
from tests.fakes import FakePeer, Received, Reply

PEERS = 10
#: The number of deliveries that become due in one second. The threads can deliver many more.
ROWS_PER_SECOND = 20
PATH = "/revoke/"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sick_peer")
    parser.add_argument("--rows", type=int, default=1000)
    rows = parser.parse_args().rows
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": True}
    databases = setup_databases(verbosity=0, interactive=False)
    try:
        print(f"{connection.display_name}, {os.cpu_count()} cores, {rows} rows, {PEERS} peers")
        with fakes() as peers:
            baseline, _most = measure(peers, rows)
            show("all well", baseline)
            over = threading.Event()

            def hang(received: Received) -> Reply:
                over.wait(60)
                return Reply()

            peers[-1].answers[PATH] = hang
            waits, most = measure(peers, rows, over.set)
            show("one hangs", waits)
            print(f"{p95(waits) / p95(baseline):.2f} times the baseline's p95")
            print(f"{most} workers at most were on the one that hangs")
    finally:
        teardown_databases(databases, verbosity=0)


def measure(
    fake_peers: Sequence[FakePeer], rows: int, at_the_end: Callable[[], None] | None = None
) -> tuple[list[float], int]:
    """Deliver ``rows`` rows and measure the waiting times.

    :param at_the_end: a function to call before this function waits for the threads to stop.
    :returns: the waiting times of the rows of all peers except the last one, in seconds; and the
        largest number of threads that were working on rows of the last peer at the same time.
    """
    Peer.objects.all().delete()
    peers = [make_peer(number, fake) for number, fake in enumerate(fake_peers)]
    begun = timezone.now()
    due = [begun + timedelta(seconds=number / ROWS_PER_SECOND) for number in range(rows)]
    OutboxItem.objects.bulk_create(
        OutboxItem(
            kind=OutboxItem.Kind.REVOCATION,
            peer=peers[number % PEERS],
            token=Secret("token"),
            next_attempt_at=at,
            # Store the due time here too, because ``next_attempt_at`` is empty when a row is done.
            created_at=at,
        )
        for number, at in enumerate(due)
    )
    healthy = OutboxItem.objects.exclude(peer=peers[-1])
    held = OutboxItem.objects.filter(peer=peers[-1], state=OutboxItem.State.CLAIMED)
    engine, most = Engine(), 0
    while healthy.exclude(state=OutboxItem.State.DONE).exists():
        most = max(most, held.count())
        time.sleep(0.2)
    times = healthy.values_list("created_at", "finished_at")
    waits = [(finished - due).total_seconds() for due, finished in times if finished]
    if at_the_end is not None:
        at_the_end()
    engine.stop()
    return sorted(waits), most


@contextmanager
def fakes() -> Iterator[Sequence[FakePeer]]:
    made = [FakePeer() for _ in range(PEERS)]
    for fake in made:
        fake.answers[PATH] = Reply()
    try:
        yield made
    finally:
        for fake in made:
            fake.stop()


def make_peer(number: int, fake: FakePeer) -> Peer:
    model = get_application_model()
    application, _made = model.objects.get_or_create(
        client_id=f"peer-{number}",
        defaults={
            "name": f"peer-{number}",
            "client_type": "confidential",
            "authorization_grant_type": "authorization-code",
            "redirect_uris": "https://client.example/callback/",
        },
    )
    return Peer.objects.create(
        slug=f"peer-{number}",
        name=f"Peer {number}",
        authorization_endpoint=f"{fake.url}/authorize/",
        token_endpoint=f"{fake.url}/token/",
        revocation_endpoint=f"{fake.url}{PATH}",
        client_id="us",
        client_secret=Secret("ours"),
        application=application,
    )


def p95(waits: Sequence[float]) -> float:
    return waits[int(len(waits) * 0.95)]


def show(name: str, waits: Sequence[float]) -> None:
    print(
        f"{name:10s} median {statistics.median(waits) * 1000:5.0f} ms, "
        f"p95 {p95(waits) * 1000:5.0f} ms, last {waits[-1] * 1000:5.0f} ms"
    )


if __name__ == "__main__":
    main()
