"""The incoming access of a link: the tokens that DOT issued to the peer at this site. This module
finds the tokens, removes scopes from them, and revokes them.

DOT gives all tokens that come from one grant the same ``token_family``. A link stores the
``token_family`` of the tokens that the peer uses. A site can replace the models of DOT with its own
models, so the functions of this module look the models up when they run.
"""

import threading
import uuid
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_device_grant_model,
    get_grant_model,
    get_refresh_token_model,
    refresh_token_expire_timedelta,
)

from ..compat import oauth2_settings
from ..core import scopes
from ..core.database import rows_of
from ..models import Link, Peer, ReciprocalCode
from ..models.ledger import CODE_URI


def peer_of(application: Any) -> Peer | None:
    """Return the peer to which a DOT application belongs, or ``None`` if it belongs to no peer. A
    disabled peer is returned too.

    The first call for an ``application`` object runs one query. Django stores the result on the
    object, so later calls run no query.
    """
    return getattr(application, "reciprocal_peer", None)


def describe_client(application: Any) -> str:
    """Return a text for the log that names a DOT application: the peer to which it belongs, and its
    client ID."""
    peer = peer_of(application)
    return f"peer {peer.slug if peer else '(none)'}, client {application.client_id}"


def is_registration_token(access_token: Any) -> bool:
    """Return whether a DOT access token is a registration access token (RFC 7592, section 3). A
    client uses such a token only to manage its own registration. It gives no access to the account
    of a user, although DOT stores a user with it (the user who registered the client)."""
    return bool(access_token.scope == oauth2_settings.DCR_REGISTRATION_SCOPE)


def token_families(access_token: Any) -> QuerySet[Any, uuid.UUID | None]:
    """Return a subquery for the ``token_family`` of a DOT access token. All tokens that come from
    one grant have the same ``token_family``. The subquery is empty for a token of the implicit
    grant.

    DOT stores the ``token_family`` only on refresh tokens. So this function looks at the refresh
    token that was issued with the access token, and at the refresh token that was exchanged for it.
    """
    refresh_tokens = rows_of(get_refresh_token_model())
    bound = Q(access_token=access_token.pk)
    if access_token.source_refresh_token_id is not None:
        bound |= Q(pk=access_token.source_refresh_token_id)
    found = refresh_tokens.filter(bound, token_family__isnull=False)
    return found.values_list("token_family", flat=True)


def find_link(access_token: Any, links: Sequence[Link]) -> Link | None:
    """Return the link to which a DOT access token belongs, or ``None``.

    A token belongs to the link that stores the ``token_family`` of the token. If no link stores it,
    return the newest link on which the user allows the peer at least one scope.

    :param links: the active links between the user and the peer of the token, sorted from the
        newest to the oldest.
    """
    families = set(token_families(access_token)) if links else set()
    for link in links:
        if link.incoming_family in families:
            return link
    return next((link for link in links if link.incoming_scope), None)


class _OwnRevocation(threading.local):
    """Tells whether this app itself is revoking tokens now, in this thread. ``depth`` counts the
    running functions of this module that revoke tokens."""

    depth = 0


_own_revocation = _OwnRevocation()


def is_own_revocation() -> bool:
    """Return whether this app itself is revoking tokens now, in this thread. If so, the receivers
    of token signals do nothing, because the function that revokes the tokens also updates the
    link."""
    return _own_revocation.depth > 0


def _marked_as_own(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def run(*args: Any) -> None:
        _own_revocation.depth += 1
        try:
            function(*args)
        finally:
            _own_revocation.depth -= 1

    return run


def narrow_tokens(link: Link) -> None:
    """Remove the scopes that ``link`` no longer allows from the access tokens of the peer
    (draft-ietf-oauth-reciprocal-04, section 3). If ``link`` allows no scope, revoke all tokens.

    The change takes effect at the next request with such a token. Call this function in the
    transaction that changes the link.
    """
    limit = link.incoming_limit
    if not limit:
        revoke_incoming(link)
        return
    for token in _access_tokens(link).only("pk", "scope"):
        kept = scopes.cut(token.scope, limit)
        if kept != token.scope:
            rows_of(get_access_token_model()).filter(pk=token.pk).update(scope=kept)


@_marked_as_own
def revoke_incoming(link: Link) -> None:
    """Revoke all tokens and all unredeemed codes that the peer holds for ``link``."""
    revoke_codes(link)
    for family in _families(link):
        get_refresh_token_model().revoke_family(family)
    _access_tokens(link).delete()
    delete_unredeemed_logins(link)


def delete_unredeemed_logins(link: Link) -> None:
    """Delete the user's authorization codes (RFC 6749, section 4.1.2) and device codes (RFC 8628,
    section 3.2) that the peer has not redeemed yet. Otherwise the peer could redeem such a code
    later, and would get access that the newest decision of the user does not allow."""
    application = link.peer.application
    # Do not delete reciprocal codes here. The caller has already revoked the reciprocal codes of
    # this link, so the remaining reciprocal codes belong to other links and must stay valid.
    rows_of(get_grant_model()).filter(user_id=link.user_id, application_id=application.pk).exclude(
        redirect_uri__startswith=CODE_URI
    ).delete()
    rows_of(get_device_grant_model()).filter(
        user_id=link.user_id, client_id=application.client_id
    ).delete()


@_marked_as_own
def revoke_family(link: Link, family: uuid.UUID | None) -> None:
    """Revoke all tokens whose ``token_family`` is ``family`` (RFC 7009, section 2.1).

    If ``family`` is ``None``, the peer has no refresh token. In this case, delete the access tokens
    of the peer for the user of ``link``, except the tokens that belong to another link.
    """
    if family is None:
        _access_tokens(link).delete()
    else:
        get_refresh_token_model().revoke_family(family)


@_marked_as_own
def revoke_all_of_client(application: Any) -> None:
    """Revoke all tokens and all unredeemed codes of a client (a DOT application)."""
    ReciprocalCode.objects.filter(
        application_pk=str(application.pk), state=ReciprocalCode.State.LIVE
    ).update(state=ReciprocalCode.State.REVOKED)
    for model in (get_grant_model(), get_access_token_model()):
        rows_of(model).filter(application=application).delete()
    rows_of(get_refresh_token_model()).filter(application=application, revoked__isnull=True).update(
        revoked=timezone.now()
    )


@_marked_as_own
def revoke_access_tokens(keys: Iterable[Any]) -> None:
    """Revoke access tokens: delete the rows with the primary keys ``keys``."""
    rows_of(get_access_token_model()).filter(pk__in=keys).delete()


def revoke_codes(link: Link) -> None:
    """Revoke the unredeemed reciprocal codes of ``link``. Mark each ``ReciprocalCode`` as revoked,
    and delete the DOT ``Grant`` that contains the code."""
    live = list(link.codes.filter(state=ReciprocalCode.State.LIVE))
    if not live:
        return
    link.codes.filter(pk__in=[code.pk for code in live], state=ReciprocalCode.State.LIVE).update(
        state=ReciprocalCode.State.REVOKED
    )
    rows_of(get_grant_model()).filter(
        application_id=link.peer.application_id,
        redirect_uri__in=[code.redirect_uri for code in live],
    ).delete()


def count_users(application: Any) -> int:
    """Return the number of users whose tokens a client (a DOT application) can use now. It can use
    an access token that has not expired, and a refresh token that DOT still accepts."""
    live = rows_of(get_access_token_model()).filter(expires__gt=timezone.now())
    own = [
        rows.filter(application=application, user__isnull=False).order_by().values("user_id")
        for rows in (live, _renewable())
    ]
    return own[0].union(own[1]).count()


def has_live_tokens(link: Link) -> bool:
    """Return whether the peer can still use its tokens for ``link``. If ``link`` stores a
    ``token_family``, DOT must still accept its refresh token. Otherwise the peer must have an
    access token that has not expired and that has no valid refresh token."""
    renewable = _renewable()
    if link.incoming_family is not None:
        return renewable.filter(token_family=link.incoming_family).exists()
    alone = _access_tokens(link).exclude(pk__in=renewable.values("access_token_id"))
    return alone.filter(expires__gt=timezone.now()).exists()


def has_any_tokens(link: Link) -> bool:
    """Return whether the peer can still use any of its tokens for the user of ``link``. Tokens that
    belong to another active link do not count.

    Unlike :func:`has_live_tokens`, also count a refresh token whose ``token_family`` no active link
    stores, because :func:`find_link` can return ``link`` for such a token."""
    strays = _renewable().filter(user_id=link.user_id, application_id=link.peer.application_id)
    foreign = _other_links(link).values("incoming_family")
    return has_live_tokens(link) or strays.exclude(token_family__in=foreign).exists()


def without_live_tokens(links: QuerySet[Link]) -> QuerySet[Link]:
    """Return the links among ``links`` for which :func:`has_live_tokens` is false, with one query.
    The peer can get new tokens after this query. So the caller must lock the row of each returned
    link and check the link again."""
    own = _renewable().filter(token_family=OuterRef("incoming_family"))
    bound = rows_of(get_refresh_token_model()).filter(access_token=OuterRef("pk"))
    alone = (
        rows_of(get_access_token_model())
        .filter(
            ~Exists(bound),
            user_id=OuterRef("user_id"),
            application_id=OuterRef("peer__application_id"),
            expires__gt=timezone.now(),
        )
        .exclude(scope=oauth2_settings.DCR_REGISTRATION_SCOPE)
    )
    return links.filter(
        Q(~Exists(own), incoming_family__isnull=False)
        | Q(~Exists(alone), incoming_family__isnull=True)
    )


def scope_in_force(link: Link) -> str:
    """Return the scope that the peer can use for ``link`` now: the scopes that the user allows and
    that the tokens of the peer contain too. If the user allows a new scope, this site sends a
    reciprocal code to the peer. The peer can use the new scope after it has redeemed this code
    (draft-ietf-oauth-reciprocal-04, section 3).

    While the peer has not redeemed the code, this function runs one query, unless ``link`` was read
    with :func:`with_carried_scope`.
    """
    if not link.is_active or not link.peer.enabled:
        return ""
    if link.incoming_state == Link.Incoming.ACTIVE:
        return link.incoming_limit
    if not link.keeps_earlier_incoming:
        return ""
    if "carried_scope" in vars(link):
        carried = vars(link)["carried_scope"]
    else:
        carried = _carried_scope(link.incoming_family).first()
    return scopes.cut(link.incoming_limit, carried or "")


def with_carried_scope(links: QuerySet[Link]) -> QuerySet[Link]:
    """Annotate each of ``links`` with ``carried_scope`` (the scope that the peer's newest token
    contains), so that :func:`scope_in_force` needs no query."""
    return links.annotate(carried_scope=Subquery(_carried_scope(OuterRef("incoming_family"))[:1]))


def _carried_scope(family: Any) -> QuerySet[Any, str]:
    """Return a queryset with the scopes of the access tokens that have the ``token_family``
    ``family`` and that the peer can use or renew. The scope of the newest token is first."""
    newest = _renewable().filter(token_family=family).order_by("-pk")
    return newest.values_list("access_token__scope", flat=True)


def has_expired(link: Link) -> bool:
    """Return whether the peer's refresh token for ``link`` has expired and was never revoked."""
    unrevoked = rows_of(get_refresh_token_model()).filter(
        token_family=link.incoming_family, revoked__isnull=True
    )
    return bool(expired_beyond_renewal(unrevoked.values("access_token_id")))


def expired_beyond_renewal(access_tokens: Any) -> set[Any]:
    """Return the primary keys of the access tokens that expired so long ago that DOT refuses to
    renew them (setting ``REFRESH_TOKEN_EXPIRE_SECONDS`` of DOT).

    :param access_tokens: the primary keys of the access tokens to check, or a subquery for them.
    """
    life = refresh_token_expire_timedelta()
    if life is None:
        return set()
    found = rows_of(get_access_token_model()).filter(
        pk__in=access_tokens, expires__lte=timezone.now() - life
    )
    return set(found.values_list("pk", flat=True))


def _renewable() -> QuerySet[Any]:
    """Return the refresh tokens that DOT accepts (RFC 6749, section 6). All must be true: the token
    is not revoked, its access token exists, and its access token expired less than
    ``REFRESH_TOKEN_EXPIRE_SECONDS`` ago or has not expired yet."""
    tokens = rows_of(get_refresh_token_model()).filter(
        revoked__isnull=True, access_token__isnull=False
    )
    life = refresh_token_expire_timedelta()
    if life is None:
        return tokens
    return tokens.filter(access_token__expires__gt=timezone.now() - life)


def _access_tokens(link: Link) -> QuerySet[Any]:
    """Return the access tokens of the peer for the user of ``link``, except registration access
    tokens and tokens that belong to another link."""
    foreign = rows_of(get_refresh_token_model()).filter(
        token_family__in=_other_links(link).values("incoming_family"), access_token__isnull=False
    )
    own = (
        rows_of(get_access_token_model())
        .filter(user_id=link.user_id, application_id=link.peer.application_id)
        .exclude(scope=oauth2_settings.DCR_REGISTRATION_SCOPE)
    )
    return own.exclude(pk__in=foreign.values("access_token_id"))


def _families(link: Link) -> set[uuid.UUID]:
    """Return each ``token_family`` of the peer's tokens for the user of ``link``, except a
    ``token_family`` that another link stores."""
    foreign = _other_links(link).values("incoming_family")
    found = rows_of(get_refresh_token_model()).filter(
        user_id=link.user_id,
        application_id=link.peer.application_id,
        revoked__isnull=True,
        token_family__isnull=False,
    )
    return set(found.exclude(token_family__in=foreign).values_list("token_family", flat=True))


def _other_links(link: Link) -> QuerySet[Link]:
    """Return the other active links that have the same user and the same peer as ``link``. Only
    links that store an ``incoming_family`` are included."""
    return Link.objects.filter(
        user_id=link.user_id,
        peer_id=link.peer_id,
        status=Link.Status.ACTIVE,
        incoming_family__isnull=False,
    ).exclude(pk=link.pk)
