"""How many hand-overs two sites can handle when nothing fails.

::

    python -m benchmarks.throughput [--links 1000] [--workers 4] [--database URL]

Two whole sites, each with a database of its own and a web server of ``--workers`` processes, over
real HTTP on this machine, which the sites and the client share:

- party B accepts hand-overs from four clients at once, and does not redeem them yet;
- party A works on the same number of outbox rows, with ``--workers`` processes of
  ``reciprocal_deliver``;
- party B's workers redeem them at party A, until all links are two-way.
"""

import argparse
import contextlib
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests

from example_project.sites import MANAGE_PY, Site, free_ports, prepare_all
from tests.faults.databases import created, set_up_django, urls
from tests.faults.dispatchers import None_
from tests.faults.plan import OTHER, SCOPES_HERE, STARTS, Person, people
from tests.faults.sites import make_sites, web_server

CLIENTS = 4
LIMIT_SECONDS = 600
#: The default schedules. There is only one peer, so its limits are raised.
SETTINGS = '{"HTTP_ALLOW_LOOPBACK": true, "DELIVERIES_PER_PEER": 64, "HANDOVERS_PER_MINUTE": 0}'


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.throughput")
    parser.add_argument("--links", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--database", default="", metavar="URL", help="default: SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="throughput-") as data:
        measure(options.links, options.workers, options.database, Path(data))


def measure(links: int, workers: int, database: str, data: Path) -> None:
    databases = urls(database, data)
    set_up_django(databases)
    from django.db import connections

    arrangement = None_(workers)
    arrangement.web_processes = workers
    ports = free_ports(2)
    party_a, party_b = make_sites(data, databases, arrangement, (ports[0], ports[1]), ports)
    for site in (party_a, party_b):
        site.env["EXAMPLE_RECIPROCAL_OAUTH"] = SETTINGS
        site.env["EXAMPLE_LOG_LEVEL"] = "WARNING"
        site.reached_at = site.url
    # Nobody's token has run out: a refresh is not what is measured.
    crowd = [each for each in people(1, 2 * links) if not each.has_run_out][:links]
    with created(databases), contextlib.ExitStack() as stack:
        from tests.faults.population import populate

        prepare_all(party_a, party_b)
        populate(crowd)
        for site in (party_a, party_b):
            stack.enter_context(_running([web_server(site, arrangement)], site))
            _until(lambda site=site: _answers(site))
        print(f"{connections[STARTS].display_name}, {os.cpu_count()} cores, {links} links")
        _take(party_b, crowd)
        _drain(party_a, party_b, crowd, workers)


def _take(party_b: Site, crowd: Sequence[Person]) -> None:
    """Party B takes one code for each person."""
    from reciprocal_oauth.core.protocol import GRANT_TYPE
    from reciprocal_oauth.models import InboxItem

    client_id, secret = party_b.other.client_id, party_b.other.client_secret

    def hand_over(person: Person) -> float:
        begun = time.perf_counter()
        answer = requests.post(
            f"{party_b.url}/o/token/",
            {
                "grant_type": GRANT_TYPE,
                "code": secrets.token_urlsafe(32),
                "client_id": client_id,
                "access_token": person.access_token,
            },
            auth=(client_id, secret),
            timeout=30,
        )
        answer.raise_for_status()
        return time.perf_counter() - begun

    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(hand_over, crowd[:50]))  # The processes load what they need.
        begun = time.perf_counter()
        took = sorted(clients.map(hand_over, crowd))
        seconds = time.perf_counter() - begun
    median, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    print(
        f"B takes  {len(crowd) / seconds:6.0f} hand-overs/s   "
        f"median {median * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, {CLIENTS} clients"
    )
    # These codes are made up.
    InboxItem.objects.using(OTHER).all().delete()


def _drain(party_a: Site, party_b: Site, crowd: Sequence[Person], workers: int) -> None:
    """Party A sends what all of them allow, then party B redeems it."""
    from reciprocal_oauth.models import InboxItem, Link, OutboxItem
    from reciprocal_oauth.party_a import consent

    for person in crowd:
        link = Link.objects.select_related("peer").get(user__username=person.name)
        consent.allow(link, SCOPES_HERE)
    waiting = OutboxItem.objects.using(STARTS).filter(state__in=("pending", "claimed"))
    deliver = [sys.executable, str(MANAGE_PY), "reciprocal_deliver", "--loop", "0.2"]
    for who, name, rows in (
        (party_a, "A sends", waiting),
        (
            party_b,
            "B redeems",
            InboxItem.objects.using(OTHER).filter(state__in=("pending", "claimed")),
        ),
    ):
        with _running([deliver] * workers, who):
            _until(lambda rows=rows: rows.count() < len(crowd))  # They have loaded.
            left, begun = rows.count(), time.perf_counter()
            _until(lambda rows=rows: not rows.exists())
            rate = left / (time.perf_counter() - begun)
        print(f"{name:9s}{rate:6.0f} rows/s          {workers} workers")
    linked = Link.objects.using(STARTS).filter(linked_at__isnull=False).count()
    print(f"{linked} of {len(crowd)} links are two-way")


@contextlib.contextmanager
def _running(commands: Sequence[Sequence[str]], site: Site) -> Iterator[None]:
    with site.log_path.open("ab") as log:
        started = [
            subprocess.Popen(each, env=site.env, stdout=log, stderr=log)  # noqa: S603
            for each in commands
        ]
    try:
        yield
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(30)


def _answers(site: Site) -> bool:
    with contextlib.suppress(requests.RequestException):
        requests.get(f"{site.url}/o/token/", timeout=5)
        return True
    return False


def _until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT_SECONDS
    while not is_true():
        if time.monotonic() > end:
            raise TimeoutError(f"It was not over after {LIMIT_SECONDS} s.")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
