"""The music service, whose peers speak the dialects of vendors. The tester is each vendor.

What the tester gets from the site is what a vendor gets: it is an OAuth client of the site, and a
user allows it to have access in the authorization code grant.
"""

import base64
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from example_project.servers import HOST, free_ports
from example_project.sites import two_sites

from ..configs import WAITS
from .running import Report, dialect_table, run_tester

#: Each has signs that form-encoding changes.
SECRETS: Final = {"tester": "tester+secret:%41/=", "second": "second+secret:%42/="}
SECRET_OF_SITE: Final = "site+secret:%43/="
#: Users of the demo. The password of each is the name.
USERS: Final = ("alice", "admin")
SCOPE: Final = "playback"
#: A user has at most so many connections with a vendor when the user ends them all.
MOST_CONNECTIONS: Final = 4
#: The tester sends more than the limits of the site allow, and this machine may be slow.
LIMITS: Final = {
    "HANDOVERS_PER_MINUTE": 0,
    "CLIENT_AUTH_FAILURES_PER_MINUTE": 0,
    "REDEEM_FIRST_SECONDS": 10,
}


@dataclass(frozen=True)
class Vendor:
    """How a vendor hands codes over to the site.

    :ivar name: of the files with the dialect and with the verdicts that are explained.
    :ivar slug: the peer at the site, and the name of its dialect.
    :ivar path: where the site takes its messages.
    :ivar title: what the pages of the site call the peer.
    :ivar auth: how the vendor authenticates at the token endpoint of the site.
    :ivar has_pkce: whether the vendor sends a code challenge.
    :ivar is_used: whether the site tells the vendor something when its user plays a track.
    """

    name: str
    slug: str
    path: str
    title: str
    auth: str = "basic"
    has_pkce: bool = True
    is_used: bool = True

    def __str__(self) -> str:
        return self.name


_ALEXA = Vendor("alexa_directive", "alexa", "/connections/handover/alexa/", "Alexa")
VENDORS: Final = (
    _ALEXA,
    Vendor("alexa_form", _ALEXA.slug, _ALEXA.path, _ALEXA.title),
    Vendor("smartthings", "smartthings", "/smart-home/smartthings/", "SmartThings", has_pkce=False),
    Vendor("google", "google", "/o/token/", "Google", auth="body", has_pkce=False, is_used=False),
)


class VendorSite:
    """The music service with its peers, and the addresses of the testers.

    :param module: the module here with the dialects of the peers.
    :ivar music: the site. It is not started here.
    """

    def __init__(self, folder: Path, module: str = "site_dialects") -> None:
        slugs = sorted({each.slug for each in VENDORS})
        music_port, unused, *ports = free_ports(2 + len(slugs))
        self.testers = dict(zip(slugs, ports, strict=True))
        _assistant, self.music = two_sites(folder, ports=(unused, music_port))
        kinds = ("tester", "second")
        self.music.more_preparations = [
            self._peer_command(slug, kind) for slug in slugs for kind in kinds
        ]
        names = {"alexa": "Alexa", "google": "Google", "smartthings": "SmartThings"}
        own = {slug: f"{__package__}.{module}.{name}" for slug, name in names.items()}
        self.music.env |= {
            "EXAMPLE_RECIPROCAL_OAUTH": json.dumps({**LIMITS, "DIALECTS": own}),
            "CONFORMANCE_TESTERS": json.dumps({slug: self.tester(slug) for slug in slugs}),
        }

    def tester(self, slug: str) -> str:
        return f"http://{HOST}:{self.testers[slug]}"

    def _peer_command(self, slug: str, kind: str) -> list[str]:
        """Return the command that adds a peer: the tester, or its second client."""
        vendor = next(each for each in VENDORS if each.slug == slug)
        is_first = kind == "tester"
        flags = {
            "--dialect": slug,
            "--name": vendor.title if is_first else f"Second client of {vendor.title}",
            "--token-endpoint": f"{self.tester(slug)}/token",
            "--client-id": f"site-at-{slug}" if is_first else f"site-at-{slug}-2",
            "--client-secret": SECRET_OF_SITE,
            "--allowed-scope": SCOPE,
            "--application-client-id": f"{slug}-{kind}",
            "--application-client-secret": SECRETS[kind],
            "--redirect-uri": f"{self.tester(slug)}/callback",
            **self._own_flags(slug),
        }
        name = slug if is_first else f"{slug}-2"
        values = [f"{flag}={value}" for flag, value in flags.items()]
        return ["reciprocal_peer", "add", name, "--accept-changes", *values]

    def _own_flags(self, slug: str) -> dict[str, str]:
        """Return the flags with other addresses of the vendor, which has its preset otherwise."""
        tester = self.tester(slug)
        if slug == "google":
            return {"--revocation-endpoint": f"{tester}/revoke"}
        if slug == "alexa":
            # People could start at the site, too.
            return {
                "--authorization-endpoint": f"{tester}/authorize",
                "--reciprocal-endpoint": f"{tester}/api/enablement",
                "--scope": "alexa::skills:account_linking",
            }
        return {}

    def tester_config(self, vendor: Vendor) -> dict[str, Any]:
        """Return the tables of the tester's configuration."""
        url, slug = self.music.url, vendor.slug
        subject: dict[str, Any] = {
            "issuer": self.music.issuer,
            "authorization_endpoint": f"{self.music.issuer}/authorize/",
            "token_endpoint": f"{self.music.issuer}/token/",
            "revocation_endpoint": f"{self.music.issuer}/revoke_token/",
            "reciprocal_endpoint": f"{url}{vendor.path}",
            "api": [{"url": f"{url}/api/player/", "scope": SCOPE}],
            "users": list(USERS),
            "pkce": vendor.has_pkce,
            "at_tester": {"client_id": f"site-at-{slug}", "client_secret": SECRET_OF_SITE},
        }
        clients = {
            kind: {"client_id": f"{slug}-{kind}", "client_secret": SECRETS[kind]}
            for kind in SECRETS
        }
        at_subject = {**clients["tester"], "auth": vendor.auth, "scope": SCOPE}
        return {
            "subject": subject,
            "tester": {
                "listen": f"{HOST}:{self.testers[slug]}",
                "at_subject": {**at_subject, "second": clients["second"]},
            },
            "waits": WAITS,
            "driver": self._driver(vendor),
            "dialect": dialect_table(vendor.name) | self._id_token(vendor),
        }

    @staticmethod
    def _id_token(vendor: Vendor) -> dict[str, str]:
        """Return a token response with an ID token, if the vendor is Google. It names the same
        account each time. Nobody checks its signature, as it comes from the token endpoint."""
        if vendor.slug != "google":
            return {}
        now = int(time.time())
        claims = {"iss": "https://accounts.google.com", "aud": "site-at-google", "sub": "1000001"}
        parts = ({"alg": "RS256"}, {**claims, "iat": now, "exp": now + 3600})
        encoded = [base64.urlsafe_b64encode(json.dumps(each).encode()).decode() for each in parts]
        token = ".".join([*(each.rstrip("=") for each in encoded), "c2lnbmF0dXJl"])
        names = ("access_token", "refresh_token", "expires_in", "scope")
        members = {name: f"{{{name}}}" for name in names}
        return {
            "token_response": json.dumps({**members, "token_type": "Bearer", "id_token": token})
        }

    def _driver(self, vendor: Vendor) -> dict[str, Any]:
        url, link = self.music.url, f"Disconnect: {vendor.title}"
        sign_in = {"username": "{user}", "password": "{user}"}
        steps = {
            "sign_in": [{"open": f"{url}/accounts/login/", "fill": sign_in, "press": "Sign in"}],
            "authorize": [{"open": "{url}"}, {"if": "Allow", "press": "Allow"}],
            # Each account at a vendor that names accounts is a connection of its own.
            "end": MOST_CONNECTIONS
            * [
                {"open": f"{url}/connections/"},
                {"if": link, "follow": f"{link}*"},
                {"if": f"Disconnect {vendor.title}?", "press": "Disconnect"},
            ],
        }
        if vendor.is_used:
            steps["use"] = [{"open": f"{url}/"}, {"form": "/next/", "press": "*track"}]
        return {"kind": "forms", "steps": steps}


def report(site: VendorSite, vendor: Vendor, folder: Path, *checks: str) -> Report:
    """Run the tester as the vendor against the site, which runs already."""
    return run_tester(folder, site.tester_config(vendor), *checks)
