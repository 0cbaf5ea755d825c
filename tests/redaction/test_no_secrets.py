"""No code, token, verifier or client secret gets into logs, our tables or fixtures, whatever
happens in a flow."""

import io
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from django.apps import apps
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

import reciprocal_oauth
from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.exceptions import ReciprocalError
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import AuthorizationRequest, InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply, token_response
from ..party_a.visits import fill_in

pytestmark = pytest.mark.django_db(transaction=True)

OUR_SECRET = "c4nary.our-secret-there"
CODE_OF_B = "c4nary.code-of-b"
ACCESS_THERE, REFRESH_THERE = "c4nary.access-there", "c4nary.refresh-there"
CODE_OF_A = "c4nary.code-of-a"


class Canaries:
    """Everything that must stay secret, and everything in which it must not be found."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.secrets = {
            "our secret there": OUR_SECRET,
            "its secret here": PEER_SECRET,
            "code of party B": CODE_OF_B,
            "access token there": ACCESS_THERE,
            "refresh token there": REFRESH_THERE,
            "code of party A": CODE_OF_A,
            "Basic credentials": basic("music-here", PEER_SECRET)["Authorization"].split()[1],
        }

    def add(self, **secrets: str) -> None:
        self.secrets.update(secrets)

    def found_in(self, text: str) -> list[str]:
        return [name for name, secret in self.secrets.items() if secret in text]

    def check(self) -> None:
        everything = {"log": "\n".join(self.log), "tables": _tables(), "fixture": _fixture()}
        assert {where: self.found_in(text) for where, text in everything.items()} == {
            "log": [],
            "tables": [],
            "fixture": [],
        }


class _Keeper(logging.Handler):
    """Keeps what would be written, and what a handler that sends records elsewhere would take."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {self.format(record)} {record.args!r}")


@pytest.fixture
def canaries() -> Iterator[Canaries]:
    """Has every logger say everything."""
    canaries = Canaries()
    keeper = _Keeper(canaries.log)
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("django.db")]
    loggers = [logging.getLogger(), *map(logging.getLogger, names)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]
    logging.getLogger().addHandler(keeper)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    yield canaries
    logging.getLogger().removeHandler(keeper)
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled


def _tables() -> str:
    """All that stands in our tables."""
    rows: list[str] = []
    with connection.cursor() as cursor:
        for model in apps.get_app_config("reciprocal_oauth").get_models():
            cursor.execute(f"SELECT * FROM {model._meta.db_table}")  # noqa: S608  Our own names.
            rows += map(str, cursor.fetchall())
    return "\n".join(rows)


def _fixture() -> str:
    written = io.StringIO()
    call_command("dumpdata", "reciprocal_oauth", stdout=written)
    return written.getvalue()


@pytest.fixture
def music(peer: Peer) -> Peer:
    peer.client_secret = Secret(OUR_SECRET)
    peer.save()
    return peer


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Client, music: Peer, canaries: Canaries) -> Visit:
    """Alice goes to the peer and comes back with these parameters (beside ``state``)."""

    def go(**parameters: str) -> Any:
        started = browser.post("/connections/music/connect/")
        state = parse_qs(urlsplit(started["Location"]).query)["state"][0]
        canaries.add(state=state)
        query = {"code": CODE_OF_B, "state": state, "iss": music.issuer, **parameters}
        return browser.get("/connections/music/callback/", query)

    return go


@pytest.fixture
def tokens_there(fake_peer: FakePeer, canaries: Canaries) -> None:
    """The peer gives tokens, and takes hand-overs."""

    def answer(received: Received) -> Reply:
        canaries.add(verifier=received.form.get("code_verifier") or OUR_SECRET)
        if received.form["grant_type"] == GRANT_TYPE:
            canaries.add(minted=received.form["code"])
            return Reply()
        return token_response(
            access_token=ACCESS_THERE, refresh_token=REFRESH_THERE, reciprocal="playback"
        )

    fake_peer.answers["/token/"] = answer


def _use(token: str) -> int:
    return Client().get("/api/playback/", headers={"Authorization": f"Bearer {token}"}).status_code


@pytest.mark.threat("X1", "X2", "F18")
@pytest.mark.usefixtures("tokens_there")
def test_a_whole_flow_as_party_a(
    visit: Visit, browser: Client, music: Peer, fake_peer: FakePeer, canaries: Canaries
) -> None:
    visit(reciprocal="playback")
    link = Link.objects.get()
    question = f"/connections/links/{link.pk}/consent/"
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})
    worker.drain()

    credentials = basic(music.application.client_id, PEER_SECRET)
    redeemed = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": canaries.secrets["minted"]},
        credentials,
    ).json()
    canaries.add(access=redeemed["access_token"], refresh=redeemed["refresh_token"])
    assert _use(redeemed["access_token"]) == 200
    refreshed = post_form(
        Client(),
        {"grant_type": "refresh_token", "refresh_token": redeemed["refresh_token"]},
        credentials,
    ).json()
    canaries.add(access_2=refreshed["access_token"], refresh_2=refreshed["refresh_token"])
    replay = post_form(
        Client(),
        {"grant_type": "authorization_code", "code": canaries.secrets["minted"]},
        credentials,
    )
    assert replay.status_code == 400

    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        fake_peer.answers["/api/"] = Reply()
        reciprocal_oauth.get_session(link).get(f"{fake_peer.url}/api/")
    browser.post(f"/connections/links/{link.pk}/disconnect/")
    worker.drain()

    assert any(line.startswith("oauthlib.") for line in canaries.log)
    assert any(line.startswith("urllib3.") for line in canaries.log)
    canaries.check()


@pytest.mark.threat("X1", "X2", "F18")
def test_a_whole_flow_as_party_b(
    hand_over: Callable[..., Any],
    music: Peer,
    fake_peer: FakePeer,
    token_of_a: Any,
    canaries: Canaries,
) -> None:
    canaries.add(presented=token_of_a.raw)
    fake_peer.answers["/token/"] = token_response(
        access_token=ACCESS_THERE, refresh_token=REFRESH_THERE
    )

    assert hand_over(code=CODE_OF_A, access_token=token_of_a.raw).status_code == 200
    canaries.check()
    worker.drain()

    assert Link.objects.get().access_token.reveal() == ACCESS_THERE
    canaries.check()


@pytest.mark.threat("F18")
def test_the_browsers_part_of_a_flow_that_the_peer_begins(
    browser: Client, music: Peer, canaries: Canaries
) -> None:
    query = {
        "response_type": "code",
        "client_id": music.application.client_id,
        "redirect_uri": music.application.redirect_uris,
        "scope": "playback",
        "code_challenge": "x" * 43,
        "code_challenge_method": "S256",
        "state": "c4nary.state-of-the-peer",
    }
    allowed = browser.post(f"/o/authorize/?{urlencode(query)}", {**query, "allow": "Authorize"})
    code = parse_qs(urlsplit(allowed["Location"]).query)["code"][0]
    canaries.add(code=code, state_of_the_peer=query["state"])

    canaries.check()


ODD_ANSWERS = {
    "echo as error": lambda received: Reply.json(400, error=received.body),
    "echo as description": lambda received: Reply.json(
        400, error="invalid_grant", error_description=received.body
    ),
    "echo as text": lambda received: Reply(500, received.body.encode()),
    "echo of the header": lambda received: Reply(
        401, received.headers.get("Authorization", "").encode()
    ),
    "tokens that cannot be used": token_response(
        access_token=f"{ACCESS_THERE}\n", refresh_token=REFRESH_THERE
    ),
    "garbage around tokens": Reply(200, f"<p>{ACCESS_THERE} {REFRESH_THERE}</p>".encode()),
    "redirect": Reply(302, b"", {"Location": f"https://evil.example/?c={CODE_OF_B}"}),
}


@pytest.mark.threat("X1", "X2", "H12")
@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_odd_answer_at_every_step(
    answer: str,
    visit: Visit,
    link_as_a: Link,
    music: Peer,
    fake_peer: FakePeer,
    browser: Client,
    hand_over: Callable[..., Any],
    token_of_a: Any,
    canaries: Canaries,
) -> None:
    link_as_a.access_token = Secret(ACCESS_THERE)
    link_as_a.refresh_token = Secret(REFRESH_THERE)
    link_as_a.save()
    question = f"/connections/links/{link_as_a.pk}/consent/"
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})
    fake_peer.answers["/token/"] = fake_peer.answers["/revoke/"] = ODD_ANSWERS[answer]

    worker.drain()
    hand_over(code=CODE_OF_A, access_token=token_of_a.raw)
    worker.drain()
    visit()
    two_hours_later = time_machine.travel(timezone.now() + timedelta(hours=2))
    with two_hours_later, pytest.raises(ReciprocalError) as caught:
        reciprocal_oauth.get_session(link_as_a).get(f"{fake_peer.url}/api/")
    assert canaries.found_in(f"{caught.value} {caught.value!r}") == []
    for received in fake_peer.requests:
        canaries.add(**{f"code {received.path}": received.form.get("code") or OUR_SECRET})

    canaries.check()


@pytest.mark.threat("X2")
def test_requests_that_are_refused_here(
    hand_over: Callable[..., Any],
    visit: Visit,
    token_of_a: Any,
    browser: Client,
    user: Any,
    canaries: Canaries,
) -> None:
    good = basic("music-here", PEER_SECRET)
    wrong = basic("music-here", "c4nary.wrong-secret")
    canaries.add(wrong="c4nary.wrong-secret", presented=token_of_a.raw)

    hand_over(code=CODE_OF_A, access_token="c4nary.unknown-token")
    hand_over(code=CODE_OF_A, access_token=token_of_a.raw, headers=wrong)
    hand_over(code=CODE_OF_A, access_token=f"{token_of_a.raw}\x00")
    hand_over(code=CODE_OF_A, access_token=token_of_a.raw, client_secret=PEER_SECRET)
    hand_over(code=CODE_OF_A * 1000, access_token=token_of_a.raw)
    canaries.add(unknown="c4nary.unknown-token")
    post_form(Client(), {"grant_type": "authorization_code", "code": CODE_OF_A}, good)
    post_form(Client(), {"grant_type": "refresh_token", "refresh_token": CODE_OF_A}, good)
    post_form(Client(), {"grant_type": "refresh_token", "refresh_token": CODE_OF_A}, wrong)
    _use("c4nary.unknown-token")
    visit(iss="https://evil.example")
    browser.get("/connections/music/callback/", {"code": CODE_OF_B, "state": "c4nary.no-state"})
    Client().get("/connections/music/callback/", {"code": CODE_OF_B, "state": "c4nary.no-state"})
    canaries.add(no_state="c4nary.no-state")

    canaries.check()


def _dump() -> str:
    """Our tables as an administrator dumps them. Those of DOT hold its codes in clear, and unless
    it hashes them its tokens."""
    names = [model._meta.db_table for model in apps.get_app_config("reciprocal_oauth").get_models()]
    at = connection.settings_dict
    address = [f"--{name.lower()}={at[name]}" for name in ("HOST", "PORT") if at[name]]
    match connection.vendor:
        case "sqlite":
            connection.ensure_connection()
            lines = connection.connection.iterdump()
            return "\n".join(line for line in lines if '"reciprocal_oauth_' in line)
        case "postgresql":
            command = ["pg_dump", *address, f"--username={at['USER']}", "--data-only"]
            command += [f"--table={name}" for name in names] + [at["NAME"]]
        case "mysql":
            command = ["mariadb-dump", *address, f"--user={at['USER']}", "--no-create-info"]
            command += ["--skip-ssl", at["NAME"], *names]
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}")
    password = {"PGPASSWORD": at["PASSWORD"], "MYSQL_PWD": at["PASSWORD"]}
    done = subprocess.run(
        command, env={**os.environ, **password}, capture_output=True, text=True, check=True
    )
    return done.stdout


@pytest.mark.threat("X1")
@pytest.mark.usefixtures("tokens_there")
def test_a_dump_of_the_database_in_the_middle_of_everything(
    visit: Visit,
    browser: Client,
    fake_peer: FakePeer,
    hand_over: Callable[..., Any],
    make_token: Callable[..., Any],
    application: Any,
    user: Any,
    canaries: Canaries,
) -> None:
    """Tokens there, a code of ours under way, one of the peer's and a token to be given back in the
    queues, and a visit that has not come back."""
    visit(reciprocal="playback")
    token = make_token(application, user)
    canaries.add(presented=token.raw, presented_refresh=token.raw_refresh)
    link = Link.objects.get(outgoing_state="active")
    question = f"/connections/links/{link.pk}/consent/"
    fill_in(browser, question, {"answer": "allow", "scopes": ["playback"]})
    worker.drain()
    hand_over(code=CODE_OF_A, access_token=token.raw)
    lifecycle.queue_revocation(Link.objects.get(pk=link.pk))
    started = browser.post("/connections/music/connect/")
    canaries.add(state=parse_qs(urlsplit(started["Location"]).query)["state"][0])
    under_way = AuthorizationRequest.objects.get(answered_at=None)
    canaries.add(verifier_under_way=under_way.code_verifier.reveal())
    assert "minted" in canaries.secrets
    assert InboxItem.objects.get().code.reveal() == CODE_OF_A
    assert OutboxItem.objects.get(state="pending").token.reveal() == REFRESH_THERE

    dump = _dump()

    for each in (f"us-at-{link.peer.slug}", hash_of(CODE_OF_A), under_way.state_hash):
        assert each in dump
    assert canaries.found_in(dump) == []
