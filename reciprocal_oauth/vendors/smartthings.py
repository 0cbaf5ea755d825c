"""Samsung SmartThings: the preset, and callbacks, with which a site tells SmartThings at once what
has changed at a device.

::

    from reciprocal_oauth.vendors.smartthings import send_callback

    for link in reciprocal_oauth.get_links(user, "smartthings"):
        send_callback(link, {"deviceState": [...]})

Sources: see :mod:`reciprocal_oauth.dialects.st_schema`. The words of the console are those of the
pages "Add SmartThings to Your Authorization Server" and "Create and Register Your Schema App" of
developer.smartthings.com, read in November 2026.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..client import token_endpoint
from ..client.http import PeerResponse
from ..core import protocol
from ..core.database import atomic, tried_again
from ..dialects import dialect_of, st_schema
from ..dialects.smartthings import SmartThingsDialect
from ..exceptions import AddressRefused, NotLinked
from ..links import lifecycle
from ..links.outgoing_access import fresh_access_token
from ..models import Link, Reason
from ..secret import Secret
from .preset import ConsoleEntry, Preset, Question

_CREDENTIALS = _(
    "Registration of the Schema App. Not the client ID and secret that you enter for your own cloud"
)
_WEBHOOK = _("The address of your own view for all messages. It calls take_handover() first")

PRESET = Preset(
    dialect="smartthings",
    name="SmartThings",
    questions=(
        Question(
            "client_id",
            "SmartThings client ID (stClientId)",
            _CREDENTIALS,
            r"[!-~]{1,255}",
            "0a1b2c3d-0000-4000-8000-0123456789ab",
            field="client_id",
        ),
        Question(
            "client_secret",
            "SmartThings client secret (stClientSecret)",
            _CREDENTIALS,
            r"[!-~]{1,1024}",
            "0123456789abcdef",
            field="client_secret",
        ),
    ),
    values={
        "token_endpoint": "https://c2c-us.smartthings.com/oauth/token",
        "homepage": "https://www.smartthings.com/",
    },
    redirect_uris=tuple(
        f"https://c2c-{region}.smartthings.com/oauth/callback" for region in ("us", "eu", "ap")
    ),
    console=(
        ConsoleEntry("Hosting type", "webhook", _("Not AWS Lambda")),
        ConsoleEntry("Target URL", "https://YOUR-SITE/YOUR-WEBHOOK/", _WEBHOOK),
        ConsoleEntry("Client ID", "{client_id}"),
        ConsoleEntry("Client secret", "{client_secret}"),
        ConsoleEntry("OAuth URL", "{authorization_endpoint}"),
        ConsoleEntry("OAuth scope", "{scope_here}"),
        ConsoleEntry("Token refresh URL", "{token_endpoint}"),
    ),
    limits=(
        _("People begin in the SmartThings app, not at this site."),
        _("SmartThings has no address at which this site can revoke its tokens there."),
    ),
    page="smartthings",
)


@sensitive_variables()
def send_callback(
    link: Link,
    message: Mapping[str, Any],
    interaction: Literal["stateCallback", "discoveryCallback"] = "stateCallback",
) -> None:
    """Send a message to the callback address that SmartThings named for ``link``. If SmartThings
    refuses the access token, refresh it once and send the message again.

    If SmartThings responds that the person has removed the connector, end the link.

    :param message: the members of the message: ``deviceState`` for a ``stateCallback``, ``devices``
        for a ``discoveryCallback``. ``headers`` and ``authentication`` are added.
    :raises NotLinked: the link has no working outgoing access, or has ended just now.
    :raises PeerRefused: SmartThings refuses the message, perhaps with status 200.
    :raises PeerError: the message was not sent, or there was no response: see
        :func:`.outgoing_access.fresh_access_token` and :mod:`reciprocal_oauth.client.http`.
    :raises TypeError, ValueError: ``message`` cannot be written as JSON.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    json.dumps(message, allow_nan=False)
    token = fresh_access_token(link)
    response = _post(link, token, message, interaction)
    if _refuses_token(response) and link.refresh_token:
        token = fresh_access_token(link, not_this=token)
        response = _post(link, token, message, interaction)
    error = st_schema.error_in(response)
    if error == st_schema.INTEGRATION_DELETED:
        _end(link, token)
        raise NotLinked(f"The connector of link {link.pk} was removed at SmartThings.")
    if error is not None or not response.is_success:
        raise st_schema.refusal(response)


@sensitive_variables()
def _post(link: Link, token: Secret, message: Mapping[str, Any], interaction: str) -> PeerResponse:
    dialect = dialect_of(link.peer, link.data)
    url = dialect.data.get("stateCallback", "")
    if not isinstance(dialect, SmartThingsDialect) or not url:
        raise NotLinked(f"Link {link.pk} has no callback address of SmartThings.")
    if url not in dialect.addresses["stateCallback"]:
        raise AddressRefused(f"The callback address of link {link.pk} is not one of SmartThings.")
    return token_endpoint.post_json(
        link.peer,
        url,
        {
            **message,
            "headers": st_schema.headers_of(interaction),
            "authentication": {"tokenType": "Bearer", "token": token.reveal()},
        },
        addresses=dialect.addresses["stateCallback"] | dialect.addresses["oauthToken"],
    )


def _refuses_token(response: PeerResponse) -> bool:
    error = st_schema.error_in(response)
    if error == st_schema.INTEGRATION_DELETED:
        return False
    is_dead = error is not None and st_schema.refusal(response).error == protocol.INVALID_GRANT
    return is_dead or response.status == 401


@tried_again
def _end(link: Link, token: Secret) -> None:
    """End the link, if it still has the access token to which the response belongs. The person may
    have added the connector again."""
    with atomic():
        stored = Link.objects.select_for_update().filter(pk=link.pk).first()
        if stored is not None and stored.access_token == token:
            lifecycle.end_link(link, Reason.REVOKED_BY_PEER, revoke_outgoing=False)
