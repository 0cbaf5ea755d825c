"""Fixtures: the two sites in processes of their own, which can be killed, and a person."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from example_project.driver import Person
from example_project.sites import Site, free_ports, prepare_all, two_sites

from .places import Place, Story

#: How often each test is run: a process that dies does not always leave the same behind.
ROUNDS = int(os.environ.get("KILL_ROUNDS") or 1)
#: Leases are short, so that nobody waits long for the rows of a killed process. A second attempt
#: must not be due before the worker that made the first one has ended.
OUR_SETTINGS = {"LEASE_SECONDS": 0.5, "RETRY_SCHEDULE_SECONDS": [0, *[2] * 9]}

_numbers = count(1)


@pytest.fixture(params=range(1, ROUNDS + 1), autouse=True)
def round_number(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="package")
def places(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[tuple[Place, Place]]:
    """Party A and party B, which serve. Nothing is delivered unless a test has it done."""
    data = tmp_path_factory.mktemp("killing")
    with ExitStack() as stack:
        sites = _sites(data)
        with django_db_blocker.unblock():
            for site in sites:
                stack.enter_context(_Database(site, django_db_blocker))
        prepare_all(*sites)
        a, b = (Place(site) for site in sites)
        for place in (a, b):
            stack.enter_context(place.opened())
            place.serve()
        yield a, b


@pytest.fixture(scope="package")
def strangers(
    tmp_path_factory: pytest.TempPathFactory, django_db_blocker: Any
) -> Iterator[tuple[Place, Place]]:
    """Two sites that are no peers yet. The first one invites, and the second one accepts."""
    data = tmp_path_factory.mktemp("pairing")
    with ExitStack() as stack:
        sites = _sites(data, paired=True)
        with django_db_blocker.unblock():
            for site in sites:
                stack.enter_context(_Database(site, django_db_blocker, "pairing"))
        prepare_all(*sites)
        first, second = (Place(site) for site in sites)
        for place in (first, second):
            stack.enter_context(place.opened())
            place.serve()
        yield first, second


@pytest.fixture
def story(places: tuple[Place, Place]) -> Story:
    """A person whom neither site knows yet."""
    begun = {place: place.log_size() for place in places}
    return Story(*places, Person(f"person-{next(_numbers)}"), begun)


def _sites(data: Path, *, paired: bool = False) -> tuple[Site, Site]:
    env = {
        "RECIPROCAL_DISPATCHER": "none",
        "EXAMPLE_RECIPROCAL_OAUTH": json.dumps(OUR_SETTINGS),
    }
    ports = tuple(free_ports())
    return two_sites(data, ports=ports, env=env, paired=paired)  # type: ignore[arg-type]


class _Database:
    """The database of a site: a file, or one of its own on the server of ``TEST_DATABASE_URL``."""

    def __init__(self, site: Site, blocker: Any, what: str = "killing") -> None:
        self._site, self._blocker = site, blocker
        run = os.environ.get("TEST_DATABASE_SUFFIX", "alone")
        self._name = connection.ops.quote_name(f"{what}_{run}_{site.role.slug}")

    def __enter__(self) -> None:
        if connection.vendor == "sqlite":
            return
        self._drop()
        self._execute(f"CREATE DATABASE {self._name}{_ENCODING.get(connection.vendor, '')}")
        server = urlsplit(os.environ["TEST_DATABASE_URL"])
        self._site.env["DATABASE_URL"] = server._replace(path=f"/{self._name[1:-1]}").geturl()

    def __exit__(self, *exception: object) -> None:
        if connection.vendor != "sqlite":
            self._drop()

    def _drop(self) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {self._name}")

    def _execute(self, statement: str) -> None:
        with self._blocker.unblock(), connection._nodb_cursor() as cursor:
            cursor.execute(statement)


_ENCODING = {"mysql": " CHARACTER SET utf8mb4"}
