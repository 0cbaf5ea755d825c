"""The dialect ``smartthings``: Samsung SmartThings, with a Schema App ("Schema Connector").

SmartThings sends its code in the JSON message ``grantCallbackAccess`` to the webhook of the site,
without client credentials. The message also names the addresses of its region, to which this site
then sends its client secret and its tokens. So this dialect accepts only addresses in a list.

Sources: see :mod:`.st_schema`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..client import token_endpoint
from ..client.token_endpoint import TokenResponse
from ..core import protocol
from ..exceptions import Cause, HandoverRefused
from ..models import Peer, Reason
from ..models.results import Failed, HandoverResult, RevocationResult
from ..secret import Secret
from . import json_body, st_schema
from .base import Dialect, Endpoint, Handover, Notice, Report, Trust, UnlinkNotice

_GRANT = "grantCallbackAccess"
_REGIONS = [f"https://c2c-{region}.smartthings.com" for region in ("us", "eu", "ap")]


class SmartThingsDialect(Dialect):
    """The messages of SmartThings Schema that concern a link."""

    #: All values that the members of ``callbackUrls`` can have.
    addresses: ClassVar[Mapping[str, frozenset[str]]] = {
        "oauthToken": frozenset(f"{region}/oauth/token" for region in _REGIONS),
        "stateCallback": frozenset(f"{region}/device/events" for region in _REGIONS),
    }

    endpoint = Endpoint.OWN
    # SmartThings has an error for a code that it refuses, and its own library redeems the code
    # before it responds. A success before the redemption could not be taken back. After a failure,
    # the next discovery response of the site can ask for a new code.
    redeems_first = True
    # The client secret is a member of the JSON object.
    takes_assertions = False
    optional_fields = frozenset({"authorization_endpoint"})
    grace_seconds = 120
    sends_code_challenge = False

    @classmethod
    def can_start(cls, peer: Any) -> bool:
        """Return False: people start in the SmartThings app."""
        return False

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        """Return False: SmartThings accepts no reciprocal codes."""
        return False

    def recognise(self, request: HttpRequest) -> bool:
        """Return whether the message is ``grantCallbackAccess``."""
        return st_schema.type_of(json_body.peek(request)) == _GRANT

    def parse(self, request: HttpRequest) -> Handover:
        """Return the values of ``grantCallbackAccess``. Its ``scope`` is not checked: the sources
        spell it in two ways.

        :raises HandoverRefused: the form is wrong, or an address is not one of SmartThings.
        """
        message = json_body.read(request)
        json_body.mapping(message, "headers")
        authentication = json_body.mapping(message, "authentication")
        _require(_GRANT, st_schema.type_of(message))
        grant = json_body.mapping(message, "callbackAuthentication")
        _require("authorization_code", grant.get("grantType"))
        urls = json_body.mapping(message, "callbackUrls")
        data = {name: json_body.text(urls, name) for name in self.addresses}
        if any(url not in self.addresses[name] for name, url in data.items()):
            raise json_body.malformed("an address in callbackUrls is not one of SmartThings")
        return Handover(
            code=json_body.secret(grant, "code", protocol.MAX_CODE_LENGTH),
            access_token=json_body.secret(authentication, "token"),
            our_client_id=json_body.text(grant, "clientId", protocol.MAX_CLIENT_ID_LENGTH),
            trust=Trust.BEARER,
            data=data,
        )

    def success(self, request: HttpRequest) -> HttpResponse:
        """Return status 200 and the headers of the message."""
        return st_schema.reply(request)

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return status 200 and a ``globalError``; status 500 if this site accepts no code now."""
        if refused.cause in (Cause.BUSY, Cause.OFF):
            return st_schema.reply(request, status=500)
        other = "UNSUPPORTED-GRANT-TYPE" if self.recognise(request) else "INVALID-INTERACTION-TYPE"
        return st_schema.refuse(request, refused.cause, other)

    def notice(self, request: HttpRequest) -> Notice | None:
        """Return ``integrationDeleted`` (the person has removed the connector) as an
        ``UnlinkNotice``, and ``interactionResult`` (an error in a message of this site) as a
        ``Report``. For the first one without a usable token, raise ``HandoverRefused``."""
        message = json_body.peek(request)
        match st_schema.type_of(message):
            case "integrationDeleted":
                authentication = json_body.mapping(message, "authentication")
                return UnlinkNotice(json_body.secret(authentication, "token"))
            case "interactionResult":
                about = st_schema.code(message.get("originatingInteractionType"))
                return Report(f"{about}: {st_schema.code(st_schema.enum_in(message))}")
        return None

    acknowledge = success

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Return ``Failed``: SmartThings accepts no reciprocal codes."""
        return Failed("SmartThings accepts no reciprocal codes.", Reason.NO_REVERSE)

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """Send ``accessTokenRequest`` to the address that came with the code. Raise ``PeerError``:
        see :func:`.st_schema.tokens_in`."""
        return self._ask(peer, "accessTokenRequest", "authorization_code", code=code)

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Send ``refreshAccessTokens`` to the same address. Raise as :meth:`redeem` does."""
        return self._ask(peer, "refreshAccessTokens", "refresh_token", refreshToken=refresh_token)

    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Return ``Failed``: SmartThings has no revocation endpoint."""
        return Failed("SmartThings has no revocation endpoint.", Reason.TOKEN_REFUSED)

    @sensitive_variables()
    def _ask(self, peer: Peer, interaction: str, kind: str, **secrets: Secret) -> TokenResponse:
        sent_at, secrets["clientSecret"] = timezone.now(), peer.client_secret
        grant = {"grantType": kind, "clientId": peer.client_id}
        grant |= {name: secret.reveal() for name, secret in secrets.items()}
        response = token_endpoint.post_json(
            peer,
            self.data.get("oauthToken") or peer.token_endpoint,
            {"headers": st_schema.headers_of(interaction), "callbackAuthentication": grant},
            addresses=self.addresses["oauthToken"],
        )
        return st_schema.tokens_in(response, peer, sent_at)


def _require(expected: str, value: object) -> None:
    if value != expected:
        raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, f"it is not {expected}")
