"""The command ``reciprocal_deliver``. It works on the deliveries that are due (the time for their
next attempt has come): it sends reciprocal codes to peers, redeems the codes of peers, and revokes
tokens at peers."""

import signal
import threading
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db.models import Count

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.delivery.dispatchers import deliver_forever
from reciprocal_oauth.delivery.heartbeat import Kind
from reciprocal_oauth.models import QueueItem
from reciprocal_oauth.status.workers import present_absence

from ._output import as_json

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    """Works on the deliveries that are due, either once or in a loop."""

    help = (
        "Delivers what is due: hands over codes, redeems codes, and revokes tokens at peers. Can "
        "run beside any dispatcher. With DISPATCHER set to “none”, only this command delivers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options of the command."""
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--once", action="store_true", help="deliver what is due now, then exit (default)"
        )
        how.add_argument(
            "--loop",
            type=_seconds,
            metavar="SECONDS",
            help="deliver what is due every SECONDS seconds, until SIGTERM or Ctrl-C",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Work on all deliveries that are due now, and print how many attempts were made. With
        ``--loop``, repeat this until a signal stops the command."""
        if options["loop"] is not None:
            self._loop(options["loop"], options["json"])
            return
        missing = present_absence()  # Before this command gives a sign of life itself.
        attempts = worker.drain(Kind.COMMAND)
        left = _left()
        if options["json"]:
            self.stdout.write(as_json({"attempts": attempts, **left}))
            return
        self.stdout.write(f"{attempts} attempt{'' if attempts == 1 else 's'} made.")
        counts = ", ".join(f"{count} {state}" for state, count in left.items())
        self.stdout.write(f"In the queues: {counts}.")
        if missing and any(left[state] for state in QueueItem.LIVE_STATES):
            told = "No other worker has run lately, so what is left waits for the next run."
            self.stderr.write(self.style.WARNING(f"{told} {missing.remedy}"))

    def _loop(self, seconds: float, json: bool) -> None:
        if not json:
            self.stdout.write(f"Delivering every {seconds:g} s. Press Ctrl-C to stop.")
        with _stop_on_signals() as stop:
            deliver_forever(seconds, stop)
        # Do not count the remaining deliveries here. Counting needs the database, and perhaps the
        # command was stopped because the database does not work.
        self.stdout.write(as_json({"stopped": True}) if json else "Stopped.")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not isfinite(seconds) or seconds <= 0:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds above 0.")
    return seconds


def _left() -> dict[str, int]:
    """Count the unfinished and the failed deliveries of both queues (the outbox and the inbox)
    together. Return a mapping from each of their states to the number of deliveries."""
    state = QueueItem.State
    left = {str(each): 0 for each in (*QueueItem.LIVE_STATES, state.FAILED)}
    for model in worker.models():
        rows = model._default_manager.filter(state__in=left).order_by()
        for found, count in rows.values_list("state").annotate(Count("pk")):
            left[found] += count
    return left


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that is set at the first SIGTERM or Ctrl-C, so that the running attempts can
    finish. After the first signal, the signals have their normal effect again: a second signal ends
    the process immediately."""
    stop = threading.Event()
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        restore()
        # Set the event in another thread. The signal can interrupt stop.wait() while it holds the
        # lock of the event. Then stop.set() in this thread would wait for the lock forever.
        threading.Thread(target=stop.set).start()

    for each in _SIGNALS:
        signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        restore()
