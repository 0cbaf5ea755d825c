"""Checks and stores a reciprocal code that a peer sends to this site.

This is step (E) in the figure of draft-ietf-oauth-reciprocal-04, section 2. The order of the checks
is the order in section 2.2.2 of the draft. Every problem with the access token causes the same
error, ``invalid_grant`` (RFC 6749, section 5.2), so somebody who sends a stolen token cannot find
out why this site refuses the token.
"""

import logging
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError
from django.db.models.functions import Now
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_application_model

from .. import signals
from ..conf import settings
from ..core import protocol, telemetry
from ..core.database import atomic, rows_of, tried_again
from ..core.hashing import hash_of
from ..dialects import dialect_of
from ..exceptions import Cause, HandoverRefused
from ..links import grant_policy, incoming_access
from ..models import InboxItem, Link, Party, Peer, Step, peer_data
from ..models.events import record_event
from ..secret import Secret
from .link_opening import link_of_token

logger = logging.getLogger("reciprocal_oauth.party_b")

_MINUTE = 60
#: The value of ``Retry-After``, in seconds, in the response to a paused peer (a peer that refused
#: the credentials of this site, or whose endpoint no longer exists). The value is large, because
#: the pause lasts until an administrator ends it.
_PAUSED_RETRY_SECONDS = 600
#: When a newer code for the same link arrives, this site redeems the older codes at the earliest
#: after this number of seconds, so that it redeems the newer code first.
OLDER_CODES_DELAY_SECONDS = 5


@tried_again
def receive(
    application: Any,
    code: Secret,
    access_token: Secret,
    *,
    accepts: Callable[[Any], bool] = lambda token: True,
    data: Mapping[str, str] | None = None,
) -> InboxItem:
    """Store ``code``, which the client ``application`` hands over for the user of ``access_token``
    (draft-ietf-oauth-reciprocal-04, section 2.2.2). If the peer sends the same code again, the
    result is the same as for the first time.

    :param application: the client, which has already authenticated.
    :param accepts: the site's own rule: a function that gets DOT's row of the access token, and
        returns whether the site accepts it.
    :param data: values that the dialect of the peer needs to redeem the code.
    :returns: the inbox row in which the code is stored, already committed. If the dialect of the
        peer demands that the code is redeemed first, the row is already claimed for the caller.
    :raises HandoverRefused: ``unauthorized_client`` or ``invalid_grant`` (RFC 6749, section 5.2);
        status 429 if the peer sent too many codes for the user; status 503 if the peer is paused.
    """
    token = _find_access_token(access_token)
    if token is not None and token.application_id == application.pk:
        application = token.application  # This object already contains the peer: saves a query.
    peer = _check_peer(application)
    _check_token(application, token, accepts)
    if not grant_policy.allows(token.user, application, token.scope):
        raise _invalid_grant("the rules of the site do not allow the user to connect this peer")
    try:
        with atomic():
            return _store_code(peer, token, code, data or {})
    except HandoverRefused:
        # There were too many codes in the last minute. But if this code is already stored, the
        # response is success, as for the first time.
        if known := _find_received(peer, token, code):
            return known
        raise
    except IntegrityError:
        # The INSERT has failed, because the code is already stored. Searching for the code before
        # the INSERT would cost one more query for every code, so search for it only now.
        with atomic():
            return _find_received(peer, token, code) or _store_code(peer, token, code, data or {})


def _check_peer(application: Any) -> Peer:
    """Return the peer that the client ``application`` belongs to.

    :raises HandoverRefused: ``unauthorized_client`` if there is no such peer, if it is disabled, or
        if this site could not redeem its codes; status 503 with ``Retry-After`` if the peer is
        paused, or if there is no dialect with the name in ``Peer.dialect`` (RFC 9110, section
        10.2.3).
    """
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled:
        raise HandoverRefused(
            protocol.UNAUTHORIZED_CLIENT, "the client is no peer, or the peer is disabled"
        )
    if peer.paused_at is not None:
        # Do not store the code: it would expire during the pause, because a code should be valid
        # for ten minutes at most (RFC 6749, section 4.1.2).
        raise HandoverRefused(
            protocol.TEMPORARILY_UNAVAILABLE,
            "the peer is paused",
            status=503,
            retry_after=_PAUSED_RETRY_SECONDS,
        )
    try:
        dialect_of(peer)
    except ImproperlyConfigured as error:
        # Do not store the code: nothing could redeem it.
        logger.error("Peer %s can hand over nothing: %s", peer.slug, error)
        raise HandoverRefused(
            protocol.TEMPORARILY_UNAVAILABLE,
            "the dialect of the peer cannot be used",
            status=503,
            retry_after=_PAUSED_RETRY_SECONDS,
        ) from None
    if not peer.sends_codes:
        # A request without a client ID would look like wrong credentials, and pause the peer.
        raise HandoverRefused(
            protocol.UNAUTHORIZED_CLIENT, "this site could not redeem a code of this peer"
        )
    return peer


def _find_access_token(access_token: Secret) -> Any:
    """Return DOT's row of the access token, with its user, its application and the peer; ``None``
    if the token is unknown.

    Search for the checksum of the token, not for the token: MariaDB ignores case when it compares
    texts, so it would also find a token that differs in upper and lower case. Read only the columns
    that are needed, because reading all columns would take longer than the rest of the request.
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
                "client_id",
                "dialect",
            ),
        )
        .filter(token_checksum=hash_of(access_token.reveal()))
        .first()
    )


def _columns(relation: str, model: Any, *names: str) -> list[str]:
    """Return field names for ``QuerySet.only()``: the primary key of ``model`` and the fields
    ``names``, each with the prefix ``relation``.

    For example, the relation ``user`` with the name ``is_active`` gives ``user__id`` and
    ``user__is_active``. Names that are not fields of ``model`` are left out, because the site's own
    user model or application model may lack a field.
    """
    known = {field.name for field in model._meta.concrete_fields}
    return [f"{relation}__{name}" for name in (model._meta.pk.name, *names) if name in known]


def _check_token(application: Any, token: Any, accepts: Callable[[Any], bool]) -> None:
    """Check that the access token is valid, and was granted to ``application`` for an active user.

    "Party B MUST then verify the access token was granted to the client identified by the
    client_id" (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :raises HandoverRefused: ``invalid_grant`` if a check fails (RFC 6749, section 5.2).
    """
    if token is None:
        raise _invalid_grant("the access token is unknown")
    if token.application_id != application.pk:
        raise _invalid_grant("the access token was granted to another client")
    if token.is_expired():
        raise _invalid_grant("the access token has expired", Cause.TOKEN_EXPIRED)
    if incoming_access.is_registration_token(token):
        raise _invalid_grant("it is a registration access token, which stands for no user")
    if token.user is None:
        raise _invalid_grant("the access token stands for no user")
    if not token.user.is_active:
        raise _invalid_grant("the user is not active")
    if not accepts(token):
        raise _invalid_grant("the site does not accept the access token")


def _find_received(peer: Peer, token: Any, code: Secret) -> InboxItem | None:
    """If the peer has sent ``code`` before, return its inbox row. Otherwise return ``None``.

    :raises HandoverRefused: ``invalid_grant`` if the peer sent the code for another user before.
    """
    rows = InboxItem.objects.select_related("link").filter(peer=peer)
    known = rows.filter(code_hash=hash_of(code.reveal())).first()
    if known is None:
        return None
    known.peer = peer  # This object is already loaded: saves a query.
    if known.link.user_id != token.user_id:
        raise _invalid_grant("the code was handed over for another user before", Cause.CODE)
    return known


def _store_code(peer: Peer, token: Any, code: Secret, data: Mapping[str, str]) -> InboxItem:
    """Store the code for the link that the access token belongs to. A worker redeems the code
    later, or the caller redeems it at once.

    :raises HandoverRefused: status 429 if the peer sent too many codes for the user.
    """
    link = link_of_token(peer, token)
    now = timezone.now()
    recent = _recent_codes(peer, token.user_id, now)
    _check_rate([created_at for _state, created_at in recent], now)
    item = InboxItem(
        peer=peer,
        link=link,
        code=code,
        code_hash=hash_of(code.reveal()),
        peer_data=peer_data.written(data),
        trace_parent=telemetry.trace_parent(),
    )
    if dialect_of(peer).redeems_first:
        _claim(item)
    item.save(force_insert=True)
    if any(state == InboxItem.State.PENDING for state, _created_at in recent):
        _delay_older_codes(item, now)
    record_event(link, Step.E, party=Party.B)
    signals.send_after_commit(signals.handover_received, Link, link=link)
    return item


def _claim(item: InboxItem) -> None:
    """Claim the new row for the request that stores it, so that no worker takes it. The share of
    the peer (``DELIVERIES_PER_PEER``) does not limit such claims: the peer waits for each result,
    and would get failures in a burst."""
    item.is_awaited = True
    item.state, item.attempts = InboxItem.State.CLAIMED, 1
    item.lease_owner = secrets.token_hex(16)
    item.lease_until = Now() + timedelta(seconds=settings.LEASE_SECONDS)


def _recent_codes(peer: Peer, user_id: Any, now: datetime) -> list[tuple[str, datetime]]:
    """Return the state and the time of each code that the peer has sent for this user in the last
    minute, the oldest first. The caller has locked the link, so no other request can store a code
    for the link at the same time."""
    # Filter on link__peer, although peer would have the same result: with a filter on peer, SQLite
    # would read all inbox rows of the peer, not only the rows of this user.
    rows = InboxItem.objects.filter(
        link__peer=peer, link__user_id=user_id, created_at__gt=now - timedelta(seconds=_MINUTE)
    )
    return list(rows.order_by("created_at").values_list("state", "created_at"))


def _check_rate(times: Sequence[datetime], now: datetime) -> None:
    """Check that the peer sends at most ``HANDOVERS_PER_MINUTE`` codes per minute for one user. The
    number is limited because this site sends a request to the peer for each code.

    :param times: when the codes of the last minute were stored, the oldest first.
    :raises HandoverRefused: status 429 with ``Retry-After`` if the limit is reached (RFC 6585,
        section 4).
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
    """Delay the older codes of the link, so that the newest code is redeemed first.

    When the peer creates a new code, it revokes its older codes. So the code that arrives last is
    probably the only valid code. But codes can arrive in the wrong order, so keep the older codes:
    a worker tries them if the peer refuses the newest code.
    """
    older = item.link.inbox.filter(state=InboxItem.State.PENDING, pk__lt=item.pk)
    later = now + timedelta(seconds=OLDER_CODES_DELAY_SECONDS)
    older.filter(next_attempt_at__lt=later).update(next_attempt_at=later, updated_at=now)


def _invalid_grant(log: str, cause: Cause = Cause.TOKEN_UNKNOWN) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_GRANT, log, cause=cause)
