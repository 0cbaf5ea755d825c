"""Runs several commands in one process: to start Django takes longer than most of them."""

import json
import os
import signal
import sys
import threading
import time
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = (
        "Runs the commands in the JSON array of arrays on standard input, one after the other. "
        "Ends when the process EXAMPLE_ENDS_WITH, which started it, has ended."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if parent := os.environ.get("EXAMPLE_ENDS_WITH"):
            threading.Thread(target=_end_after, args=[int(parent)], daemon=True).start()
        for name, *arguments in json.load(sys.stdin):
            call_command(name, *arguments)


def _end_after(parent: int) -> None:
    """Stop this process when its parent ends: nothing else stops it after the parent was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
