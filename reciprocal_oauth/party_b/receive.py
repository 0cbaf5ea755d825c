"""Step (E): checks a code that a peer hands over, and stores it.

The checks follow the order of draft-ietf-oauth-reciprocal-04, section 2.2.2. For each fault of the
access token the response is the same ``invalid_grant`` (RFC 6749, section 5.2), so that the sender
of a stolen token learns nothing about it.
"""

import logging
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import IntegrityError
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from .. import signals
from ..conf import settings
from ..core import protocol
from ..core.database import atomic, rows_of, tried_again
from ..core.hashing import hash_of
from ..exceptions import HandoverRefused
from ..links import grant_policy, incoming_access
from ..models import InboxItem, Link, Party, Peer, Step
from ..models.events import record_event
from ..secret import Secret
from .link_opening import link_of_token

logger = logging.getLogger("reciprocal_oauth.party_b")

_MINUTE = 60
#: ``Retry-After`` for a paused peer, in seconds: an administrator needs to end the pause.
_PAUSED_RETRY_SECONDS = 600
#: Seconds by which older codes are delayed, so that a newer code of the link is redeemed first.
OLDER_CODES_DELAY_SECONDS = 5


@tried_again
def receive(
    application: Any,
    code: Secret,
    access_token: Secret,
    *,
    accepts: Callable[[Any], bool] = lambda token: True,
) -> InboxItem:
    """Store ``code``, which the client ``application`` hands over for the user of ``access_token``.

    draft-ietf-oauth-reciprocal-04, section 2.2.2. The same code again gives the same result.

    :param application: the client that has authenticated.
    :param accepts: the site's own rule on the access token (DOT's row).
    :returns: the committed inbox row.
    :raises HandoverRefused: ``unauthorized_client`` or ``invalid_grant`` (RFC 6749, section 5.2);
        429: too many codes for the user; 503: the peer is paused.
    """
    token = _find_access_token(access_token)
    if token is not None and token.application_id == application.pk:
        application = token.application  # Its peer is already loaded: saves a query.
    peer = _check_peer(application)
    _check_token(application, token, accepts)
    if not grant_policy.allows(token.user, application, token.scope):
        raise _invalid_grant("the rules of the site do not allow the user to connect this peer")
    try:
        with atomic():
            return _store_code(peer, token, code)
    except HandoverRefused:
        # Too many codes in a minute; but a code that is already stored gets the same response.
        if known := _find_received(peer, token, code):
            return known
        raise
    except IntegrityError:
        # The code is already stored. Looking for it first would cost each hand-over a query.
        with atomic():
            return _find_received(peer, token, code) or _store_code(peer, token, code)


def _check_peer(application: Any) -> Peer:
    """The peer of the client.

    :raises HandoverRefused: ``unauthorized_client``; or 503 with ``Retry-After``, if it is paused.
    """
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled:
        raise HandoverRefused(
            protocol.UNAUTHORIZED_CLIENT, "the client is no peer, or the peer is disabled"
        )
    if peer.paused_at is not None:
        # The code would expire before it can be redeemed (RFC 6749, section 4.1.2: ten minutes).
        raise HandoverRefused(
            protocol.TEMPORARILY_UNAVAILABLE,
            "the peer is paused",
            status=503,
            retry_after=_PAUSED_RETRY_SECONDS,
        )
    return peer


def _find_access_token(access_token: Secret) -> Any:
    """DOT's row of the access token, with its user, application and peer; ``None``: unknown.

    Searches by the checksum: MariaDB compares texts without regard to case. Reads only the columns
    that are needed: reading all of them would take longer than the rest of the request.
    """
    tokens = rows_of(get_access_token_model())
    return (
        tokens.select_related("user", "application__reciprocal_peer")
        .only(
            "scope",
            "expires",
            "source_refresh_token",
            *_columns("user", get_user_model(), "is_active"),
            *_columns("application", get_application_model(), "client_id"),
            *_columns(
                "application__reciprocal_peer",
                Peer,
                "enabled",
                "paused_at",
                "slug",
                "allowed_scope",
                "bound_to",
            ),
        )
        .filter(token_checksum=hash_of(access_token.reveal()))
        .first()
    )


def _columns(relation: str, model: Any, *names: str) -> list[str]:
    """Lookups through ``relation`` of the primary key and of those ``names`` that ``model`` has."""
    known = {field.name for field in model._meta.concrete_fields}
    return [f"{relation}__{name}" for name in (model._meta.pk.name, *names) if name in known]


def _check_token(application: Any, token: Any, accepts: Callable[[Any], bool]) -> None:
    """Require a valid access token that was granted to ``application`` for an active user.

    "Party B MUST then verify the access token was granted to the client identified by the
    client_id" (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :raises HandoverRefused: ``invalid_grant`` (RFC 6749, section 5.2).
    """
    if token is None:
        raise _invalid_grant("the access token is unknown")
    if token.application_id != application.pk:
        raise _invalid_grant("the access token was granted to another client")
    if token.is_expired():
        raise _invalid_grant("the access token has expired")
    if incoming_access.is_registration_token(token):
        raise _invalid_grant("it is a registration access token, which stands for no user")
    if token.user is None:
        raise _invalid_grant("the access token stands for no user")
    if not token.user.is_active:
        raise _invalid_grant("the user is not active")
    if not accepts(token):
        raise _invalid_grant("the site does not accept the access token")


def _find_received(peer: Peer, token: Any, code: Secret) -> InboxItem | None:
    """The row of a code that was handed over before; ``None``: it is new.

    :raises HandoverRefused: ``invalid_grant``: the code was handed over for another user.
    """
    rows = InboxItem.objects.select_related("link").filter(peer=peer)
    known = rows.filter(code_hash=hash_of(code.reveal())).first()
    if known is not None and known.link.user_id != token.user_id:
        raise _invalid_grant("the code was handed over for another user before")
    return known


def _store_code(peer: Peer, token: Any, code: Secret) -> InboxItem:
    """Store the code on the link of the token, to be redeemed.

    :raises HandoverRefused: 429: too many codes for the user.
    """
    link = link_of_token(peer, token)
    now = timezone.now()
    recent = _recent_codes(peer, token.user_id, now)
    _check_rate([created_at for _state, created_at in recent], now)
    item = InboxItem.objects.create(
        peer=peer, link=link, code=code, code_hash=hash_of(code.reveal())
    )
    if any(state == InboxItem.State.PENDING for state, _created_at in recent):
        _delay_older_codes(item, now)
    record_event(link, Step.E, party=Party.B)
    signals.send_after_commit(signals.handover_received, Link, link=link)
    return item


def _recent_codes(peer: Peer, user_id: Any, now: datetime) -> list[tuple[str, datetime]]:
    """State and time of the codes that the peer has handed over for this user in the last minute,
    oldest first. The lock of the link excludes other requests."""
    # Filter on link__peer: on peer, SQLite scans every row of the peer.
    rows = InboxItem.objects.filter(
        link__peer=peer, link__user_id=user_id, created_at__gt=now - timedelta(seconds=_MINUTE)
    )
    return list(rows.order_by("created_at").values_list("state", "created_at"))


def _check_rate(times: Sequence[datetime], now: datetime) -> None:
    """Allow at most ``HANDOVERS_PER_MINUTE`` codes: each one costs a request to the peer.

    :raises HandoverRefused: 429 with ``Retry-After`` (RFC 6585, section 4).
    """
    limit = settings.HANDOVERS_PER_MINUTE
    if not limit or len(times) < limit:
        return
    wait = _MINUTE - (now - times[-limit]).total_seconds()
    raise HandoverRefused(
        protocol.TEMPORARILY_UNAVAILABLE,
        "too many codes for this user in a minute",
        status=429,
        retry_after=max(math.ceil(wait), 1),
    )


def _delay_older_codes(item: InboxItem, now: datetime) -> None:
    """Delay older codes of the link, so that the newest is redeemed first.

    Party A revokes older codes when it makes a new one, so the newest is most likely valid. If the
    codes have arrived in another order, the older ones are tried after the newest was refused.
    """
    older = item.link.inbox.filter(state=InboxItem.State.PENDING, pk__lt=item.pk)
    later = now + timedelta(seconds=OLDER_CODES_DELAY_SECONDS)
    older.filter(next_attempt_at__lt=later).update(next_attempt_at=later, updated_at=now)


def _invalid_grant(log: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_GRANT, log)
