"""The rules for tokens that DOT issues to a peer's application, whatever the grant type.

A peer's token never carries more than the user granted, the peer may hold and the site has; it dies
with the user, the peer and the link; and a person who started at the peer gets a link with it.
"""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import Error, connections
from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749 import errors

from ..compat import oauth2_settings
from ..core import scopes
from ..core.database import atomic, database, on_commit, rows_of, tried_again
from ..core.hashing import hash_of
from ..core.throttle import Throttle
from ..links import grant_policy, incoming_access, lifecycle, lost_access
from ..links.incoming_access import peer_of
from ..models import Link, Peer
from ..party_a import redemption
from ..party_a.redemption import Redemption, Refused
from ..party_b.link_opening import open_link

logger = logging.getLogger("reciprocal_oauth.provider")

#: A peer that calls all the time costs one write in this time.
USE_IS_NOTED_AFTER = timedelta(hours=1)


def may_ask_for(application: Any, asked: Iterable[str]) -> bool:
    """Whether a client may ask for these scopes: a peer's, for no more than its limit."""
    peer = peer_of(application)
    return peer is None or set(asked) <= set(scopes.split(peer.allowed_scope))


def default_scopes(application: Any, default: list[str]) -> list[str]:
    """The default scopes of a client: a peer's are cut to its limit."""
    peer = peer_of(application)
    if peer is None:
        return default
    return scopes.split(scopes.cut(scopes.join(default), peer.allowed_scope))


def may_be_used(application: Any, user: Any) -> bool:
    """Whether tokens may be issued to this client for this user: a peer's, only while the peer is
    enabled and the user is active."""
    peer = peer_of(application)
    if peer is None:
        return True
    return peer.enabled and (user is None or user.is_active)


def site_allows(request: Request, asked: Iterable[str]) -> bool:
    """Whether the rules of the site let the user of a request give these scopes to its client: a
    peer, as far as they are asked about."""
    if not grant_policy.has_rules():
        return True
    peer = peer_of(request.client)
    if peer is None or request.user is None:
        return True
    return grant_policy.allows(
        request.user, request.client, scopes.cut(scopes.join(asked), peer.limit)
    )


def require_an_answer(request: Request) -> None:
    """Nothing is issued to a peer where a browser is only passing by: the person has to answer a
    page, which then sends a form. Also where a site's own view leaves the question out.

    :raises ConsentRequired: the request is no POST.
    """
    if request.http_method != "POST" and peer_of(request.client) is not None:
        raise errors.ConsentRequired(request=request)


def limit_to_what_is_allowed_now(access_token: Any) -> bool:
    """Cut the scope of an access token in hand, not the stored one, to what its peer may do today.

    Whoever narrowed the user's consent, the peer or the site since the token was issued, by
    whatever door, is obeyed with the next call.

    :returns: whether the token may be used at all.
    """
    application, user = access_token.application, access_token.user
    peer = peer_of(application)
    if peer is None:
        return True
    if not may_be_used(application, user):
        return False
    limit, link = peer.limit, None
    if user is not None:
        links = Link.objects.filter(peer=peer, user=user)
        # Not those that have ended: there may be many, and each call reads them.
        active = list(links.filter(status=Link.Status.ACTIVE).order_by("-created_at"))
        link = incoming_access.find_link(access_token, active)
        if link is not None:
            link.peer = peer
            limit = link.incoming_limit
        elif active or links.exists():
            return False
        # Else the token is from before the client became a peer.
    kept = scopes.cut(access_token.scope, limit)
    # A client without a user may need no scope at all.
    if not kept and (access_token.scope or user is not None):
        return False
    if link is not None:
        _note_use(link)
    access_token.scope = kept
    return True


def _note_use(link: Link) -> None:
    """Have the link say that the peer has just used it, once the caller's transaction is over: with
    ``ATOMIC_REQUESTS`` it may last, and deliveries for the link would wait for its row."""
    before, now = link.last_used_at, timezone.now()
    if before is None or before <= now - USE_IS_NOTED_AFTER:
        on_commit(lambda: _write_use(link.pk, before, now))


def _write_use(pk: UUID, before: datetime | None, now: datetime) -> None:
    """The call waits for nobody who works on the link, and is not refused because this could not be
    written: the next one tries again."""
    can_skip = connections[database()].features.has_select_for_update_skip_locked
    try:
        with atomic():
            unnoted = Link.objects.filter(pk=pk, last_used_at=before)
            if unnoted.select_for_update(skip_locked=can_skip).values_list("pk").first():
                Link.objects.filter(pk=pk).update(last_used_at=now)
    except Error as error:
        if Throttle("use-not-noted", limit=1).take(""):
            logger.warning("The use of links cannot be noted: %s", type(error).__name__)


# No context managers, though they look like it: Django learns what is sensitive by walking back
# through the frames, and that of a generator leads nowhere.


def save(token: Any, request: Request, mark: Redemption | None, go_on: Callable[[], Any]) -> Any:
    """Have ``go_on`` save a token, inside DOT's transaction: its scope is cut under the link's lock
    before, its family bound to the link after.

    :returns: what ``go_on`` returned.
    :raises InvalidGrantError: nothing is left that the token may carry; or another request has
        redeemed the code. DOT's transaction rolls back.
    :raises ConsentRequired: the person was not asked.
    """
    peer = peer_of(request.client)
    if peer is None:
        _refuse_of_a_former_peer(request)
        return go_on()
    require_an_answer(request)
    user, refreshed = request.user, request.refresh_token_instance
    if not may_be_used(request.client, user):
        raise _refusal(request, "the peer or the user is no longer active")
    if not site_allows(request, scopes.split(token.get("scope", ""))):
        request._is_refused_by_the_site = True
        raise _refusal(request, "the rules of the site do not allow it")
    link = _locked_link(peer, request, mark, refreshed)
    if link is not None:
        link.peer = peer
    _cut(token, request, link.incoming_limit if link else peer.limit, user)
    saved = go_on()
    family = _family_of(token)
    if mark is not None and link is not None:
        redemption.complete(mark, link, family)
    elif link is None and user is not None:
        open_link(peer, user.pk, token["scope"], family)
    return saved


def _refuse_of_a_former_peer(request: Request) -> None:
    """A client that was a peer's until its peer got another application holds tokens that a link
    limits: nothing would limit the next ones.

    :raises InvalidGrantError: it asks for the next ones.
    """
    refreshed = request.refresh_token_instance
    family = None if refreshed is None else refreshed.token_family
    if family and Link.objects.filter(incoming_family=family, status=Link.Status.ACTIVE).exists():
        raise _refusal(request, "the tokens are of a client that was a peer's")


def _locked_link(
    peer: Peer, request: Request, mark: Redemption | None, refreshed: Any
) -> Link | None:
    """The link that the token will belong to, locked; ``None`` where a link is to be opened."""
    if mark is not None:
        try:
            return redemption.spend(mark)
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
        # Of another account there, whose link a later login took over: until a hand-over gives it
        # one of its own, it belongs to the same link as its access token (access_here.link_of).
        link = active.exclude(incoming_scope="").order_by("-created_at").first()
    if not _is_still_good(refreshed):
        raise _refusal(request, "the refresh token was revoked meanwhile")
    if link is None and links.exists():
        raise _refusal(request, "the person allows nothing any more")
    # Else from before the client became a peer: it gets a link with it.
    return link


def _is_still_good(refreshed: Any) -> bool:
    """Whether a refresh token that DOT has found good was not revoked since: DOT would put a new
    one in its place. One that another request renewed counts, DOT gives both the same."""
    rows = rows_of(get_refresh_token_model()).select_for_update().filter(pk=refreshed.pk)
    now = rows.values_list("revoked", "access_token_id").first()
    if now is not None and now[0] is None and now[1] is not None:
        return True
    renewed = rows_of(get_access_token_model()).filter(source_refresh_token=refreshed.pk)
    return renewed.exists()


def _cut(token: Any, request: Request, limit: str, user: Any) -> None:
    asked = token.get("scope", "")
    kept = scopes.cut(asked, limit)
    # A client without a user may need no scope at all.
    if not kept and (asked or user is not None):
        raise _refusal(request, "nothing is left that the token may carry")
    token["scope"] = kept
    request.scopes = scopes.split(kept)


@tried_again
def end_what_the_site_refuses(request: Request) -> None:
    """Where the rules of the site have refused to renew the access of a link, it has none any more,
    and says why. Call it outside of the transaction that failed."""
    refreshed = request.__dict__.get("refresh_token_instance")
    if not request.__dict__.get("_is_refused_by_the_site") or refreshed is None:
        return
    peer, family = peer_of(request.client), refreshed.token_family
    with atomic():
        active = Link.objects.select_for_update().filter(peer=peer, status=Link.Status.ACTIVE)
        link = active.filter(user_id=refreshed.user_id, incoming_family=family).first()
        if link is None:
            get_refresh_token_model().revoke_family(family)
            return
        # First: then nobody takes the end of the tokens for somebody else's doing.
        lifecycle.break_lost_incoming(link, Link.Reason.SITE_REFUSES)
        incoming_access.revoke_incoming(link)
        link.incoming_family = None
        link.save(update_fields=["incoming_family", "updated_at"])


def _refusal(request: Request, cause: str) -> errors.InvalidGrantError:
    """:param cause: for administrators; the client learns that the grant is invalid."""
    request._cause_of_refusal = cause
    logger.warning(
        "Tokens were refused: %s (%s)", cause, incoming_access.describe_client(request.client)
    )
    return errors.InvalidGrantError(request=request)


def cause_of_refusal(request: Request) -> str:
    """Why :func:`save` has refused, or DOT in its place."""
    return request.__dict__.get("_cause_of_refusal", "django-oauth-toolkit refused it")


def _family_of(token: Any) -> UUID | None:
    """The family that DOT has just given to the tokens of a response."""
    refresh_token = token.get("refresh_token")
    if not refresh_token:
        return None
    saved = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(refresh_token), revoked__isnull=True
    )
    return saved.values_list("token_family", flat=True).first()


@tried_again
def revoke(token: str, application: Any, go_on: Callable[[], None]) -> None:
    """Have ``go_on`` revoke ``token`` for the client itself (RFC 7009): a peer that gives up the
    tokens of a link has ended it, so ours there are forgotten as well."""
    link = _link_of(token, application)
    if link is None:
        go_on()
        return
    with atomic():
        # First, as everywhere: a refresh that runs locks the link before the tokens.
        Link.objects.select_for_update().filter(pk=link.pk).first()
        renews = _renews(token, application)
        go_on()
        if renews:
            incoming_access.revoke_family(link, link.incoming_family)
        if not incoming_access.has_live_tokens(link):
            lifecycle.end_link(link, Link.Reason.REVOKED_BY_PEER, revoke_outgoing=False)


def note_refusal(refresh_token: str, application: Any) -> None:
    """A client was refused a new access token. Where a peer has no other token left, because the
    refresh token ran out or its family was revoked, its link says so from now on."""
    peer = peer_of(application)
    if peer is None:
        return
    families = _families_of(refresh_token, application)
    lost_access.record_lost_access(Link.objects.filter(peer=peer, incoming_family__in=families))


def _renews(token: str, application: Any) -> bool:
    """Whether ``token`` is a refresh token that DOT would take. One that has been renewed is taken
    for a while longer: the peer may have lost the answer, and knows of no other token to revoke."""
    grace = timedelta(seconds=oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS)
    own = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(token), application_id=application.pk
    )
    taken = Q(revoked__isnull=True) | Q(revoked__gt=timezone.now() - grace)
    return own.filter(taken, token_family__isnull=False).exists()


def _link_of(token: str, application: Any) -> Link | None:
    """The active link that a token of the client ``application``, as it was sent, belongs to."""
    peer = peer_of(application)
    if peer is None:
        return None
    own = {"token_checksum": hash_of(token), "application_id": application.pk}
    active = Link.objects.filter(peer=peer, status=Link.Status.ACTIVE)
    access_token = rows_of(get_access_token_model()).filter(**own).first()
    if access_token is not None:
        links = active.filter(user_id=access_token.user_id).order_by("-created_at")
        link = incoming_access.find_link(access_token, list(links))
        # One of another family stands behind that link, but is not what the link consists of.
        families = set(incoming_access.token_families(access_token)) or {None}
        return link if link is not None and link.incoming_family in families else None
    return active.filter(incoming_family__in=_families_of(token, application)).first()


def _families_of(refresh_token: str, application: Any) -> list[UUID]:
    # Not as a subquery: PostgreSQL that has not yet counted its rows would join all of them.
    known = rows_of(get_refresh_token_model()).filter(
        token_checksum=hash_of(refresh_token), application_id=application.pk
    )
    return list(known.values_list("token_family", flat=True))
