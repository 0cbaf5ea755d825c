"""The incoming access of a link: finds, narrows and revokes the tokens that DOT issued to the peer.

DOT gives all tokens of one grant the same ``token_family``. A link stores the family of the tokens
that the peer uses. The models of DOT can be swapped, so they are looked up when they are needed.
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
    """The peer, enabled or not, that ``application`` belongs to; ``None`` if there is none.

    Django caches the result on the application object. DOT creates one such object for each
    request, so there is one query for each request.
    """
    return getattr(application, "reciprocal_peer", None)


def describe_client(application: Any) -> str:
    """The peer and the client ID of an authenticated client, for the log."""
    peer = peer_of(application)
    return f"peer {peer.slug if peer else '(none)'}, client {application.client_id}"


def is_registration_token(access_token: Any) -> bool:
    """Whether a DOT access token is a registration access token (RFC 7592, section 3). The client
    uses it for its own registration, although DOT stores the user who registered the client."""
    return bool(access_token.scope == oauth2_settings.DCR_REGISTRATION_SCOPE)


def token_families(access_token: Any) -> QuerySet[Any, uuid.UUID | None]:
    """The family of a DOT access token, as a subquery; empty for a token of the implicit grant.

    The refresh token of the access token has the family. If it has none, the refresh token that the
    access token was made from has it.
    """
    refresh_tokens = rows_of(get_refresh_token_model())
    bound = Q(access_token=access_token.pk)
    if access_token.source_refresh_token_id is not None:
        bound |= Q(pk=access_token.source_refresh_token_id)
    found = refresh_tokens.filter(bound, token_family__isnull=False)
    return found.values_list("token_family", flat=True)


def find_link(access_token: Any, links: Sequence[Link]) -> Link | None:
    """Find the link that a DOT access token belongs to.

    A token whose family is stored on no link belongs to the newest link that allows a scope.

    :param links: the active links of the user with the peer, the newest first.
    """
    families = set(token_families(access_token)) if links else set()
    for link in links:
        if link.incoming_family in families:
            return link
    return next((link for link in links if link.incoming_scope), None)


class _OwnRevocation(threading.local):
    """How many of the functions below that revoke tokens are running in this thread."""

    depth = 0


_own_revocation = _OwnRevocation()


def is_own_revocation() -> bool:
    """Whether this app itself is revoking tokens in this thread. The function that revokes them
    also updates the link."""
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
    """Remove the scopes that ``link`` no longer allows from its access tokens
    (draft-ietf-oauth-reciprocal-04, section 3). If no scope is left, revoke them.

    This affects the next call with such a token. Call it in the transaction that changes the link.
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
    """Revoke every token and every unredeemed code that the peer holds for ``link``."""
    revoke_codes(link)
    for family in _families(link):
        get_refresh_token_model().revoke_family(family)
    _access_tokens(link).delete()
    delete_unredeemed_logins(link)


def delete_unredeemed_logins(link: Link) -> None:
    """Delete authorization codes and device codes that the user allowed and the peer has not
    redeemed yet (RFC 6749, section 4.1; RFC 8628). Redeemed later, they would create a link or
    widen it, although the user has decided otherwise since."""
    application = link.peer.application
    # Reciprocal codes are kept: those that are not revoked yet belong to other links.
    rows_of(get_grant_model()).filter(user_id=link.user_id, application_id=application.pk).exclude(
        redirect_uri__startswith=CODE_URI
    ).delete()
    rows_of(get_device_grant_model()).filter(
        user_id=link.user_id, client_id=application.client_id
    ).delete()


@_marked_as_own
def revoke_family(link: Link, family: uuid.UUID | None) -> None:
    """Revoke the tokens of ``family`` (RFC 7009, section 2.1). ``None`` means that no refresh token
    was issued: delete the access tokens of the user at the peer that belong to no other link."""
    if family is None:
        _access_tokens(link).delete()
    else:
        get_refresh_token_model().revoke_family(family)


@_marked_as_own
def revoke_all_of_client(application: Any) -> None:
    """Revoke every token and unredeemed code of a client."""
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
    """Delete the access tokens with these primary keys."""
    rows_of(get_access_token_model()).filter(pk__in=keys).delete()


def revoke_codes(link: Link) -> None:
    """Revoke the unredeemed reciprocal codes of ``link``: in the ledger, and the Grants of DOT."""
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
    """The number of users for whom a client holds tokens that work, or that it can renew."""
    live = rows_of(get_access_token_model()).filter(expires__gt=timezone.now())
    own = [
        rows.filter(application=application, user__isnull=False).order_by().values("user_id")
        for rows in (live, _renewable())
    ]
    return own[0].union(own[1]).count()


def has_live_tokens(link: Link) -> bool:
    """Whether the peer holds tokens for ``link`` that work, or that it can renew."""
    renewable = _renewable()
    if link.incoming_family is not None:
        return renewable.filter(token_family=link.incoming_family).exists()
    alone = _access_tokens(link).exclude(pk__in=renewable.values("access_token_id"))
    return alone.filter(expires__gt=timezone.now()).exists()


def has_any_tokens(link: Link) -> bool:
    """Whether the peer holds working tokens that count for ``link``: tokens of ``link``, and tokens
    whose family is not that of another active link (see :func:`find_link`)."""
    strays = _renewable().filter(user_id=link.user_id, application_id=link.peer.application_id)
    foreign = _other_links(link).values("incoming_family")
    return has_live_tokens(link) or strays.exclude(token_family__in=foreign).exists()


def without_live_tokens(links: QuerySet[Link]) -> QuerySet[Link]:
    """Those of ``links`` for which :func:`has_live_tokens` is false, in one query. Check each of
    them again with its row locked."""
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
    """The scope that the peer can use for ``link`` at this moment: scopes that the user allows and
    that the tokens of the peer have. A newly allowed scope is in force once the peer has redeemed
    the code for it (draft-ietf-oauth-reciprocal-04, section 3).

    One query while a decision is pending or has failed, unless ``link`` comes from
    :func:`with_carried_scope`.
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
    """Annotate ``links`` so that :func:`scope_in_force` needs no other query."""
    return links.annotate(carried_scope=Subquery(_carried_scope(OuterRef("incoming_family"))[:1]))


def _carried_scope(family: Any) -> QuerySet[Any, str]:
    """The scope of the newest access token of ``family`` that the peer can use or renew."""
    newest = _renewable().filter(token_family=family).order_by("-pk")
    return newest.values_list("access_token__scope", flat=True)


def has_expired(link: Link) -> bool:
    """Whether the refresh token of ``link`` has expired, and was not revoked."""
    unrevoked = rows_of(get_refresh_token_model()).filter(
        token_family=link.incoming_family, revoked__isnull=True
    )
    return bool(expired_beyond_renewal(unrevoked.values("access_token_id")))


def expired_beyond_renewal(access_tokens: Any) -> set[Any]:
    """The keys of access tokens that expired so long ago that DOT refuses to renew them
    (``REFRESH_TOKEN_EXPIRE_SECONDS``).

    :param access_tokens: primary keys, or a subquery.
    """
    life = refresh_token_expire_timedelta()
    if life is None:
        return set()
    found = rows_of(get_access_token_model()).filter(
        pk__in=access_tokens, expires__lte=timezone.now() - life
    )
    return set(found.values_list("pk", flat=True))


def _renewable() -> QuerySet[Any]:
    """Refresh tokens that DOT accepts (RFC 6749, section 6): their access token exists, and has not
    been expired for longer than ``REFRESH_TOKEN_EXPIRE_SECONDS``."""
    tokens = rows_of(get_refresh_token_model()).filter(
        revoked__isnull=True, access_token__isnull=False
    )
    life = refresh_token_expire_timedelta()
    if life is None:
        return tokens
    return tokens.filter(access_token__expires__gt=timezone.now() - life)


def _access_tokens(link: Link) -> QuerySet[Any]:
    """Access tokens of the user and the peer that belong to no other link."""
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
    """Families of the tokens of the user and the peer that belong to no other link."""
    foreign = _other_links(link).values("incoming_family")
    found = rows_of(get_refresh_token_model()).filter(
        user_id=link.user_id,
        application_id=link.peer.application_id,
        revoked__isnull=True,
        token_family__isnull=False,
    )
    return set(found.exclude(token_family__in=foreign).values_list("token_family", flat=True))


def _other_links(link: Link) -> QuerySet[Link]:
    """The other active links of the same user with the same peer for which ``incoming_family`` is
    set."""
    return Link.objects.filter(
        user_id=link.user_id,
        peer_id=link.peer_id,
        status=Link.Status.ACTIVE,
        incoming_family__isnull=False,
    ).exclude(pk=link.pk)
