"""Two sites in processes of their own are paired with the commands of their administrators, and
then a person links accounts. Each server answers one request at a time."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.driver import Person
from example_project.sites import Site, free_ports, running, two_sites

from ..site_shell import run_inside, shells

pytestmark = pytest.mark.two_process

SETUPS = {
    "plain": {},
    "with OpenID Connect": {"EXAMPLE_OIDC": "1"},
    "with a user model of its own": {"EXAMPLE_USER_MODEL": "uuid"},
    "with hashed tokens, and a login for every page": {
        "EXAMPLE_HASHED_TOKENS": "1",
        "EXAMPLE_LOGIN_REQUIRED": "1",
    },
    "without a dispatcher": {"RECIPROCAL_DISPATCHER": "none"},
}
#: Reads, inside a site, its secrets.
SECRETS = """
import json
from reciprocal_oauth.models import Pairing, Peer
pairing = Pairing.objects.get()
print(json.dumps([
    text for text in (
        pairing.our_token.reveal(), pairing.answer.reveal(), pairing.peer.client_secret.reveal()
    ) if text
]))
"""
READ = """
import json
from oauth2_provider.models import get_application_model
from example_project.phone_app import CLIENT_ID
from reciprocal_oauth.models import Link, Pairing, Peer
others = get_application_model().objects.exclude(client_id=CLIENT_ID)
print(json.dumps({
    "state": [pairing.state for pairing in Pairing.objects.all()],
    "peer": Peer.objects.get().client_id,
    "method": Peer.objects.get().token_endpoint_auth_method,
    "applications": [each.client_id for each in others],
    "links": [[link.is_two_way, bool(link.subject)] for link in Link.objects.all()],
}))
"""


class OneAtATime(Site):
    """A site whose server answers one request at a time."""

    def order(self, *, prepare: bool) -> list[list[str]]:
        *before, server = super().order(prepare=prepare)
        return [*before, [*server, "--nothreading"]]


@pytest.fixture(params=SETUPS.values(), ids=SETUPS)
def sites(
    request: pytest.FixtureRequest, tmp_path: Path, give_tables: Callable[[Site], None]
) -> Iterator[tuple[Site, Site]]:
    ports = tuple(free_ports())
    env = {"EXAMPLE_LOG_LEVEL": "DEBUG", **request.param}
    found = two_sites(tmp_path, ports=ports, env=env, paired=True)  # type: ignore[arg-type]
    for site in found:
        site.__class__ = OneAtATime
        give_tables(site)
    with running(*found, prepare=True), shells(*found):
        yield found


def flags(site: Site) -> list[str]:
    openid = ["openid"] if site.env.get("EXAMPLE_OIDC") == "1" else []
    return [
        f"--scope={' '.join([*openid, site.role.scope])}",
        f"--allowed-scope={' '.join([*openid, *site.role.scopes])}",
        "--enable",
    ]


def pair(first: Site, second: Site) -> str:
    """Give the invitation."""
    others = first.role.other.slug, second.role.other.slug
    text = first.manage(
        "reciprocal_pair", "invite", others[0], "--for", second.issuer, *flags(first)
    ).strip()
    has_dispatcher = first.env.get("RECIPROCAL_DISPATCHER") != "none"
    wait = "--wait=30" if has_dispatcher else "--wait=0"
    accept = ["reciprocal_pair", "accept", others[1], "-", "--yes", wait, *flags(second)]
    if has_dispatcher:
        second.manage(*accept, stdin=text)
        first.manage("reciprocal_pair", "retry", others[0])
        return text
    run_inside(
        second,
        f"""
import io, sys
from django.core.management import call_command
sys.stdin = io.StringIO({text!r})
try:
    call_command(*{accept!r})
except SystemExit as ended:
    assert ended.code == 2  # It waits for the other site.
""",
    )
    for site in (first, second, first, second):
        run_inside(
            site,
            """
from django.core.management import call_command
from django.utils import timezone
from reciprocal_oauth.models import Pairing
Pairing.objects.filter(next_attempt_at__isnull=False).update(next_attempt_at=timezone.now())
call_command("reciprocal_deliver", "--once")
""",
        )
    return text


def read(site: Site) -> Any:
    return json.loads(run_inside(site, READ))


@pytest.mark.threat("PA12", "R2")
def test_paired_sites_link_accounts_and_no_secret_is_written_anywhere(
    sites: tuple[Site, Site],
) -> None:
    assistant, music = sites
    invitation = pair(assistant, music)
    secrets = [invitation.rpartition("code=")[2]]
    for site in sites:
        secrets += json.loads(run_inside(site, SECRETS))

    alice = Person("alice")
    for site in sites:
        alice.sign_in(site)
    question = alice.authorize(alice.connect(assistant))
    answered = alice.answer(question)
    if assistant.env.get("RECIPROCAL_DISPATCHER") == "none":
        for site in (assistant, music, assistant):
            site.manage("reciprocal_deliver", "--once")
    alice.wait_until_two_way(answered.url)

    at_assistant, at_music = map(read, sites)
    has_openid = assistant.env.get("EXAMPLE_OIDC") == "1"
    for ours, theirs in ((at_assistant, at_music), (at_music, at_assistant)):
        assert ours["state"] == ["complete"]
        assert ours["method"] == "private_key_jwt"
        assert theirs["applications"] == [ours["peer"]]
    assert at_assistant["links"] == [[True, has_openid]]
    for site in sites:
        written = site.read_log() + everything_in(site)
        assert [secret for secret in secrets if secret in written] == []
        assert '" 500 ' not in site.read_log()


def everything_in(site: Site) -> str:
    """The database of a site as text."""
    database = sqlite3.connect(site.database_path)
    try:
        return "\n".join(database.iterdump())
    finally:
        database.close()
