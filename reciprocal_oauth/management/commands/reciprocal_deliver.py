"""Works on what is due: codes to hand over, codes to redeem, tokens to revoke at a peer."""

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
from reciprocal_oauth.models import QueueItem

from ._output import as_json

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Command(BaseCommand):
    help = (
        "Carries hand-overs through. Can run beside any dispatcher; with DISPATCHER set to “none” "
        "it is the only one that delivers."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--once", action="store_true", help="work on what is due now, then end (the default)"
        )
        how.add_argument(
            "--loop",
            type=_seconds,
            metavar="SECONDS",
            help="look for what is due every so many seconds, until SIGTERM or Ctrl-C",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"] is not None:
            self._loop(options["loop"], options["json"])
            return
        attempts = worker.drain()
        left = _left()
        if options["json"]:
            self.stdout.write(as_json({"attempts": attempts, **left}))
            return
        self.stdout.write(f"{attempts} attempt{'' if attempts == 1 else 's'} made.")
        counts = ", ".join(f"{count} {state}" for state, count in left.items())
        self.stdout.write(f"In the queues: {counts}.")

    def _loop(self, seconds: float, json: bool) -> None:
        if not json:
            self.stdout.write(f"Delivering every {seconds:g} s. Ctrl-C ends it.")
        with _stop_on_signals() as stop:
            deliver_forever(seconds, stop)
        # Nothing is read from the database any more: it may be the reason for stopping.
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
    """How many rows of both queues wait, are being worked on, wait to be used, or are given up."""
    state = QueueItem.State
    left = {str(each): 0 for each in (*QueueItem.LIVE_STATES, state.FAILED)}
    for model in worker.models():
        rows = model._default_manager.filter(state__in=left).order_by()
        for found, count in rows.values_list("state").annotate(Count("pk")):
            left[found] += count
    return left


@contextmanager
def _stop_on_signals() -> Iterator[threading.Event]:
    """An event that the first SIGTERM or Ctrl-C sets: what is being worked on is finished and
    recorded. The second one ends the process as usual."""
    stop = threading.Event()
    before = {each: signal.getsignal(each) for each in _SIGNALS}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def on_signal(number: int, frame: object) -> None:
        restore()
        # The signal may come while this thread holds the event's lock, in wait().
        threading.Thread(target=stop.set).start()

    for each in _SIGNALS:
        signal.signal(each, on_signal)
    try:
        yield stop
    finally:
        restore()
