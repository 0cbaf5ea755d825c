"""Measures how many hand-overs per second two sites can handle if nothing fails. A hand-over sends
one reciprocal code from party A to party B.

::

    python -m benchmarks.throughput [--links 1000] [--workers 4] [--database URL]

The benchmark runs two complete sites on this machine. They use real HTTP. Each site has its own
database, and a web server with ``--workers`` processes. Three things are measured:

- Party B accepts hand-overs from four clients at the same time. It does not redeem the codes.
- Party A sends one code for each link, with ``--workers`` processes of ``reciprocal_deliver``.
- Party B redeems these codes at party A, with as many processes, until all links are two-way.
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
#: Each site has only one peer, so the limits for one peer and one user are raised or switched off.
#: Loopback addresses are allowed. All other settings have their defaults.
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
    # Use only people whose tokens have not expired, because the benchmark must not measure the
    # time for refreshing tokens.
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
    """Send one made-up code for each person to party B, and measure how fast party B accepts
    them."""
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
        # The first requests are slow because the server loads modules, so do not measure them.
        list(clients.map(hand_over, crowd[:50]))
        begun = time.perf_counter()
        took = sorted(clients.map(hand_over, crowd))
        seconds = time.perf_counter() - begun
    median, p95 = statistics.median(took), took[int(len(took) * 0.95)]
    print(
        f"B takes  {len(crowd) / seconds:6.0f} hand-overs/s   "
        f"median {median * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms, {CLIENTS} clients"
    )
    # Nobody can redeem these made-up codes, so delete them.
    InboxItem.objects.using(OTHER).all().delete()


def _drain(party_a: Site, party_b: Site, crowd: Sequence[Person], workers: int) -> None:
    """Give the consent of each person at party A. Then measure how fast party A sends the codes,
    and after that, how fast party B redeems them."""
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
            # Start to measure when the first row is done: then the processes have loaded.
            _until(lambda rows=rows: rows.count() < len(crowd))
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
