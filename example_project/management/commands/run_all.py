"""The command ``run_all``. It runs several commands in one process. This is faster than one process
for each command, because the start of Django takes longer than most of the commands."""

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
    """Wait until the parent process ends, and then stop this process. If the parent is killed, it
    cannot stop this process itself."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os.kill(os.getpid(), signal.SIGTERM)
