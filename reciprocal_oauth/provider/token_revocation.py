"""Updates a link when its peer revokes a token (RFC 7009), or when DOT refuses a refresh token of
the peer."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from ..compat import oauth2_settings
from ..core.database import atomic, rows_of, tried_again
from ..core.hashing import hash_of
from ..links import incoming_access, lifecycle, lost_access
from ..links.incoming_access import peer_of
from ..models import Link
from ..secret import Secret


@tried_again
def revoke_token(token: str, application: Any, revoke_in_dot: Callable[[], None]) -> None:
    """Revoke ``token``, because its client asks for it (RFC 7009, section 2.1).

    If the client belongs to a peer, and the peer has no other valid token for the link, end the
    link. This also deletes the tokens with which this site uses the account at the peer.

    :param revoke_in_dot: DOT's own method, which revokes the token.
    """
    link = _link_of_token(token, application)
    if link is None:
        revoke_in_dot()
        return
    with atomic():
        # Lock the link before DOT locks its tokens. All code of this app locks in this order, to
        # prevent deadlocks.
        Link.objects.select_for_update().filter(pk=link.pk).first()
        is_refresh_token = _is_accepted_refresh_token(token, application)
        revoke_in_dot()
        if is_refresh_token:
            # "If the particular token is a refresh token [...] the authorization server SHOULD also
            # invalidate all access tokens based on the same authorization grant" (RFC 7009, section
            # 2.1).
            incoming_access.revoke_family(link, link.incoming_family)
        if not incoming_access.has_live_tokens(link):
            lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=False)


@tried_again
def end_link_of(access_token: Secret, application: Any) -> bool:
    """End the link that ``access_token`` belongs to, because the peer says that the person has
    ended it there. The token can be expired. If the token belongs to no link, revoke only the
    token, its refresh token and their family. Do nothing if the token is unknown, or belongs to
    another client.

    :returns: whether the token is a known one of this client.
    """
    token = access_token.reveal()
    link = _link_of_token(token, application)
    if link is not None:
        # Unlike after a revocation (RFC 7009), the tokens of this site at the peer may still work.
        lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=True)
        return True
    own = {"token_checksum": hash_of(token), "application_id": application.pk}
    with atomic():
        row = rows_of(get_access_token_model()).filter(**own).first()
        if row is None or incoming_access.is_registration_token(row):
            return False
        for family in list(incoming_access.token_families(row)):
            get_refresh_token_model().revoke_family(family)
        incoming_access.revoke_access_tokens([row.pk])
    return True


def record_refused_refresh(refresh_token: str, application: Any) -> None:
    """Record that the peer has lost its access at this site, after DOT has refused
    ``refresh_token``, for example because the token has expired.

    Record it on the link that stores the token family of ``refresh_token`` (DOT's ``token_family``,
    which all tokens from one grant share). Do nothing if the peer has a valid token for this link.
    """
    peer = peer_of(application)
    if peer is None:
        return
    families = _families_of_refresh_token(refresh_token, application)
    lost_access.record_lost_access(Link.objects.filter(peer=peer, incoming_family__in=families))


def _is_accepted_refresh_token(token: str, application: Any) -> bool:
    """Return whether ``token`` is a refresh token that DOT accepts.

    This includes a refresh token that was replaced by a new token a short time ago: DOT accepts it
    until the end of a grace period. If the response with the new token was lost, the old token is
    the only token that the peer can revoke.
    """
    grace = timedelta(seconds=oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS)
    own = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(token), application_id=application.pk
    )
    taken = Q(revoked__isnull=True) | Q(revoked__gt=timezone.now() - grace)
    return own.filter(taken, token_family__isnull=False).exists()


def _link_of_token(token: str, application: Any) -> Link | None:
    """Return the active link that ``token`` belongs to, or ``None`` if there is none. The token is
    an access token or a refresh token of the client ``application``."""
    peer = peer_of(application)
    if peer is None:
        return None
    own = {"token_checksum": hash_of(token), "application_id": application.pk}
    active = Link.objects.filter(peer=peer, status=Link.Status.ACTIVE)
    access_token = rows_of(get_access_token_model()).filter(**own).first()
    if access_token is not None:
        links = active.filter(user_id=access_token.user_id).order_by("-created_at")
        link = incoming_access.find_link(access_token, list(links))
        # If no link stores the token family of this token, find_link() returns a link with another
        # family. The revocation of this token must not end that link, so return None.
        families = set(incoming_access.token_families(access_token)) or {None}
        return link if link is not None and link.incoming_family in families else None
    return active.filter(incoming_family__in=_families_of_refresh_token(token, application)).first()


def _families_of_refresh_token(refresh_token: str, application: Any) -> list[UUID]:
    # Read the families into a list, because a queryset would become a subquery of the next query.
    # While PostgreSQL has no statistics about the tables, it would join all rows for the subquery.
    known = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(refresh_token), application_id=application.pk
    )
    return list(known.values_list("token_family", flat=True))
