"""Amazon Alexa: the preset, and the events that a smart home skill sends to the event gateway.

Sources, read in November 2026: developer.amazon.com, "Send Events", "Configure Permissions to Send
Events", "Access Token Retrieval REST API Reference" and "Configure an Authorization Code Grant".
"""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..client import token_endpoint
from ..client.http import PeerResponse
from ..dialects import dialect_of
from ..dialects.alexa import AlexaDialect
from ..exceptions import NotLinked, PeerRefused
from ..links import lifecycle, outgoing_access
from ..models import Link, Peer
from ..secret import Secret
from .preset import ConsoleEntry, Preset, Question

#: The error code of the event gateway after the person has disabled the skill. There are similar
#: codes that do not mean this, so they do not end the link: ``SKILL_NEVER_ENABLED_EXCEPTION``
#: comes from the gateway of a wrong region, and ``SKILL_NOT_FOUND_EXCEPTION`` from a token of
#: another stage of the skill.
_SKILL_DISABLED = "SKILL_DISABLED_EXCEPTION"
_ACCOUNT_LINKING = "Tools > Account Linking"
_PERMISSIONS = "Tools > Permissions > Alexa Skill Messaging"

PRESET = Preset(
    dialect="alexa",
    name="Amazon Alexa",
    questions=(
        Question(
            name="client_id",
            label="Alexa Client Id",
            where=_PERMISSIONS,
            pattern=r"amzn1\.application-oa2-client\.[0-9a-f]{32}",
            example="amzn1.application-oa2-client.0123456789abcdef0123456789abcdef",
            field="client_id",
        ),
        Question(
            name="client_secret",
            label="Alexa Client Secret",
            where=_PERMISSIONS,
            pattern=r"[A-Za-z0-9._-]{20,255}",
            example="amzn1.oa2-cs.v1.0123456789abcdef",
            field="client_secret",
        ),
        Question(
            name="skill_id",
            label="Skill ID",
            where=_("the list of skills, below the name of the skill"),
            pattern=r"amzn1\.ask\.skill\.[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            example="amzn1.ask.skill.01234567-89ab-cdef-0123-456789abcdef",
        ),
        Question(
            name="vendor_id",
            label="Alexa Redirect URLs",
            where=_("Tools > Account Linking; the last part of each URL, which begins with M"),
            pattern=r"M[A-Z0-9]{9,19}",
            example="M0EXAMPLE0000",
        ),
        Question(
            name="stage",
            label="Stage",
            where=_("“development” before the skill is published, otherwise “live”"),
            pattern="live|development",
            example="development",
            default="live",
        ),
    ),
    values={
        "authorization_endpoint": "https://www.amazon.com/ap/oa",
        "token_endpoint": AlexaDialect.token_address,
        "token_endpoint_auth_method": Peer.AuthMethod.POST.value,
        "reciprocal_endpoint": (
            "https://api.amazonalexa.com/v1/users/~current/skills/{skill_id}/enablement"
        ),
        "scope": "alexa::skills:account_linking",
        "dialect_options": "stage={stage}",
    },
    redirect_uris=tuple(
        f"https://{host}/api/skill/link/{{vendor_id}}"
        for host in ("layla.amazon.com", "pitangui.amazon.com", "alexa.amazon.co.jp")
    ),
    console=(
        ConsoleEntry("Your Web Authorization URI", "{authorization_endpoint}", _ACCOUNT_LINKING),
        ConsoleEntry("Access Token URI", "{token_endpoint}"),
        ConsoleEntry("Your Client ID", "{client_id}"),
        ConsoleEntry("Your Secret", "{client_secret}"),
        ConsoleEntry("Your Authentication Scheme", "HTTP Basic"),
        ConsoleEntry("PKCE", "on", _("This site requires it, unless PKCE_REQUIRED is off.")),
        ConsoleEntry("Scope", "{scope_here}", _("Enter each name separately.")),
        ConsoleEntry(
            "Your Redirect URLs",
            "{redirect_uri}",
            _(
                "Needed only if people can start at this site. Turn on “Allow users to link their "
                "account to your skill from within your application or website”."
            ),
        ),
        ConsoleEntry(
            "reciprocalAccessTokenUrl",
            "{handover}",
            _(
                "Only for skills that are not smart home skills. The console has no field for it: "
                "use the Skill Management API. A smart home skill needs the Lambda function "
                "instead, and the permission “Send Alexa Events”."
            ),
        ),
    ),
    limits=(
        _("This site cannot revoke its tokens at Amazon. The person disables the skill there."),
        _("Amazon does not tell this site when a person disables the skill."),
    ),
    page="alexa",
)


@sensitive_variables()
def send_event(link: Link, event: Mapping[str, Any]) -> None:
    """Send an event to the event gateway of Alexa, such as a ``ChangeReport``, in the region of the
    person. The access token of ``link`` is put into a copy of the event.

    :param event: the whole message, with the member ``event``. The token goes to ``scope`` in
        ``event.endpoint``, or in ``event.payload`` if the event is for no endpoint.
    :raises NotLinked: the link does not work, or the person has disabled the skill. In this case,
        the link has ended.
    :raises PeerRefused: the gateway refused the event; ``error`` is the code of Alexa. If
        ``may_pass`` is true, try at most three times again, with one second or more between.
    :raises PeerError: the gateway cannot be reached, or the token could not be refreshed now.
    :raises AddressRefused: the peer of ``link`` is not configured for Alexa.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    token = outgoing_access.fresh_access_token(link)
    response = _post(link, event, token)
    if response.status == 401 and link.refresh_token:
        token = outgoing_access.fresh_access_token(link, not_this=token)
        response = _post(link, event, token)
    if response.is_success:
        return
    refused = _refusal(response)
    is_current = outgoing_access.is_current_token(link, token)
    if response.status == 403 and refused.error == _SKILL_DISABLED and is_current:
        lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=False)
        raise NotLinked(f"The person of link {link.pk} has disabled the skill.") from None
    raise refused


def _post(link: Link, event: Mapping[str, Any], token: Secret) -> PeerResponse:
    peer = link.peer
    dialect = dialect_of(peer)
    if not isinstance(dialect, AlexaDialect):
        raise NotLinked(f"Link {link.pk} is not a link with Alexa.")
    gateways = {region: f"{host}/v3/events" for region, host in dialect.hosts.items()}
    url = gateways[link.data.get("region") or peer.options.get("region") or "NA"]
    addresses = [*gateways.values(), dialect.token_address]
    message = with_token(event, token)
    return token_endpoint.post_json(peer, url, message, bearer=token, addresses=addresses)


def with_token(event: Mapping[str, Any], token: Secret) -> dict[str, Any]:
    """Return a copy of ``event`` that contains ``token``. Other members of ``scope`` are kept."""
    inner = dict(event["event"])
    place = "endpoint" if "endpoint" in inner else "payload"
    scope = {"type": "BearerToken", **inner.get(place, {}).get("scope", {})}
    inner[place] = {**inner.get(place, {}), "scope": {**scope, "token": token.reveal()}}
    return {**event, "event": inner}


def _refusal(response: PeerResponse) -> PeerRefused:
    """Return the exception for an error of the gateway. Its code is in ``payload.code``; older
    pages call the member ``type``."""
    members = {} if response.problem else token_endpoint.members_of(response.body)
    payload = members.get("payload")
    payload = payload if isinstance(payload, dict) else {}
    code = payload.get("code") or payload.get("type")
    error = token_endpoint.error_code(code)
    wait = token_endpoint.refusal(response).retry_after
    log = f"HTTP {response.status} {error}".rstrip()
    return PeerRefused(log, status=response.status, error=error, retry_after=wait)
