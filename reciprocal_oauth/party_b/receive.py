"""Step (E): deciding on a code that a peer hands over, and keeping it.

The checks stand in the order of the draft ("Reciprocal Authorization Code"). A peer learns the same
``invalid_grant`` for every fault of the access token: it must not find out whose token it has.
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
#: What a peer is asked to wait that is paused: an administrator has to see to it.
_PAUSED_RETRY_SECONDS = 600
#: How long codes that came earlier wait for a newer one of the same link to be redeemed.
OLDER_CODES_WAIT_SECONDS = 5


@tried_again
def receive(
    application: Any,
    code: Secret,
    access_token: Secret,
    *,
    accepts: Callable[[Any], bool] = lambda token: True,
) -> InboxItem:
    """Keep ``code``, which the authenticated client ``application`` hands over for the user whom
    ``access_token`` stands for. The same code again is answered like the first time.

    :param accepts: the site's own opinion on DOT's row of the access token.
    :returns: the committed inbox row.
    :raises HandoverRefused: ``unauthorized_client``, ``invalid_grant``, or too many at once (429).
    """
    token = _find(access_token)
    if token is not None and token.application_id == application.pk:
        application = token.application  # Has its peer with it: one query less.
    peer = _check_peer(application)
    _check_token(application, token, accepts)
    if not grant_policy.allows(token.user, application, token.scope):
        raise _invalid("the rules of the site do not allow the user to connect this peer")
    try:
        with atomic():
            return _keep(peer, token, code)
    except HandoverRefused:
        # Too many; but a code that was taken is answered like the first time.
        if known := _kept(peer, token, code):
            return known
        raise
    except IntegrityError:
        # Sent before, or at the same moment by another request. Not looked for beforehand: that
        # would cost every hand-over a query.
        with atomic():
            return _kept(peer, token, code) or _keep(peer, token, code)


def _check_peer(application: Any) -> Peer:
    peer = incoming_access.peer_of(application)
    if peer is None or not peer.enabled:
        raise HandoverRefused(
            protocol.UNAUTHORIZED_CLIENT, "the client is no peer, or the peer is disabled"
        )
    if peer.paused_at is not None:
        # Its code would be dead by the time that it can be redeemed.
        raise HandoverRefused(
            protocol.TEMPORARILY_UNAVAILABLE,
            "the peer is paused",
            status=503,
            retry_after=_PAUSED_RETRY_SECONDS,
        )
    return peer


def _find(access_token: Secret) -> Any:
    """DOT's row of the presented token, by its hash: MariaDB would take another text for it.

    With its user, its application and that one's peer, of which only what is decided on is read:
    all their columns would cost more than everything else together.
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
    """The key of ``model`` and those of ``names`` that are columns of it, through ``relation``."""
    known = {field.name for field in model._meta.concrete_fields}
    return [f"{relation}__{name}" for name in (model._meta.pk.name, *names) if name in known]


def _check_token(application: Any, token: Any, accepts: Callable[[Any], bool]) -> None:
    """ "Party B MUST then verify the access token was granted to the client identified by the
    client_id"."""
    if token is None:
        raise _invalid("the access token is unknown")
    if token.application_id != application.pk:
        raise _invalid("the access token was granted to another client")
    if token.is_expired():
        raise _invalid("the access token has expired")
    if incoming_access.is_registration_token(token):
        raise _invalid("the access token is for the client's registration, and stands for no user")
    if token.user is None:
        raise _invalid("the access token stands for no user")
    if not token.user.is_active:
        raise _invalid("the user is not active")
    if not accepts(token):
        raise _invalid("the site does not accept the access token")


def _kept(peer: Peer, token: Any, code: Secret) -> InboxItem | None:
    """The row of a code that was handed over before."""
    rows = InboxItem.objects.select_related("link").filter(peer=peer)
    known = rows.filter(code_hash=hash_of(code.reveal())).first()
    if known is not None and known.link.user_id != token.user_id:
        raise _invalid("the code was handed over for another user before")
    return known


def _keep(peer: Peer, token: Any, code: Secret) -> InboxItem:
    link = link_of_token(peer, token)
    now = timezone.now()
    recent = _recent(peer, token.user_id, now)
    _check_pace([created_at for _state, created_at in recent], now)
    item = InboxItem.objects.create(
        peer=peer, link=link, code=code, code_hash=hash_of(code.reveal())
    )
    if any(state == InboxItem.State.PENDING for state, _created_at in recent):
        _let_go_first(item, now)
    record_event(link, Step.E, party=Party.B)
    signals.send_after_commit(signals.handover_received, Link, link=link)
    return item


def _recent(peer: Peer, user_id: Any, now: datetime) -> list[tuple[str, datetime]]:
    """State and time of the codes that the peer handed over for this user in the last minute, the
    oldest first. The link's lock keeps others out."""
    # By the peer of the link: by its own, SQLite would go through all rows of the peer.
    rows = InboxItem.objects.filter(
        link__peer=peer, link__user_id=user_id, created_at__gt=now - timedelta(seconds=_MINUTE)
    )
    return list(rows.order_by("created_at").values_list("state", "created_at"))


def _check_pace(times: Sequence[datetime], now: datetime) -> None:
    """Each code costs a request to the peer's token endpoint: no more of them in a minute than
    ``HANDOVERS_PER_MINUTE``."""
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


def _let_go_first(item: InboxItem, now: datetime) -> None:
    """The code that came last is most likely the one that counts: party A kills the older ones
    when it mints. Where they overtook each other on the way, the older ones get their turn after
    it has been refused."""
    older = item.link.inbox.filter(state=InboxItem.State.PENDING, pk__lt=item.pk)
    later = now + timedelta(seconds=OLDER_CODES_WAIT_SECONDS)
    older.filter(next_attempt_at__lt=later).update(next_attempt_at=later, updated_at=now)


def _invalid(log: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_GRANT, log)
