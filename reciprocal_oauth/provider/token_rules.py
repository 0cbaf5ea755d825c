"""The rules for tokens that DOT issues to a peer's application, for every grant type.

- A token of a peer contains only scopes that the person has granted, that the administrator allows
  the peer, and that exist at the site (RFC 6749, section 3.3).
- The peer gets no token if the user, the peer or the link is not active.
- If a person started to connect the accounts at the peer, the first token of the peer creates the
  link.
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
    """Return whether the client may request these scopes. A peer may request only scopes in
    ``Peer.allowed_scope`` (RFC 6749, section 3.3). Other clients are not limited here."""
    peer = peer_of(application)
    return peer is None or set(asked) <= set(scopes.split(peer.allowed_scope))


def default_scopes(application: Any, default: list[str]) -> list[str]:
    """Return the default scopes of the client. If the client belongs to a peer, return only those
    in ``Peer.allowed_scope`` (RFC 6749, section 3.3)."""
    peer = peer_of(application)
    if peer is None:
        return default
    return scopes.split(scopes.cut(scopes.join(default), peer.allowed_scope))


def may_hold_tokens(application: Any, user: Any) -> bool:
    """Return whether ``application`` (an OAuth client) may hold tokens for ``user``.

    If the application belongs to a peer, the peer must be enabled, and the user must be active. If
    the application belongs to no peer, the result is ``True``.

    :param user: the user; ``None`` if there is no user to check.
    """
    peer = peer_of(application)
    if peer is None:
        return True
    return peer.enabled and (user is None or user.is_active)


def site_allows(request: Request, asked: Iterable[str]) -> bool:
    """Return whether the site's own rules (the setting ``MAY_AUTHORIZE``) allow the user of
    ``request`` to grant these scopes to the client.

    If the client belongs to no peer, or the request has no user, the result is ``True``. The rules
    get only those scopes that the peer is allowed to have.
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
    """Refuse to grant access to a peer if the request is not a POST request.

    A person who consents posts the form of the consent page. If the request is not a POST request,
    the person has not consented: perhaps a view of the site's own code tries to grant the access
    (RFC 6749, section 10.2).

    :raises ConsentRequired: the client belongs to a peer, and the request is not a POST request
        (OpenID Connect Core 1.0, section 3.1.2.6).
    """
    if request.http_method != "POST" and peer_of(request.client) is not None:
        raise errors.ConsentRequired(request=request)


# save_tokens() and token_revocation.revoke_token() get a callback. They are not written as context
# managers, because error reports would then show the secrets in their local variables. Django hides
# the local variables of a function if a calling function has the decorator sensitive_variables. But
# a context manager is a generator, and after an error its frame has no calling function.


def save_tokens(
    token: Any,
    request: Request,
    redeeming: Redemption | None,
    save_in_dot: Callable[[], Any],
) -> Any:
    """Save the tokens of a response under the rules of this module, inside DOT's transaction.

    First lock the link and limit the scope (RFC 6749, section 3.3). Then call ``save_in_dot``. Then
    store the token family of the new tokens (DOT's ``token_family``) on the link, if the link is
    new or the request redeems a reciprocal code.

    :param redeeming: the redemption, if the request redeems a reciprocal code; otherwise ``None``.
    :param save_in_dot: DOT's own method, which saves the tokens.
    :returns: the result of ``save_in_dot``.
    :raises InvalidGrantError: the tokens are refused (RFC 6749, section 5.2), and DOT's transaction
        is rolled back. The reason is one of these: the peer is allowed none of the scopes; the
        peer, the user or the link is not active; the site's own rules refuse the access; another
        request has redeemed the code or revoked the refresh token; the client no longer belongs to
        the peer of the link.
    :raises ConsentRequired: see :func:`require_posted_consent`.
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
    """Refuse a refresh if the client belonged to a peer earlier, and an active link stores the
    token family of the refresh token (DOT's ``token_family``).

    In this case, an administrator has given the peer another client since. This module limits the
    tokens of the peer's present client only, so nothing would limit tokens of the former client.

    :raises InvalidGrantError: an active link stores the token family of the refresh token.
    """
    refreshed = request.refresh_token_instance
    family = None if refreshed is None else refreshed.token_family
    if family and Link.objects.filter(incoming_family=family, status=Link.Status.ACTIVE).exists():
        raise _refusal(request, "the client no longer belongs to the peer of the link")


def _lock_link(
    peer: Peer, request: Request, redeeming: Redemption | None, refreshed: Any
) -> Link | None:
    """Lock the row of the link to which the new tokens will belong, and return the link. Return
    ``None`` if there is no such link yet.

    :raises InvalidGrantError: another request has redeemed the reciprocal code or revoked the
        refresh token; or the user has links with the peer, but no active link allows a scope.
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
        # No link stores the token family of this refresh token. For example, the user has connected
        # the peer again, so that the link stores the family of the newer tokens. Use the newest
        # link that allows the peer a scope, as find_link() does.
        link = active.exclude(incoming_scope="").order_by("-created_at").first()
    if not _is_unrevoked(refreshed):
        raise _refusal(request, "the refresh token was revoked meanwhile")
    if link is None and links.exists():
        raise _refusal(request, "the person allows nothing any more")
    # If link is None here, the user has no link with the peer. For example, the client got the
    # refresh token before it became the client of the peer. Then the caller creates a link.
    return link


def _is_unrevoked(refreshed: Any) -> bool:
    """Lock a refresh token that DOT has just accepted, and return whether it can still be used (RFC
    6749, section 6).

    Another request may have changed the token after DOT has accepted it. If that request has
    revoked the token, return ``False``. If that request has used the token for a refresh, return
    ``True``, because DOT gives both requests the same new tokens.
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
    # Without a scope, refuse the token. There is one exception: a token of the client credentials
    # grant has no user, and may be without a scope if the client requested none.
    if not kept and (asked or user is not None):
        raise _refusal(request, "nothing is left that the token may carry")
    token["scope"] = kept
    request.scopes = scopes.split(kept)


@tried_again
def end_access_refused_by_site(request: Request) -> None:
    """If the site's own rules have refused a refresh, revoke all tokens that the peer holds for the
    link, and record on the link that the site refuses the access.

    Call this function after the transaction of the refresh was rolled back. Otherwise the rollback
    would also undo these changes.
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
        # Set the reason on the link before the tokens are revoked. Otherwise the link could get
        # another reason, because the revocation also updates the link.
        lifecycle.break_lost_incoming(link, Link.Reason.SITE_REFUSES)
        incoming_access.revoke_incoming(link)
        link.incoming_family = None
        link.save(update_fields=["incoming_family", "updated_at"])


def _refusal(request: Request, cause: str) -> errors.InvalidGrantError:
    """Log that tokens were refused, and return the error ``invalid_grant`` for the caller to raise
    (RFC 6749, section 5.2).

    :param cause: the reason, for administrators; the client does not see it.
    """
    request._cause_of_refusal = cause
    logger.warning(
        "Tokens were refused: %s (%s)", cause, incoming_access.describe_client(request.client)
    )
    return errors.InvalidGrantError(request=request)


def cause_of_refusal(request: Request) -> str:
    """Return the reason why the tokens of ``request`` were refused, as a text for
    administrators."""
    return request.__dict__.get("_cause_of_refusal", "django-oauth-toolkit refused it")


def _saved_family(token: Any) -> UUID | None:
    """Return the token family (DOT's ``token_family``) of the tokens that DOT has just saved, or
    ``None`` if there is no refresh token."""
    refresh_token = token.get("refresh_token")
    if not refresh_token:
        return None
    saved = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(refresh_token), revoked__isnull=True
    )
    return saved.values_list("token_family", flat=True).first()
