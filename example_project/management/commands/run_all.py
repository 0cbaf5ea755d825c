"""The command ``run_all``. It runs several commands in one process. This is faster than one process
for each command, because the start of Django takes longer than most of the commands."""

import json
import sys
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand

from ...servers import end_with_parent


class Command(BaseCommand):
    help = (
        "Runs the commands in the JSON array of arrays on standard input, one after the other. "
        "Ends when the process EXAMPLE_ENDS_WITH, which started it, has ended."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        for name, *arguments in json.load(sys.stdin):
            call_command(name, *arguments)
