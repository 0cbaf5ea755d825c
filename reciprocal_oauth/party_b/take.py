"""Takes a hand-over of a peer: checks and stores the code, and redeems it at once if the peer waits
for that.

This is step (E) in the figure of draft-ietf-oauth-reciprocal-04, section 2. All addresses at which
this site accepts reciprocal codes call :func:`take`.
"""

import logging
from collections.abc import Callable
from typing import Any

from ..core import telemetry
from ..dialects.base import Handover
from ..exceptions import HandoverRefused
from ..links import incoming_access
from ..models import InboxItem
from .receive import receive
from .redeem_first import redeem_first

logger = logging.getLogger("reciprocal_oauth.party_b")


def take(
    application: Any,
    handover: Handover,
    *,
    accepts: Callable[[Any], bool],
    started_at: float,
    trace: str = "",
) -> InboxItem:
    """Take a hand-over from the client ``application``. If the dialect of the peer demands it,
    redeem the code first.

    :param application: the client, which has already authenticated, or whose access token is the
        proof.
    :param accepts: the site's own rule: see :func:`.receive.receive`.
    :param started_at: when the request came, as a value of ``time.monotonic()``.
    :param trace: the header ``traceparent`` of the request (W3C Trace Context, section 3.2), if the
        client has authenticated.
    :returns: the inbox row of the code, already committed.
    :raises HandoverRefused: see :func:`.receive.receive` and :func:`.redeem_first.redeem_first`.
    """
    parent = telemetry.trace_of_peer(trace)
    with telemetry.span(telemetry.Step.HANDOVER_RECEIVED, parent=parent) as span:
        item = receive(
            application, handover.code, handover.access_token, accepts=accepts, data=handover.data
        )
        span.set("peer", item.peer.slug)
        redeem_first(item, started_at)
    return item


def site_accepts(validator: Any, token: Any, request: Any) -> bool:
    """Return whether the site accepts the access token that the peer sent with the code.

    A site can add its own rule: it defines a method
    ``validate_reciprocal_access_token(token, client, request)`` in its validator class. Without
    this method, the site accepts the access token. The function :func:`.receive.receive` makes all
    other checks: for example, the token must be valid and belong to an active user.

    :param request: oauthlib's request. Its attribute ``client`` is the client of the peer.
    """
    policy = getattr(validator, "validate_reciprocal_access_token", None)
    return policy is None or bool(policy(token, request.client, request))


def log_refusal(refused: HandoverRefused, client: Any) -> None:
    """Log that a hand-over was refused.

    If the client is known and the status is 400, log a warning with the name of the client: the
    client has a fault or uses a stolen token, so an administrator should look at it. Log every
    other refusal at the level ``INFO``.
    """
    count_refusal(refused, client)
    if refused.status == 400 and client is not None:
        logger.warning(
            "A hand-over was refused: %s (%s)", refused, incoming_access.describe_client(client)
        )
    else:
        logger.info("A hand-over was refused: %s", refused)


def count_refusal(refused: HandoverRefused, client: Any) -> None:
    """Count that a hand-over was refused.

    :param client: the client; ``None`` if it is not known.
    """
    if not telemetry.is_on():
        return
    peer = None if client is None else incoming_access.peer_of(client)
    telemetry.count(
        telemetry.Count.HANDOVER_REFUSALS,
        peer=telemetry.UNKNOWN if peer is None else peer.slug,
        cause=refused.cause.name.lower(),
    )
