"""Fixtures: a fake peer, its registration here, a person, and ways to get a link."""

import base64
import os
import socket
import sqlite3
import threading
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth import get_user_model, hashers
from django.core.cache import cache
from django.core.management.commands import flush
from django.db import connection, connections, transaction
from django.db.models.sql.compiler import SQLCompiler
from django.db.transaction import TransactionManagementError
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
)
from pytest_django import Settings

from reciprocal_oauth import vendors
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import (
    AuthorizationRequest,
    Heartbeat,
    InboxItem,
    Link,
    OutboxItem,
    Peer,
)
from reciprocal_oauth.models.binding import binding_of
from reciprocal_oauth.models.links import KEY_UNKNOWN
from reciprocal_oauth.party_b.link_opening import open_link
from reciprocal_oauth.provider import verified_secrets
from reciprocal_oauth.secret import Secret

from . import rules as rules_of_site
from .fakes import FakePeer, token_response
from .names import Names
from .replica import Replica, Router
from .vendors import made_up

#: The peer's secret at this site, and ours at the peer.
PEER_SECRET = "secret-of-the-peer-here"
OUR_SECRET = "our-secret-at-the-peer"

#: Folders and modules whose tests share sites or browsers, which take seconds to start. With
#: ``-n``, each of them runs in one process.
SHARING = (
    "tests/browser/",
    "tests/interop/",
    "tests/killing/",
    "tests/pairing/test_two_sites.py",
    "tests/protocol/test_several_accounts.py",
    "tests/protocol/test_two_sites.py",
    "tests/proxied/",
    "tests/test_layering.py",  # They parse the package.
)

# Tests start many processes. If Python wrote no compiled files, each of them would compile the
# package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

#: The file need not survive a power cut.
FAST = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--threat", metavar="ID", help="only the tests of this threat, such as B6")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Lets ``-k B6`` find the tests of that threat too (and those of B60, if there were any)."""
    item.extra_keyword_matches.update(_threats(item))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--threat")
    if wanted:
        config.hook.pytest_deselected(items=[i for i in items if wanted not in _threats(i)])
        items[:] = [item for item in items if wanted in _threats(item)]


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """For ``-n auto``: one more than the cores, because some tests wait for other processes."""
    return (yield) + (not os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The marker ``xdist_group`` does nothing with pytest 9.2 and pytest-xdist 3.8."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return next((each for each in SHARING if nodeid.startswith(each)), nodeid)

    return Scheduling(config, log)


def _threats(item: pytest.Item) -> set[str]:
    return {threat for mark in item.iter_markers("threat") for threat in mark.args}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """A dispatcher that goes on would claim the rows of the tests that follow, now and then. A call
    that comes late stores what it has got, at a time when another test needs the database."""
    yield
    wait_for_late_calls()
    ours = ("reciprocal-call", "reciprocal-dispatcher")
    left = [each for each in threading.enumerate() if each.name in ours]
    assert left == []


def wait_for_late_calls() -> None:
    """Wait for calls whose result this site did not wait for, and for what it does with them."""
    for thread in threading.enumerate():
        if thread.name == "reciprocal-call":
            thread.join(40)


@pytest.fixture(autouse=True, scope="session")
def _rows_are_locked_in_transactions_only() -> Iterator[None]:
    """SQLite knows no row locks, so Django lets ``select_for_update`` pass there outside of a
    transaction. Other databases fail. With this fixture SQLite fails too."""
    as_sql = SQLCompiler.as_sql

    def checked(compiler: SQLCompiler, *args: Any, **kwargs: Any) -> Any:
        if compiler.query.select_for_update and compiler.connection.get_autocommit():
            raise TransactionManagementError(
                "select_for_update cannot be used outside of a transaction."
            )
        return as_sql(compiler, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SQLCompiler, "as_sql", checked)
        yield


@pytest.fixture(autouse=True, scope="session")
def _tables_are_emptied_fast() -> Iterator[None]:
    """After a test with transactions, Django empties all tables, and fills those of content types
    and permissions again. That took longer than most of these tests. The rows of both tables are
    always the same, so they stay. On PostgreSQL, the rows are deleted: TRUNCATE creates new files
    for each table and each index."""

    def statements(style: Any, database: Any, **options: Any) -> list[str]:
        names = database.introspection.django_table_names(only_existing=True, include_views=False)
        tables = sorted(set(names) - {"auth_permission", "django_content_type"})
        if database.vendor == "postgresql":
            quoted = map(database.ops.quote_name, tables)
            return [f"DELETE FROM {table}" for table in quoted]  # noqa: S608 - our own tables
        made: list[str] = database.ops.sql_flush(style, tables, **options)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flush, "sql_flush", statements)
        patch.setattr(flush, "emit_post_migrate_signal", lambda *args, **kwargs: None)
        yield


@pytest.fixture(autouse=True)
def _clean_caches() -> None:
    cache.clear()
    verified_secrets.forget()


@pytest.fixture
def user(db: None) -> Any:
    return get_user_model().objects.create_user("alice", password="alice")


@pytest.fixture
def other_user(db: None) -> Any:
    return get_user_model().objects.create_user("bob", password="bob")


@pytest.fixture
def browser(client: Client, user: Any) -> Client:
    """A browser in which alice is signed in."""
    client.force_login(user)
    return client


@pytest.fixture
def shared_database(transactional_db: None, tmp_path: Path) -> Iterator[None]:
    """A database that threads and processes can use at the same time.

    SQLite in memory is none: it locks whole tables, without waiting. A file takes its place.
    """
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        yield
        return
    in_memory, configured = connections["default"], connections.settings["default"]
    before = dict(configured)
    file = tmp_path / "shared.sqlite3"
    with sqlite3.connect(file) as copy:
        in_memory.connection.backup(copy)
        # Of several connections that change this at the same moment, some fail without waiting.
        copy.execute("PRAGMA journal_mode = WAL")
    copy.close()
    # IMMEDIATE: a transaction that begins with a read would fail without waiting when it writes.
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": FAST}
    configured.update(NAME=str(file), OPTIONS=options)
    connections["default"] = connections.create_connection("default")
    try:
        yield
    finally:
        connections["default"].close()
        configured.update(before)
        connections["default"] = in_memory


@pytest.fixture
def at_once(shared_database: None) -> Callable[[int, Callable[[], Any]], list[Any]]:
    """Runs a function in many threads at the same moment, and gives what it returned."""

    def run(count: int, function: Callable[[], Any]) -> list[Any]:
        start = threading.Barrier(count)

        def work(_number: int) -> Any:
            try:
                start.wait(10)
                return function()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(count) as pool:
            return list(pool.map(work, range(count)))

    return run


@pytest.fixture
def replica_falls_behind(
    shared_database: None, settings: Settings, tmp_path: Path
) -> Iterator[Callable[..., None]]:
    """From the call on, all models but those named are read from a replica that gets nothing new.
    It makes no difference what database it is."""
    if connection.vendor != "sqlite":
        pytest.skip("A copy is made of a file.")

    def begin(*not_read_there: Any) -> None:
        connections["replica"] = Replica(tmp_path / "replica.sqlite3")
        settings.DATABASE_ROUTERS = [Router(not_read_there)]

    yield begin
    settings.DATABASE_ROUTERS = []
    if hasattr(connections._connections, "replica"):
        connections["replica"].close()
        del connections["replica"]


@pytest.fixture
def fake_peer() -> Iterator[FakePeer]:
    peer = FakePeer()
    peer.answers["/token/"] = token_response()
    yield peer
    peer.stop()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """What names resolve to."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.let_go()


@pytest.fixture
def worker_seen(db: None) -> Heartbeat:
    """The sign of life of a worker that runs elsewhere, so that nothing waits at this site."""
    return Heartbeat.objects.create(kind="command", host="worker-1", seen_at=timezone.now())


@pytest.fixture
def make_peer(db: None) -> Callable[..., Peer]:
    """Makes a peer whose endpoints are at ``url``, with its application here."""

    def make(slug: str = "music", url: str = "http://127.0.0.1:9", **values: Any) -> Peer:
        application = get_application_model().objects.create(
            name=slug,
            client_id=f"{slug}-here",
            client_secret=PEER_SECRET,
            client_type="confidential",
            authorization_grant_type="authorization-code",
            redirect_uris=f"https://{slug}.example/connections/site/callback/",
        )
        peer = Peer(
            **{
                "slug": slug,
                "name": slug.title(),
                "issuer": f"{url}/o",
                "authorization_endpoint": f"{url}/authorize/",
                "token_endpoint": f"{url}/token/",
                "revocation_endpoint": f"{url}/revoke/",
                "client_id": f"us-at-{slug}",
                "client_secret": Secret(OUR_SECRET),
                "scope": "play",
                "reciprocal_scope": "ask-back",
                "allowed_scope": "profile playback",
                "preconfigured_scope": "profile",
                "application": application,
                **values,
            }
        )
        peer.full_clean()
        peer.save()
        return peer

    return make


@pytest.fixture
def peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    """The peer "Music", which the fake peer plays."""
    return make_peer("music", fake_peer.url)


@pytest.fixture
def application(peer: Peer) -> Any:
    """The peer's registration here."""
    return peer.application


@pytest.fixture
def make_token(db: None) -> Callable[..., Any]:
    """Issues DOT tokens as a finished authorization code grant would, for a family of their own.

    The returned access token carries its raw value and its refresh token's as ``raw`` and
    ``raw_refresh``.
    """

    def make(application: Any, user: Any, scope: str = "playback", **values: Any) -> Any:
        raw, raw_refresh = f"at-{uuid.uuid4().hex}", f"rt-{uuid.uuid4().hex}"
        access = get_access_token_model().objects.create(
            **{
                "user": user,
                "application": application,
                "token": raw,
                "scope": scope,
                "expires": timezone.now() + timedelta(hours=1),
                **values,
            }
        )
        family = uuid.uuid4()
        if user is not None:
            get_refresh_token_model().objects.create(
                user=user,
                application=application,
                token=raw_refresh,
                access_token=access,
                token_family=family,
            )
        access.raw, access.raw_refresh, access.family = raw, raw_refresh, family
        return access

    return make


@pytest.fixture
def link_as_a(peer: Peer, user: Any) -> Link:
    """A link that alice began here: we hold tokens, the peer's question is not answered yet."""
    return Link.objects.create(
        user=user,
        peer=peer,
        account_key=KEY_UNKNOWN,
        outgoing_state=Link.Outgoing.ACTIVE,
        access_token=Secret("token-of-the-peer"),
        refresh_token=Secret("refresh-of-the-peer"),
        access_token_expires_at=timezone.now() + timedelta(hours=1),
        outgoing_scope="play",
        incoming_state=Link.Incoming.OFFERED,
        offered_scope="profile playback",
    )


@pytest.fixture
def make_token_of_a(make_token: Callable[..., Any]) -> Callable[..., Any]:
    """Issues tokens as ``make_token`` does, to a peer as party A. They open a link."""

    def make(peer: Peer, user: Any, scope: str = "playback", **values: Any) -> Any:
        token = make_token(peer.application, user, scope, **values)
        with transaction.atomic():
            open_link(peer, user.pk, scope, token.family)
        return token

    return make


@pytest.fixture
def token_of_a(peer: Peer, user: Any, make_token_of_a: Callable[..., Any]) -> Any:
    """The access token that the peer, as party A, got here for alice; the link is open."""
    return make_token_of_a(peer, user)


@pytest.fixture
def made_up_vendors(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only presets are those of two made-up vendors."""
    monkeypatch.setattr(vendors, "_PRESETS", made_up.PRESETS)
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": made_up.DIALECTS}


@pytest.fixture
def rules(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> rules_of_site.Rules:
    """Rules of the site on who may let a peer in: all is allowed, until a test changes them."""
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "MAY_AUTHORIZE": "tests.rules.may_authorize",
    }
    rules = rules_of_site.Rules()
    monkeypatch.setattr(rules_of_site, "IN_FORCE", rules)
    return rules


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The secrets that were hashed to be compared."""
    seen: list[str] = []
    verify = hashers.MD5PasswordHasher.verify

    def counting(self: Any, password: str, encoded: str) -> bool:
        seen.append(password)
        return verify(self, password, encoded)

    monkeypatch.setattr(hashers.MD5PasswordHasher, "verify", counting)
    return seen


@pytest.fixture
def hand_over(client: Client, application: Any) -> Callable[..., Any]:
    """Posts a hand-over to our token endpoint as the peer would; keyword arguments replace
    parameters, ``None`` leaves one out."""

    def post(**changes: Any) -> Any:
        headers = changes.pop("headers", None)
        if headers is None:
            headers = basic(application.client_id, PEER_SECRET)
        parameters = {
            "grant_type": GRANT_TYPE,
            "code": "code-of-party-a",
            "client_id": application.client_id,
            "access_token": "no-such-token",
            **changes,
        }
        return post_form(client, {k: v for k, v in parameters.items() if v is not None}, headers)

    return post


def always_had(**values: Any) -> None:
    """Make it so that every peer has had these ``values`` from the beginning, its links too."""
    Peer.objects.update(**values)
    for peer in Peer.objects.all():
        peer.bound_to = binding_of(peer)
        super(Peer, peer).save()
        for model in (Link, OutboxItem, InboxItem, AuthorizationRequest):
            for row in model.objects.filter(peer=peer):
                row.bound_to = peer.bound_to
                row.save()


def post_form(
    client: Client, parameters: dict[str, Any], headers: dict[str, str], path: str = "/o/token/"
) -> Any:
    """POST form fields to the token endpoint, with the content type that RFC 6749 asks for."""
    return client.post(
        path,
        urlencode(parameters, doseq=True),
        content_type="application/x-www-form-urlencoded",
        headers=headers,
    )


def basic(client_id: str, secret: str) -> dict[str, str]:
    """The header of HTTP Basic client authentication (RFC 6749, section 2.3.1)."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()}
