"""Workers in several processes find the same access token expired: they send one request to the
peer, and hold no lock meanwhile."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connection, connections

from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import Link

from ..fakes import FakePeer, Received, Reply, token_response

pytestmark = [
    pytest.mark.usefixtures("shared_database"),
    pytest.mark.rfc("6749", "6"),
    pytest.mark.threat("T1"),
]

PROCESSES, THREADS = 5, 2
WORKERS = PROCESSES * THREADS

#: Some workers, which begin together with those of the other processes.
SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
import django
django.setup()
import requests
from django.conf import settings
from django.db import connections
from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import Link

settings.RECIPROCAL_OAUTH = {"DISPATCHER": "none", "HTTP_ALLOW_LOOPBACK": True}

def work(number):
    try:
        link = Link.objects.get()
        requests.post(sys.argv[1] + "/ready/", timeout=60)
        return fresh_access_token(link).reveal()
    finally:
        connections.close_all()

threads = int(sys.argv[2])
with ThreadPoolExecutor(threads) as pool:
    print(*pool.map(work, range(threads)))
"""


@pytest.fixture
def start_together(fake_peer: FakePeer) -> Iterator[None]:
    """The page ``/ready/`` of the peer responds once all workers have requested it."""
    ready = threading.Barrier(WORKERS, timeout=60)

    def answer(received: Received) -> Reply:
        ready.wait()
        return Reply()

    fake_peer.answers["/ready/"] = answer
    yield
    ready.abort()


@pytest.mark.usefixtures("start_together")
def test_workers_in_many_processes_refresh_it_once(expired: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers["/token/"] = token_response(
        access_token="new-token", refresh_token="new-refresh"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, fake_peer.url, str(THREADS)],
            env={
                **os.environ,
                "DJANGO_SETTINGS_MODULE": settings.SETTINGS_MODULE,
                "TEST_DATABASE_URL": _url_of_the_database(),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]

    answers = [process.communicate(timeout=90) for process in processes]

    found = [word for printed, _errors in answers for word in printed.split()]
    assert found == ["new-token"] * WORKERS, [errors for _printed, errors in answers]
    assert len(fake_peer.to("/token/")) == 1
    assert Link.objects.get().refresh_lease_until is None


def test_the_link_can_be_written_while_the_peer_hangs(expired: Link, fake_peer: FakePeer) -> None:
    """Neither a lock nor a transaction is held: another connection does not wait for it."""
    asked, go_on = threading.Event(), threading.Event()

    def hang(received: Received) -> Reply:
        asked.set()
        assert go_on.wait(20)
        return token_response(access_token="new-token", refresh_token="new-refresh")

    fake_peer.answers["/token/"] = hang
    found: list[str] = []

    def work() -> None:
        try:
            found.append(fresh_access_token(Link.objects.get()).reveal())
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert asked.wait(20)
        with connection.cursor() as cursor:
            _give_up_soon(cursor)
            changed = Link.objects.filter(pk=expired.pk).update(account_name="meanwhile")
    finally:
        go_on.set()
        worker.join()
        connection.close()  # The short timeout must not stay.

    assert changed == 1
    assert found == ["new-token"]
    link = Link.objects.get()
    assert (link.account_name, link.refresh_token.reveal()) == ("meanwhile", "new-refresh")


def _give_up_soon(cursor: object) -> None:
    """Make a statement fail after two seconds if it has to wait for a lock."""
    statement = {
        "postgresql": "SET lock_timeout = '2s'",
        "mysql": "SET SESSION innodb_lock_wait_timeout = 2",
        "sqlite": "PRAGMA busy_timeout = 2000",
    }[connection.vendor]
    cursor.execute(statement)  # type: ignore[attr-defined]


def _url_of_the_database() -> str:
    values = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    scheme = {"postgresql": "postgres", "mysql": "mysql"}[connection.vendor]
    user = f"{quote(values['USER'])}:{quote(values['PASSWORD'])}"
    return f"{scheme}://{user}@{values['HOST']}:{values['PORT']}/{values['NAME']}"
