"""A run from beginning to end."""

import contextlib
import json
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from django.db import connections

from example_project.sites import Site, free_ports, prepare_all

from .databases import created, set_up_django, urls
from .dispatchers import ARRANGEMENTS, Arrangement
from .plan import OTHER, SCOPES_HERE, SCOPES_THERE, STARTS, Person, people
from .processes import Crew, Process, crew
from .proxy import Call, read_calls
from .report import INVARIANTS, Report
from .sites import SHORT, SHORT_AND_FIRST, access_log, make_sites, web_server

#: Processes in which people decide.
DECIDERS = 2
LOOK_SECONDS = 0.5
SAY_SECONDS = 10.0
START_SECONDS = 60
PAGE_SECONDS = 5


@dataclass(frozen=True)
class Options:
    links: int
    seed: int
    database: str
    dispatcher: str
    workers: int
    share: float
    kill_every: float
    limit: float
    dialect: str = "ietf"

    @property
    def redeems_first(self) -> bool:
        return self.dialect == "ietf-first"

    @property
    def short(self) -> Mapping[str, Any]:
        """Settings of both sites."""
        return SHORT_AND_FIRST if self.redeems_first else SHORT


@dataclass
class Run:
    """What the steps of a run work with."""

    options: Options
    data: Path
    people: Sequence[Person]
    arrangement: Arrangement
    sites: tuple[Site, Site]
    proxy_ports: tuple[int, int]
    crew: Crew
    report: Report

    @property
    def calls_log(self) -> Path:
        return self.data / "calls.jsonl"

    @property
    def own_log(self) -> Path:
        return self.data / "harness.log"


def run(options: Options, data: Path) -> Report:
    """Link the people of ``options``, with files in ``data``."""
    arrangement = ARRANGEMENTS[options.dispatcher](options.workers)
    databases = urls(options.database, data)
    set_up_django(databases)
    *ports, proxy_a, proxy_b = free_ports(4)
    sites = make_sites(
        data, databases, arrangement, (ports[0], ports[1]), (proxy_a, proxy_b), options.short
    )
    if options.redeems_first:
        for site in sites:
            speak = ("reciprocal_peer", "add", site.role.other.slug, f"--dialect={options.dialect}")
            # Amazon and SmartThings have no revocation endpoint. Ours would take the revocation of
            # tokens that came too late for "the person has disconnected".
            without = ("--revocation-endpoint=",) if site.role.slug == OTHER else ()
            site.more_preparations = ((*speak, *without),)
    with created(databases), crew(options.seed) as processes:
        report = Report(
            options.links,
            options.seed,
            connections[STARTS].display_name,
            options.dispatcher,
            options.workers,
            options.dialect,
        )
        running = Run(
            options,
            data,
            people(options.seed, options.links),
            arrangement,
            sites,
            (proxy_a, proxy_b),
            processes,
            report,
        )
        _say(running, "preparing")
        _prepare(running)
        used_before = _used_by_children()
        _start(running)
        _say(running, "running")
        _decide_and_wait(running)
        processes.stop()
        report.cpu_seconds = _used_by_children() - used_before
        _say(running, "checking")
        _check(running)
    return report


def _used_by_children() -> float:
    """Processor time of all processes that were started and have ended, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _prepare(running: Run) -> None:
    from .population import populate

    prepare_all(*running.sites)
    populate(running.people)


def _start(running: Run) -> None:
    routes = [
        {"to": site.role.slug, "port": port, "site_port": site.port}
        for site, port in zip(running.sites, running.proxy_ports, strict=True)
    ]
    options = running.options
    config = {"routes": routes, "share": options.share, "seed": options.seed}
    config["log"] = str(running.calls_log)
    env = running.sites[0].env
    proxy = [sys.executable, "-m", "tests.faults.proxy", json.dumps(config)]
    running.crew.start(Process("proxy", proxy, env, running.own_log))
    for site in running.sites:
        _start_site(running, site)
    for site in running.sites:
        _wait_until_ready(site)


def _start_site(running: Run, site: Site) -> None:
    server = web_server(site, running.arrangement)
    name = site.role.slug
    # The vendor is not ours: how it comes through the loss of a process is its own affair.
    is_mortal = not (running.options.redeems_first and name == STARTS)
    running.crew.start(
        Process(
            f"server of {name}",
            server,
            site.env,
            site.log_path,
            is_server=True,
            is_mortal=is_mortal,
        )
    )
    for program in running.arrangement.programs():
        running.crew.start(
            Process(f"worker of {name}", program, site.env, site.log_path, is_mortal=is_mortal)
        )


def _wait_until_ready(site: Site) -> None:
    give_up = time.monotonic() + START_SECONDS
    while not _visit(site):
        if time.monotonic() > give_up:
            raise RuntimeError(f"{site} does not answer.\n{site.log_tail()}")
        time.sleep(0.1)


def _visit(site: Site) -> bool:
    """Look at a page, as somebody does all the time: in a process that nobody asks for anything,
    the ``thread`` dispatcher does not begin.

    :returns: whether there was an answer.
    """
    with contextlib.suppress(requests.RequestException):
        page = f"{site.url}/.well-known/oauth-authorization-server"
        requests.get(page, headers={"Connection": "close"}, timeout=PAGE_SECONDS)
        return True
    return False


def _decide_and_wait(running: Run) -> None:
    """Let the people decide, kill a process now and then, and wait until nothing is under way."""
    options, report, processes = running.options, running.report, running.crew
    begun = time.monotonic()
    deciders = list(_deciders(running))
    next_kill = begun + options.kill_every
    next_word = begun + SAY_SECONDS
    quiet = 0
    while quiet < 2:
        time.sleep(LOOK_SECONDS)
        now = time.monotonic()
        processes.look_at_memory()
        processes.revive()
        for site in running.sites:
            _visit(site)
        if options.kill_every and now >= next_kill:
            processes.kill_one()
            next_kill += options.kill_every
        if now >= next_word:
            _say(running, _progress())
            next_word += SAY_SECONDS
        decided = all(each.has_ended for each in deciders)
        quiet = quiet + 1 if decided and not _under_way() else 0
        if now - begun > options.limit:
            report.problems.append(f"not quiet after {options.limit:.0f} s: {_under_way()} rows")
            break
    report.seconds = time.monotonic() - begun
    _collect(running, deciders)


def _deciders(running: Run) -> Iterator[Process]:
    site, options = running.sites[0], running.options
    for part in range(DECIDERS):
        numbers = [options.seed, options.links, part, DECIDERS]
        command = [sys.executable, "-m", "tests.faults.people", *map(str, numbers)]
        env = {**site.env, "RECIPROCAL_DISPATCHER": "none"}
        process = Process("people", command, env, site.log_path, output=subprocess.PIPE)
        yield running.crew.start(process)


def _collect(running: Run, deciders: Sequence[Process]) -> None:
    did: Counter[str] = Counter()
    for process in deciders:
        if process.running.poll() != 0:
            running.report.problems.append("people have not decided")
            continue
        said = json.loads(process.running.stdout.read())
        did.update(said["did"])
        running.report.problems += said["failed"]
    running.report.decisions = dict(did)


def _under_way() -> int:
    from reciprocal_oauth.models import InboxItem, OutboxItem, QueueItem

    return sum(
        model.objects.using(site).filter(state__in=QueueItem.LIVE_STATES).count()
        for model in (InboxItem, OutboxItem)
        for site in (STARTS, OTHER)
    )


def _progress() -> str:
    from reciprocal_oauth.models import Link

    done = Link.objects.using(STARTS).filter(linked_at__isnull=False).count()
    return f"{done} linked, {_under_way()} rows under way"


def _check(running: Run) -> None:
    from reciprocal_oauth.models import InboxItem, OutboxItem

    from . import traces
    from .both import BothSites, Side, given_up
    from .invariants import OneSite

    report, calls = running.report, read_calls(str(running.calls_log))
    report.broken = {name: [] for name in INVARIANTS}
    short = running.options.short
    limits = {
        OutboxItem: len(short["RETRY_SCHEDULE_SECONDS"]),
        InboxItem: len(short["REDEMPTION_SCHEDULE_SECONDS"]),
    }
    logins = {each.family for each in running.people}
    for site, scopes in ((STARTS, SCOPES_HERE), (OTHER, SCOPES_THERE)):
        one = OneSite(site, scopes, limits, short["LEASE_SECONDS"], logins)
        for name, found in one.check().items():
            report.broken[name] += [f"{site}: {each}" for each in found]
    both = BothSites(running.people, Side.read(STARTS), Side.read(OTHER))
    report.broken["I6"] += both.survivors()
    report.broken["I9"] += both.strangers()
    secrets = {
        site.role.slug: (site.other.client_id, _hash(site.other.client_secret))
        for site in running.sites
    }
    minted = traces.ledger(STARTS)
    of_calls = traces.Calls(calls, minted, secrets, len(running.crew.kills))
    report.broken["I11"] += of_calls.check()
    hashes = frozenset(
        {token for call in calls for token in (*call.tokens, call.code)}
        | {secret for _, secret in secrets.values()}
        | {_hash(each.access_token) for each in running.people}
        | {_hash(each.refresh_token) for each in running.people}
    )
    for site in running.sites:
        report.broken["I12"] += traces.secrets_in(traces.lines_of(site.log_path), hashes)
        report.broken["I12"] += traces.secrets_in(traces.lines_of(access_log(site)), hashes)
        report.broken["I12"] += traces.secrets_in(traces.rows_of_our_tables(site.role.slug), hashes)
        report.broken["I13"] += traces.server_errors(access_log(site))
        report.broken["I13"] += traces.tracebacks(site.log_path)
    report.lost = list(both.unfinished())
    report.doubled = [*report.broken["I2"], *report.broken["I5"]]
    report.doubled += of_calls.no_code_is_redeemed_twice()
    report.given_up = given_up()
    _count(running, calls, len(of_calls.handovers))


def _count(running: Run, calls: Sequence[Call], posts: int) -> None:
    report, processes = running.report, running.crew
    report.posts, report.calls = posts, len(calls)
    report.faults = dict(Counter(call.fault for call in calls if call.fault))
    report.kills = dict(Counter(name for _, name in processes.kills))
    report.problems += processes.died
    if memory := processes.memory.values():
        biggest = max(memory, key=lambda each: each.peak)
        growing = max(memory, key=lambda each: each.growth)
        report.peak_mb, report.peak_of = biggest.peak, biggest.name
        report.growth_mb, report.growth_of = growing.growth, growing.name


def _hash(value: str) -> str:
    from reciprocal_oauth.core.hashing import hash_of

    return hash_of(value)


def _say(running: Run, what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {what}", file=sys.stderr, flush=True)
