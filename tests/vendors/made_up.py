"""Two made-up vendors with a preset each, and their dialects."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.client.token_endpoint import TokenResponse
from reciprocal_oauth.dialects.base import Endpoint, Notice
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.models import Peer
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors.preset import ConsoleEntry, Preset, Question


class TunesDialect(IETFDialect):
    """Sends its codes to an address of its own, and takes none."""

    endpoint = Endpoint.OWN
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {"skill": (), "stage": ("live", "test")}
    optional_fields = frozenset({"authorization_endpoint"})
    grace_seconds = 120

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        return False

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        return token_endpoint.request_token(peer, {"grant_type": "tunes", "code": code.reveal()})


class BellDialect(IETFDialect):
    """Sends no codes: it tells only that a link has ended."""

    sends_codes = False
    optional_fields = frozenset(
        {"authorization_endpoint", "token_endpoint", "client_id", "client_secret"}
    )

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        return False

    def notice(self, request: HttpRequest) -> Notice | None:
        return None


TUNES = Preset(
    dialect="tunes",
    name="Tunes & Co",
    questions=(
        Question("vendor_id", "Vendor ID", "Tunes console, Account", r"V[0-9]+", "V123"),
        Question(
            "client_id",
            "Messaging client ID",
            "Tunes console, Permissions",
            r"tunes\.\w+",
            "tunes.abc",
            field="client_id",
        ),
        Question(
            "client_secret",
            "Messaging client secret",
            "Tunes console, Permissions",
            r"[\w-]{8,}",
            "0123abcd",
            field="client_secret",
        ),
        Question("stage", "Stage", "Tunes console, Overview", "live|test", "live", default="live"),
    ),
    values={
        "token_endpoint": "https://api.tunes.example/token",
        "token_endpoint_auth_method": "client_secret_post",
        "dialect_options": "stage={stage}\nskill={vendor_id}",
    },
    redirect_uris=(
        "https://eu.tunes.example/link/{vendor_id}",
        "https://us.tunes.example/link/{vendor_id}",
    ),
    console=(
        ConsoleEntry("Authorization URI", "{authorization_endpoint}"),
        ConsoleEntry("Your client ID", "{client_id}"),
        ConsoleEntry("Your secret", "{client_secret}", "Choose “HTTP Basic”"),
        ConsoleEntry("Code URI", "{handover}"),
    ),
    limits=("Tunes & Co has no address at which this site can revoke a token.",),
    page="tunes",
)

BELL = Preset(
    dialect="bell",
    name="Bell",
    questions=(),
    values={},
    redirect_uris=("https://social.bell.example/redirect",),
    console=(ConsoleEntry("Unlink URL", "{handover}"),),
)

PRESETS = {"tunes": TUNES, "bell": BELL}
DIALECTS = {
    "tunes": "tests.vendors.made_up.TunesDialect",
    "bell": "tests.vendors.made_up.BellDialect",
}
