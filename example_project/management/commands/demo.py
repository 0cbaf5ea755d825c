"""The command ``demo``. It starts both sites on this machine and pairs them. A person can then use
them with a browser; with ``--auto``, a program does this and prints each step. With ``--vendors``,
the command starts the music service and stand-ins for three vendors instead, and a program uses
them."""

import contextlib
import shlex
import signal
import tempfile
import time
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...pairing import pair
from ...roles import ASSISTANT, MUSIC
from ...sites import Site, SiteError, port_is_free, running, two_sites
from ...vendors.processes import music_and_stand_ins
from ...vendors.walkthrough import VendorWalkthrough
from ...walkthrough import Walkthrough, WalkthroughFailed


class Stopped(Exception):
    """A signal has asked the demo to stop."""


class Command(BaseCommand):
    help = (
        f"Starts the assistant and the music service on 127.0.0.1 (ports {ASSISTANT.port} and "
        f"{MUSIC.port}), until Ctrl-C."
    )
    # Make no system checks. This process does not use the database in the environment, because each
    # site runs in its own process with its own database.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--ports",
            nargs=2,
            type=_port,
            metavar=("ASSISTANT", "MUSIC"),
            help="other ports; with --vendors, only the second one is used",
        )
        parser.add_argument(
            "--data",
            type=Path,
            metavar="DIR",
            help="keep databases and logs in this directory; used again if it has some already",
        )
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--auto",
            action="store_true",
            help="link both ways as a person with a browser would, call both APIs, then end",
        )
        what.add_argument(
            "--vendors",
            action="store_true",
            help="link the music service with stand-ins for SmartThings, Alexa and Google, as a "
            "person with a browser would, then end; on ports that are free",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ports = options["ports"] or (ASSISTANT.port, MUSIC.port)
        if ports[0] == ports[1]:
            raise CommandError("--ports: Each site needs a port of its own.")
        if options["vendors"]:
            # Without --ports, take free ones: the demo of the two sites may run at the same time.
            ports = ports[1:] if options["ports"] else ()
        for port in ports:
            if not port_is_free(port):
                raise CommandError(f"Port {port} is taken. Choose others: demo --ports 9001 9002")
        with _ended_by_signals(), _data(options["data"]) as data:
            if options["vendors"]:
                self._run_vendors(data, *ports)
            else:
                self._run(data, ports, auto=options["auto"])

    def _run_vendors(self, data: Path, port: int | None = None) -> None:
        begun = time.monotonic()
        music, *vendors = servers = music_and_stand_ins(data, port=port)
        self.stdout.write("Making a database, users and peers, and starting the servers …")
        try:
            with running(*servers, prepare=True):
                self._say_site(music)
                for vendor in vendors:
                    self.stdout.write(f"{vendor.name:<11} {vendor.url}/   (a stand-in)")
                self.stdout.write(f"{'Data':<11} {data}\n\n")
                VendorWalkthrough(*servers, self.stdout.write).run()
            self.stdout.write(f"Done in {time.monotonic() - begun:.1f} s.")
        except Stopped:
            self.stdout.write("All servers are stopped.")
        except (SiteError, WalkthroughFailed) as failed:
            raise CommandError(str(failed)) from None

    def _run(self, data: Path, ports: tuple[int, int], *, auto: bool) -> None:
        begun = time.monotonic()
        assistant, music = two_sites(data, ports=ports, paired=True)
        self.stdout.write("Making databases and users, and starting both sites …")
        try:
            with running(assistant, music, prepare=True):
                self._say_where(assistant, music, data)
                pair(assistant, music, self.stdout.write)
                if auto:
                    Walkthrough(assistant, music, self.stdout.write).run()
                    self.stdout.write(f"Done in {time.monotonic() - begun:.1f} s.")
                else:
                    self._wait(assistant, music)
        except Stopped:
            self.stdout.write("Both sites are stopped.")
        except (SiteError, WalkthroughFailed) as failed:
            raise CommandError(str(failed)) from None

    def _say_where(self, assistant: Site, music: Site, data: Path) -> None:
        for site in (assistant, music):
            self._say_site(site)
        self.stdout.write(f"{'Data':<11} {data}\n\n")

    def _say_site(self, site: Site) -> None:
        self.stdout.write(f"{site.role.name:<11} {site.url}/   ({site.role.what})")

    def _say_how(self, site: Site) -> None:
        """Print how to run a management command on ``site``."""
        names = ("DJANGO_DEBUG", "EXAMPLE_SITE", "EXAMPLE_DATA")
        setting = " ".join(f"{name}={shlex.quote(site.env[name])}" for name in names)
        self.stdout.write(f"Commands run on {site} with:\n  {setting} python manage.py …\n")

    def _wait(self, *sites: Site) -> None:
        self.stdout.write(
            f"Open {sites[0].url}/ and sign in as alice, with the password alice.\n"
            "admin, with the password admin, may use the admin of either site.\n"
        )
        for site in sites:
            self._say_how(site)
        first = sites[0]
        self.stdout.write(
            "An app on this machine connects the other site through the API:\n"
            f"  python -m example_project.phone_app {first.url} {first.role.other.slug}\n"
        )
        self.stdout.write("Ctrl-C stops both.\n")
        self.stdout.flush()
        while True:
            time.sleep(0.5)
            for site in sites:
                if not site.is_running:
                    raise SiteError(f"{site} has ended.\n{site.log_tail()}")


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise ArgumentTypeError(f"{text!r} is not a port.")
    return int(text)


@contextlib.contextmanager
def _data(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise CommandError(f"--data {directory}: {error.strerror}.") from None
        yield directory.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="reciprocal-demo-") as temporary:
        yield Path(temporary)


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal stop the demo. A second signal does not interrupt
    the clean-up."""

    def stop(number: int, frame: object) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        raise Stopped

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.getsignal(each) for each in numbers}
    for each in numbers:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each in numbers:
            signal.signal(each, before[each])
