"""Starts the stand-ins in processes of their own, beside the music service.

The module needs no Django settings.
"""

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..servers import HOST, Server, free_ports
from ..sites import MANAGE_PY, Site, two_sites
from .vendor import Order

#: The id of the Alexa skill of the site. It is made up, in the form of the ids of Amazon.
SKILL_ID = "amzn1.ask.skill.00000000-0000-4000-8000-000000000001"


class StandIn(Server):
    """The stand-in for one vendor, with its process and its log.

    :ivar slug: the short name of the vendor in the site's table of peers, and the name of its
        dialect.
    :ivar webhook: the path of the site to which the vendor sends its messages.
    :ivar callback_path: the path of the redirect URI of the vendor.
    :ivar issued_id: the client ID of the site at the vendor.
    """

    slug: str
    vendor: str
    webhook: str
    callback_path: str
    issued_id: str

    def __init__(self, port: int, site: Site) -> None:
        super().__init__(self.vendor, port, site.data / f"{self.slug}.log", os.environ)
        self.site = site
        self.settings = Order(
            port=port,
            site=site.role.name,
            authorization_endpoint=f"{site.issuer}/authorize/",
            token_endpoint=f"{site.issuer}/token/",
            client_id=f"{self.slug}-at-{site.role.slug}",
            client_secret=secrets.token_urlsafe(32),
            issued_id=self.issued_id,
            issued_secret=secrets.token_urlsafe(32),
            scope="playback",
            webhook=f"{site.url}{self.webhook}",
        )
        self.env |= {"PYTHONPATH": str(MANAGE_PY.parent), "PYTHONUNBUFFERED": "1"}

    def command(self) -> Sequence[str | Path]:
        return [sys.executable, "-m", f"example_project.vendors.{self.slug}"]

    def order(self, *, prepare: bool) -> dict[str, Any]:
        return asdict(self.settings)

    def own_flags(self) -> Mapping[str, str]:
        """Return the flags of ``reciprocal_peer add`` with the addresses of this stand-in."""
        raise NotImplementedError

    def peer_command(self) -> list[str]:
        """Return the command that adds the vendor as a peer of the site. What the command does not
        say comes from the preset of the vendor."""
        settings = self.settings
        flags = {
            "--dialect": self.slug,
            "--name": self.vendor,
            "--client-id": settings.issued_id,
            "--client-secret": settings.issued_secret,
            "--allowed-scope": settings.scope,
            "--application-client-id": settings.client_id,
            "--application-client-secret": settings.client_secret,
            "--redirect-uri": f"{self.url}{self.callback_path}",
            **self.own_flags(),
        }
        values = [f"{flag}={value}" for flag, value in flags.items()]
        return ["reciprocal_peer", "add", self.slug, "--accept-changes", *values]


class SmartThingsStandIn(StandIn):
    slug, vendor = "smartthings", "SmartThings"
    webhook = "/smart-home/smartthings/"
    callback_path = "/oauth/callback"
    issued_id = "music-connector"

    def own_flags(self) -> Mapping[str, str]:
        return {"--token-endpoint": f"{self.url}/oauth/token"}


class AlexaStandIn(StandIn):
    slug, vendor = "alexa", "Alexa"
    webhook = "/connections/handover/alexa/"
    callback_path = "/api/skill/link/STANDIN"
    issued_id = "amzn1.application-oa2-client.00000000000000000000000000000001"

    def __init__(self, port: int, site: Site) -> None:
        super().__init__(port, site)
        self.settings = replace(self.settings, skill_id=SKILL_ID)
        # The environment of the Lambda, which runs in the process of this stand-in.
        self.env |= {
            "HANDOVER_URL": self.settings.webhook,
            "CLIENT_ID": self.settings.client_id,
            "CLIENT_SECRET": self.settings.client_secret,
            "AWS_REGION": "eu-west-1",
            "NO_PROXY": HOST,
        }

    def own_flags(self) -> Mapping[str, str]:
        return {
            "--authorization-endpoint": f"{self.url}/ap/oa",
            "--token-endpoint": f"{self.url}/auth/o2/token",
            "--reciprocal-endpoint": f"{self.url}/v1/users/~current/skills/{SKILL_ID}/enablement",
            "--scope": "alexa::skills:account_linking",
            # Login with Amazon does not say what Alexa asks for at the site.
        }


class GoogleStandIn(StandIn):
    slug, vendor = "google", "Google"
    webhook = "/smart-home/google/"
    callback_path = "/r/standin-project"
    issued_id = "music.apps.googleusercontent.com"

    def own_flags(self) -> Mapping[str, str]:
        return {"--token-endpoint": f"{self.url}/token", "--issuer": "https://accounts.google.com"}


def music_and_stand_ins(
    data: Path, *, port: int | None = None
) -> tuple[Site, SmartThingsStandIn, AlexaStandIn, GoogleStandIn]:
    """Return the music service and the three stand-ins, without starting them. They know each
    other's addresses and client secrets.

    :param data: the directory for the files of all.
    :param port: the port of the music service. All other ports are chosen here.
    """
    *ports, free = free_ports(5)
    _assistant, music = two_sites(data, ports=(ports.pop(), port or free))
    smartthings = SmartThingsStandIn(ports[0], music)
    alexa = AlexaStandIn(ports[1], music)
    google = GoogleStandIn(ports[2], music)
    vendors = (smartthings, alexa, google)
    music.more_preparations = [each.peer_command() for each in vendors]
    music.env["EXAMPLE_VENDORS"] = json.dumps({each.slug: each.url for each in vendors})
    return music, *vendors
