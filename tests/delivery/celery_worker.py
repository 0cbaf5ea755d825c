"""A Celery app in this process, and workers beside it, with a queue that belongs to one test."""

import json
import os
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from reciprocal_oauth.delivery.dispatchers import get_dispatcher

from .processes import Process, running, url_of_the_database

BROKERS = [url for url in os.environ.get("TEST_CELERY_BROKER_URL", "").split(",") if url]
SETTINGS = {"DISPATCHER": "celery", "DISPATCHER_SWEEP_SECONDS": 0.5, "LEASE_SECONDS": 3.0}


@contextmanager
def app_of_the_site(broker: str) -> Iterator[Any]:
    """The Celery app of the web process. The dispatcher must be chosen before."""
    celery = pytest.importorskip("celery")
    get_dispatcher()._paused_until = 0.0  # type: ignore[attr-defined]
    before = celery.current_app._get_current_object()
    app = celery.Celery("web", broker=broker, set_as_current=True)
    name = f"reciprocal-test-{uuid.uuid4().hex[:12]}"
    app.conf.task_default_queue = name
    app.conf.broker_transport_options = {"global_keyprefix": f"{name}:"}
    try:
        yield app
    finally:
        _clean_up(app, name)
        app.close()
        before.set_current()


def _clean_up(app: Any, name: str) -> None:
    with app.connection_for_write() as connection:
        if connection.transport.driver_type == "redis":
            client = connection.default_channel.client
            for key in client.keys(f"{name}:*"):
                client.delete(key.decode().removeprefix(f"{name}:"))
        else:
            connection.default_channel.queue_delete(name)


def worker_beside(
    app: Any,
    directory: Path,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    **values: Any,
) -> AbstractContextManager[Process]:
    """A worker on this test's database and the queue of ``app``.

    :param arguments: of ``celery worker``.
    :param values: of ``RECIPROCAL_OAUTH``.
    """
    command = [sys.executable, "-m", "celery", "-A", "tests.delivery.celery_app", "worker"]
    options = ["--concurrency=2", "--loglevel=INFO", "--without-gossip", "--without-mingle"]
    # Two workers of one name cannot be connected to RabbitMQ at once, and tests may run at once.
    options.append(f"--hostname={uuid.uuid4().hex[:12]}@%h")
    return running(
        [*command, *options, "--scheduler=celery.beat:Scheduler", *arguments],
        {
            "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
            "TEST_DATABASE_URL": url_of_the_database(),
            "CELERY_BROKER_URL": app.conf.broker_url,
            "TEST_CELERY_QUEUE": app.conf.task_default_queue,
            "TEST_RECIPROCAL_OAUTH": json.dumps(SETTINGS | values),
            **(env or {}),
        },
        directory / f"worker-{uuid.uuid4().hex[:6]}.log",
    )
