"""The rules for tokens that DOT issues to a peer's application, for every grant type.

- The scope of a peer's token stays within three limits: what the person granted, what the peer may
  hold, and the scopes of the site (RFC 6749, section 3.3).
- The token is refused when its user, peer or link is no longer active.
- When a person has started at the peer, the first token opens a link.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..core import scopes
from ..core.database import atomic, rows_of, tried_again
from ..core.hashing import hash_of
from ..links import grant_policy, incoming_access, lifecycle
from ..links.incoming_access import peer_of
from ..models import Link, Peer
from ..party_a import redemption
from ..party_a.redemption import Redemption, Refused
from ..party_b.link_opening import open_link

logger = logging.getLogger("reciprocal_oauth.provider")


def may_ask_for(application: Any, asked: Iterable[str]) -> bool:
    """Whether a client may request these scopes: a peer only up to its limit (RFC 6749, section
    3.3)."""
    peer = peer_of(application)
    return peer is None or set(asked) <= set(scopes.split(peer.allowed_scope))


def default_scopes(application: Any, default: list[str]) -> list[str]:
    """The default scopes of a client, limited to what a peer may hold (RFC 6749, section 3.3)."""
    peer = peer_of(application)
    if peer is None:
        return default
    return scopes.split(scopes.cut(scopes.join(default), peer.allowed_scope))


def may_hold_tokens(application: Any, user: Any) -> bool:
    """Whether this client may hold tokens of this user: a peer only while the peer is enabled and
    the user is active."""
    peer = peer_of(application)
    if peer is None:
        return True
    return peer.enabled and (user is None or user.is_active)


def site_allows(request: Request, asked: Iterable[str]) -> bool:
    """Whether the rules of the site let the user of ``request`` grant these scopes to its client.

    The rules apply to peers only, and only to scopes that the peer may hold.
    """
    if not grant_policy.has_rules():
        return True
    peer = peer_of(request.client)
    if peer is None or request.user is None:
        return True
    return grant_policy.allows(
        request.user, request.client, scopes.cut(scopes.join(asked), peer.limit)
    )


def require_posted_consent(request: Request) -> None:
    """Require that a grant to a peer comes from a posted form, which only the consent page sends.

    Also applies where a view of the site's own skips the page (RFC 6749, section 10.2).

    :raises ConsentRequired: the request of a peer is not a POST (OpenID Connect Core 1.0, section
        3.1.2.6).
    """
    if request.http_method != "POST" and peer_of(request.client) is not None:
        raise errors.ConsentRequired(request=request)


# save_tokens() and token_revocation.revoke_token() take a callback, and are not context managers:
# Django finds the sensitive variables of an error report through the frames of the callers, and the
# frame of a generator has no caller.


def save_tokens(
    token: Any,
    request: Request,
    redeeming: Redemption | None,
    save_in_dot: Callable[[], Any],
) -> Any:
    """Save the tokens of a response under our rules, inside DOT's transaction.

    First locks the link and limits the scope (RFC 6749, section 3.3), then calls ``save_in_dot``,
    then binds the family of the tokens to the link.

    :param redeeming: set if the request redeems a reciprocal code.
    :param save_in_dot: DOT's own method, which saves the tokens.
    :returns: the result of ``save_in_dot``.
    :raises InvalidGrantError: the tokens are refused (RFC 6749, section 5.2), and DOT's transaction
        rolls back: no scope is left; the peer, the user or the link is not active; the rules of the
        site refuse; or another request has redeemed the code or revoked the refresh token.
    :raises ConsentRequired: the person did not see the consent page.
    """
    peer = peer_of(request.client)
    if peer is None:
        _refuse_former_peer(request)
        return save_in_dot()
    require_posted_consent(request)
    user, refreshed = request.user, request.refresh_token_instance
    if not may_hold_tokens(request.client, user):
        raise _refusal(request, "the peer or the user is no longer active")
    if not site_allows(request, scopes.split(token.get("scope", ""))):
        request._refused_by_site = True
        raise _refusal(request, "the rules of the site do not allow it")
    link = _lock_link(peer, request, redeeming, refreshed)
    if link is not None:
        link.peer = peer
    _limit_scope(token, request, link.incoming_limit if link else peer.limit, user)
    saved = save_in_dot()
    family = _saved_family(token)
    if redeeming is not None and link is not None:
        redemption.complete(redeeming, link, family)
    elif link is None and user is not None:
        open_link(peer, user.pk, token["scope"], family)
    return saved


def _refuse_former_peer(request: Request) -> None:
    """Refuse a refresh by a client that was a peer's, for tokens that a link still limits.

    The peer has another application now, so no link would limit the new tokens.

    :raises InvalidGrantError: an active link names the family of the refresh token.
    """
    refreshed = request.refresh_token_instance
    family = None if refreshed is None else refreshed.token_family
    if family and Link.objects.filter(incoming_family=family, status=Link.Status.ACTIVE).exists():
        raise _refusal(request, "the tokens are of a client that was a peer's")


def _lock_link(
    peer: Peer, request: Request, redeeming: Redemption | None, refreshed: Any
) -> Link | None:
    """Lock the link to which the new tokens will belong; ``None``: a new link has to be opened.

    :raises InvalidGrantError: the code was redeemed, or the refresh token was revoked, meanwhile;
        or the person allows nothing any more.
    """
    if redeeming is not None:
        try:
            return redemption.mark_redeemed(redeeming)
        except Refused as refused:
            who = incoming_access.describe_client(request.client)
            logger.warning("A reciprocal code was refused: %s (%s)", refused, who)
            raise errors.InvalidGrantError(request=request) from None
    if refreshed is None:
        return None
    links = Link.objects.filter(peer=peer, user_id=refreshed.user_id)
    active = links.select_for_update().filter(status=Link.Status.ACTIVE)
    link = active.filter(incoming_family=refreshed.token_family).first()
    if link is None:
        # The tokens of another account at the peer, whose link a later login took over. Until a
        # hand-over opens a link for them, they belong to the link that find_link() returns.
        link = active.exclude(incoming_scope="").order_by("-created_at").first()
    if not _is_unrevoked(refreshed):
        raise _refusal(request, "the refresh token was revoked meanwhile")
    if link is None and links.exists():
        raise _refusal(request, "the person allows nothing any more")
    # Without any link, the tokens are from before the client became a peer, and open one now.
    return link


def _is_unrevoked(refreshed: Any) -> bool:
    """Whether a refresh token that DOT has accepted is still not revoked (RFC 6749, section 6).

    Another request may have renewed the token meanwhile: that counts as not revoked, because DOT
    returns the same new tokens to both requests.
    """
    rows = rows_of(get_refresh_token_model()).select_for_update().filter(pk=refreshed.pk)
    now = rows.values_list("revoked", "access_token_id").first()
    if now is not None and now[0] is None and now[1] is not None:
        return True
    renewed = rows_of(get_access_token_model()).filter(source_refresh_token=refreshed.pk)
    return renewed.exists()


def _limit_scope(token: Any, request: Request, limit: str, user: Any) -> None:
    """Limit the scope of ``token`` and of the request to ``limit`` (RFC 6749, section 5.1).

    :raises InvalidGrantError: no scope is left.
    """
    asked = token.get("scope", "")
    kept = scopes.cut(asked, limit)
    # A token without a user and without a scope is valid (client credentials).
    if not kept and (asked or user is not None):
        raise _refusal(request, "nothing is left that the token may carry")
    token["scope"] = kept
    request.scopes = scopes.split(kept)


@tried_again
def end_access_refused_by_site(request: Request) -> None:
    """If the rules of the site have refused a refresh, revoke the incoming access of the link.

    The link then names this reason. Call it after the failed transaction has ended.
    """
    refreshed = request.__dict__.get("refresh_token_instance")
    if not request.__dict__.get("_refused_by_site") or refreshed is None:
        return
    peer, family = peer_of(request.client), refreshed.token_family
    with atomic():
        active = Link.objects.select_for_update().filter(peer=peer, status=Link.Status.ACTIVE)
        link = active.filter(user_id=refreshed.user_id, incoming_family=family).first()
        if link is None:
            get_refresh_token_model().revoke_family(family)
            return
        # Before the tokens are revoked: the link must not record another reason for their loss.
        lifecycle.break_lost_incoming(link, Link.Reason.SITE_REFUSES)
        incoming_access.revoke_incoming(link)
        link.incoming_family = None
        link.save(update_fields=["incoming_family", "updated_at"])


def _refusal(request: Request, cause: str) -> errors.InvalidGrantError:
    """Log the refusal, and return the ``invalid_grant`` to raise (RFC 6749, section 5.2).

    :param cause: for administrators; the client does not see it.
    """
    request._cause_of_refusal = cause
    logger.warning(
        "Tokens were refused: %s (%s)", cause, incoming_access.describe_client(request.client)
    )
    return errors.InvalidGrantError(request=request)


def cause_of_refusal(request: Request) -> str:
    """Why the tokens of ``request`` were refused, for administrators."""
    return request.__dict__.get("_cause_of_refusal", "django-oauth-toolkit refused it")


def _saved_family(token: Any) -> UUID | None:
    """The family of the tokens that DOT has just saved; ``None`` without a refresh token."""
    refresh_token = token.get("refresh_token")
    if not refresh_token:
        return None
    saved = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(refresh_token), revoked__isnull=True
    )
    return saved.values_list("token_family", flat=True).first()
