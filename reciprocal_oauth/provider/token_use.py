"""Checks whether a peer may use an access token now, and limits the scope of the token. This is
checked at each use, because a person can, for example, remove a scope after the token was issued.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import Error, connections
from django.utils import timezone
from oauth2_provider.models import get_access_token_model
from oauthlib.common import Request

from ..core import scopes
from ..core.database import atomic, database, on_commit
from ..core.throttle import Throttle
from ..links import incoming_access
from ..links.incoming_access import peer_of
from ..models import Link
from . import token_rules

logger = logging.getLogger("reciprocal_oauth.provider")

#: The time of the last use of a link is written at most once in this period.
USE_RECORDED_EVERY = timedelta(hours=1)


def token_is_usable(validator: Any, scopes: Any, request: Request) -> bool:
    """Return whether the client may use an access token that DOT has found valid.

    A token must have the required ``scopes``, and must not be a registration access token. If the
    client belongs to a peer, the peer, the user and the link must also be active, and must still
    allow these scopes. If the token is refused, set ``request.oauth2_error`` to ``invalid_token``
    or ``insufficient_scope`` (RFC 6750, section 3.1).
    """
    access_token = request.__dict__.get("access_token")
    if not isinstance(access_token, get_access_token_model()):
        # A site can have a validator class of its own that accepts other tokens than those of DOT.
        # They are not checked here.
        return True
    if request.__dict__.get("_usable_token") is access_token:
        return True  # Already checked: DOT's class and our mixin both call this function.
    if incoming_access.is_registration_token(access_token) or (
        not narrow_to_current_limits(access_token)
    ):
        validator._set_oauth2_error_on_request(request, None, scopes)
        return False
    if not access_token.allow_scopes(scopes):
        validator._set_oauth2_error_on_request(request, access_token, scopes)
        return False
    request.scopes = list(access_token.scopes)
    request._usable_token = access_token
    return True


def narrow_to_current_limits(access_token: Any) -> bool:
    """Limit the scope of ``access_token`` to the scopes that its peer may use at this time. Change
    only the object in memory, not the database row. Do nothing if the client belongs to no peer.

    :returns: ``False`` if the peer must not use the token at all; otherwise ``True``.
    """
    application, user = access_token.application, access_token.user
    peer = peer_of(application)
    if peer is None:
        return True
    if not token_rules.may_hold_tokens(application, user):
        return False
    limit, link = peer.limit, None
    if user is not None:
        links = Link.objects.filter(peer=peer, user=user)
        # Read only the active links. A user can have many ended links, and reading them would make
        # every request of the peer slower.
        active = list(links.filter(status=Link.Status.ACTIVE).order_by("-created_at"))
        link = incoming_access.find_link(access_token, active)
        if link is not None:
            link.peer = peer
            limit = link.incoming_limit
        elif active or links.exists():
            return False
        # Otherwise the user has no link with the peer. For example, the client got this token
        # before it became the client of the peer. Only peer.limit limits such a token.
    kept = scopes.cut(access_token.scope, limit)
    # Without a scope, refuse the token. There is one exception: a token of the client credentials
    # grant has no user, and may have been issued without a scope.
    if not kept and (access_token.scope or user is not None):
        return False
    if link is not None:
        _record_use(link)
    access_token.scope = kept
    return True


def _record_use(link: Link) -> None:
    """After the caller's transaction has committed, record that the peer has used the link.

    With ``ATOMIC_REQUESTS``, the caller's transaction lasts as long as the request. A write inside
    that transaction would keep the link locked, and workers that deliver reciprocal codes for the
    link would have to wait.
    """
    before, now = link.last_used_at, timezone.now()
    if before is None or before <= now - USE_RECORDED_EVERY:
        on_commit(lambda: _write_last_used(link.pk, before, now))


def _write_last_used(pk: UUID, before: datetime | None, now: datetime) -> None:
    """Write the time at which the peer last used the link. If the row of the link is locked or the
    write fails, the time is not written: the next request of the peer tries it again."""
    can_skip = connections[database()].features.has_select_for_update_skip_locked
    try:
        with atomic():
            unnoted = Link.objects.filter(pk=pk, last_used_at=before)
            if unnoted.select_for_update(skip_locked=can_skip).values_list("pk").first():
                Link.objects.filter(pk=pk).update(last_used_at=now)
    except Error as error:
        if Throttle("use-not-noted", limit=1).count(""):
            logger.warning(
                "The time of the last use of a link could not be saved: %s", type(error).__name__
            )
