"""Two sites, each in a process of its own, become peers by commands alone. Then a person connects
accounts at them. No secret stands in what the commands and the sites say."""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from example_project.sites import MANAGE_PY, Site, free_ports, running, two_sites
from example_project.walkthrough import Walkthrough

from ..site_shell import run_inside, shells

pytestmark = pytest.mark.two_process

#: What each site asks for at the other one, and allows it here.
INVITE = ("music", "--scope", "playback history", "--allowed-scope", "now-playing profile")
ACCEPT = ("assistant", "--scope", "now-playing", "--allowed-scope", "playback history")

#: Reads, inside a site, every secret that it has stored for a pairing and its peer.
READ_SECRETS = """
import json
from reciprocal_oauth.models import Pairing, Peer, SiteKey
from reciprocal_oauth.models.fields import EncryptedField
found = set()
for model in (Pairing, Peer, SiteKey):
    names = [each.name for each in model._meta.fields if isinstance(each, EncryptedField)]
    for row in model.objects.all():
        found |= {getattr(row, name).reveal() for name in names}
texts = {text for text in found if not text.startswith("{")}
for text in found - texts:
    members = json.loads(text)
    secrets = ("client_secret", "registration_access_token", "reciprocal_registration_token", "d")
    texts |= {members[name] for name in secrets if name in members}
print(json.dumps(sorted(texts - {""})))
"""


@dataclass
class Administrators:
    """Run commands in both sites, and remember what was said and which secrets exist."""

    said: list[str] = field(default_factory=list)
    secrets: set[str] = field(default_factory=set)

    def run(self, site: Site, *arguments: str, stdin: str = "", status: int = 0) -> str:
        """The standard output of ``reciprocal_pair``."""
        printed, err = self.manage(site, "reciprocal_pair", *arguments, stdin=stdin, status=status)
        if arguments[0] == "invite":
            (invitation,) = printed.split()
            self.secrets.add(invitation.rpartition("code=")[2])
            self.said.append(err)
        else:
            self.said += [printed, err]
        for each in (site, site.other):
            self.secrets |= set(json.loads(run_inside(each, READ_SECRETS)))
        return printed

    def manage(
        self, site: Site, *arguments: str, stdin: str = "", status: int = 0
    ) -> tuple[str, str]:
        ended = subprocess.run(
            [sys.executable, MANAGE_PY, *arguments],
            env=site.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == status, (ended.returncode, ended.stderr)
        return ended.stdout, ended.stderr

    def show(self, site: Site, slug: str) -> Any:
        return json.loads(self.run(site, "show", slug, "--json"))


@pytest.mark.parametrize("dispatcher", ["thread", "none"])
@pytest.mark.parametrize(
    ("bound", "keys"), [(True, True), (False, False)], ids=["bound, keys", "unbound, secrets"]
)
@pytest.mark.threat("PA12")
@pytest.mark.rfc("7591", "3")
def test_two_sites_pair_by_commands_and_a_person_connects(
    bound: bool, keys: bool, dispatcher: str, tmp_path: Path
) -> None:
    env = {"RECIPROCAL_DISPATCHER": dispatcher, "EXAMPLE_LOG_LEVEL": "DEBUG"}
    if not keys:
        env["DJANGO_SETTINGS_MODULE"] = "tests.pairing.settings_without_keys"
    ports: Any = tuple(free_ports())
    assistant, music = two_sites(tmp_path, ports=ports, env=env, paired=True)
    admins = Administrators()

    with running(assistant, music, prepare=True), shells(assistant, music):
        _pair(admins, assistant, music, bound=bound, has_dispatcher=dispatcher != "none")

        at_assistant, at_music = admins.show(assistant, "music"), admins.show(music, "assistant")
        method = "private_key_jwt" if keys else "client_secret_basic"
        for shown in (at_assistant, at_music):
            assert (shown["state"], shown["auth_method"]) == ("complete", method)
            assert "failed" not in {finding["state"] for finding in shown["findings"]}
        assert at_assistant["check_number"] == at_music["check_number"]
        assert at_music["thumbprints"] == at_assistant["our_thumbprints"]
        assert at_assistant["scope_there"]["agreed"] == "playback history"
        assert at_music["scope_here"]["agreed"] == "playback history"
        assert at_music["scope_there"]["agreed"] == "now-playing"
        if dispatcher == "thread":
            _connect(assistant, music)
        said = "\n".join([*admins.said, *_dumps(admins, assistant, music)])

    logs = assistant.read_log() + music.read_log()
    assert "is complete" in logs
    assert len(admins.secrets) >= 5
    assert [secret for secret in admins.secrets if secret in said or secret in logs] == []


def _pair(
    admins: Administrators, assistant: Site, music: Site, *, bound: bool, has_dispatcher: bool
) -> None:
    """The assistant invites, and the music service accepts."""
    partner = ["--for", music.issuer] if bound else []
    invitation = admins.run(assistant, "invite", *INVITE, *partner, "--enable")
    accept = ["accept", *ACCEPT, "--enable", "--yes"]
    if bound and has_dispatcher:
        admins.run(music, *accept, "--wait", "120", stdin=invitation)
    else:
        admins.run(music, *accept, "--wait", "0", stdin=invitation, status=2)
        action = ["retry"] if bound else ["confirm", "--yes"]
        # The music service has not asked yet whether this site has got everything.
        admins.run(assistant, *action, "music", "--wait", "60")
        admins.run(music, "retry", "assistant")
    admins.run(assistant, "retry", "music")


def _connect(assistant: Site, music: Site) -> None:
    for site, other in ((assistant, music), (music, assistant)):
        (peer,) = site.manage_json("reciprocal_peer", "list", "--json")
        other.client_id = peer["application_client_id"]
    told: list[str] = []
    Walkthrough(assistant, music, told.append).run()
    assert "Linked both ways" in told[0]
    assert told[1:3] == [
        "Assistant shows the account: alice at Music",
        "Music shows the account: alice at Assistant",
    ]


def _dumps(admins: Administrators, *sites: Site) -> list[str]:
    dump = ("dumpdata", "reciprocal_oauth", "oauth2_provider")
    commands = (dump, ("reciprocal_pair", "list", "--all", "--json"), ("reciprocal_peer", "list"))
    return [text for site in sites for each in commands for text in admins.manage(site, *each)]
