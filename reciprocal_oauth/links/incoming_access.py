"""The tokens that DOT has issued to a peer for one link: found, narrowed, revoked.

DOT groups the tokens that stem from one grant in a ``token_family``; a link names the family in
force. DOT's models are swappable, so they are looked up when used.
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
    """The peer, enabled or not, whose registration here is ``application``.

    Django keeps it on the application object, also that there is none: DOT makes one such object
    per request, so a request asks the database once.
    """
    return getattr(application, "reciprocal_peer", None)


def describe_client(application: Any) -> str:
    """A client that has authenticated, for our log: whom an administrator has to ask."""
    peer = peer_of(application)
    return f"peer {peer.slug if peer else '(none)'}, client {application.client_id}"


def is_registration_token(access_token: Any) -> bool:
    """Whether a DOT access token is a registration access token (RFC 7592, section 3): a credential
    of the client for its own registration, though DOT notes on it who registered the client."""
    return bool(access_token.scope == oauth2_settings.DCR_REGISTRATION_SCOPE)


def token_families(access_token: Any) -> QuerySet[Any, uuid.UUID | None]:
    """The family of a DOT access token, as a subquery; nothing for tokens of the implicit grant.

    The refresh token bound to it names the family; after a rotation without one, the refresh token
    that it was made from does.
    """
    refresh_tokens = rows_of(get_refresh_token_model())
    bound = Q(access_token=access_token.pk)
    if access_token.source_refresh_token_id is not None:
        bound |= Q(pk=access_token.source_refresh_token_id)
    found = refresh_tokens.filter(bound, token_family__isnull=False)
    return found.values_list("token_family", flat=True)


def find_link(access_token: Any, links: Sequence[Link]) -> Link | None:
    """The link that a DOT access token belongs to, of ``links``, the active ones of its user and
    its peer, the newest first. One whose family no link names stands behind the newest that allows
    anything."""
    families = set(token_families(access_token)) if links else set()
    for link in links:
        if link.incoming_family in families:
            return link
    return next((link for link in links if link.incoming_scope), None)


class _OwnRevocation(threading.local):
    """Whether this thread is in one of the functions below that revoke."""

    depth = 0


_own_revocation = _OwnRevocation()


def is_own_revocation() -> bool:
    """Whether it is this app that revokes tokens at the moment: what that means for the link, the
    caller decides."""
    return _own_revocation.depth > 0


def _own_revocation_in(function: Callable[..., None]) -> Callable[..., None]:
    @wraps(function)
    def revoke_ourselves(*args: Any) -> None:
        _own_revocation.depth += 1
        try:
            function(*args)
        finally:
            _own_revocation.depth -= 1

    return revoke_ourselves


def narrow_tokens(link: Link) -> None:
    """Cut the live access tokens of ``link`` to what it allows now; nothing left: revoke.

    Bites on the next call with such a token. Call it in the transaction that narrows the link.
    """
    limit = link.incoming_limit
    if not limit:
        revoke_incoming(link)
        return
    for token in _access_tokens(link).only("pk", "scope"):
        kept = scopes.cut(token.scope, limit)
        if kept != token.scope:
            rows_of(get_access_token_model()).filter(pk=token.pk).update(scope=kept)


@_own_revocation_in
def revoke_incoming(link: Link) -> None:
    """Make every token and unredeemed code that the peer holds for ``link`` worthless, at once."""
    revoke_codes(link)
    for family in _families(link):
        get_refresh_token_model().revoke_family(family)
    _access_tokens(link).delete()
    delete_unredeemed_logins(link)


def delete_unredeemed_logins(link: Link) -> None:
    """End what the person has allowed the peer elsewhere and the peer has not fetched yet: ordinary
    codes and devices. Fetched later, it would open a link, or widen one, although the person has
    decided otherwise since."""
    application = link.peer.application
    # The reciprocal codes that are left belong to other links.
    rows_of(get_grant_model()).filter(user_id=link.user_id, application_id=application.pk).exclude(
        redirect_uri__startswith=CODE_URI
    ).delete()
    rows_of(get_device_grant_model()).filter(
        user_id=link.user_id, client_id=application.client_id
    ).delete()


@_own_revocation_in
def revoke_family(link: Link, family: uuid.UUID | None) -> None:
    """Revoke the tokens of ``family``; without one (no refresh token was issued), all access tokens
    that no other link names."""
    if family is None:
        _access_tokens(link).delete()
    else:
        get_refresh_token_model().revoke_family(family)


@_own_revocation_in
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


@_own_revocation_in
def revoke_access_tokens(keys: Iterable[Any]) -> None:
    """Revoke the access tokens with these keys, where they are still there."""
    rows_of(get_access_token_model()).filter(pk__in=keys).delete()


def revoke_codes(link: Link) -> None:
    """End the unredeemed reciprocal codes of ``link``: the ledger rows and DOT's Grants."""
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
    """How many people a client holds tokens of that work, or that it can renew."""
    live = rows_of(get_access_token_model()).filter(expires__gt=timezone.now())
    own = [
        rows.filter(application=application, user__isnull=False).order_by().values("user_id")
        for rows in (live, _renewable())
    ]
    return own[0].union(own[1]).count()


def has_live_tokens(link: Link) -> bool:
    """Whether the peer still holds tokens for ``link`` that work, or that it can renew."""
    renewable = _renewable()
    if link.incoming_family is not None:
        return renewable.filter(token_family=link.incoming_family).exists()
    alone = _access_tokens(link).exclude(pk__in=renewable.values("access_token_id"))
    return alone.filter(expires__gt=timezone.now()).exists()


def has_any_tokens(link: Link) -> bool:
    """Whether the peer holds any tokens that ``link`` stands behind: its own, or of a family that
    no link of the user names (:func:`find_link`)."""
    strays = _renewable().filter(user_id=link.user_id, application_id=link.peer.application_id)
    foreign = _other_links(link).values("incoming_family")
    return has_live_tokens(link) or strays.exclude(token_family__in=foreign).exists()


def without_live_tokens(links: QuerySet[Link]) -> QuerySet[Link]:
    """Those of ``links`` that have no live tokens of their own, found in one query. Ask each of
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
    """What the peer may do here for ``link`` at this moment: what the person allows, as far as its
    tokens carry it. What was allowed later than they were issued, it may do once it has redeemed
    the code for that.

    One query while a decision waits or was given up, unless ``link`` comes from
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
    """``links``, each with what :func:`scope_in_force` asks for, in the same query."""
    return links.annotate(carried_scope=Subquery(_carried_scope(OuterRef("incoming_family"))[:1]))


def _carried_scope(family: Any) -> QuerySet[Any, str]:
    """The scope of the access token that the peer holds, or can renew, of ``family``."""
    newest = _renewable().filter(token_family=family).order_by("-pk")
    return newest.values_list("access_token__scope", flat=True)


def has_expired(link: Link) -> bool:
    """Whether the refresh token of ``link`` was never revoked, only not used for too long."""
    unrevoked = rows_of(get_refresh_token_model()).filter(
        token_family=link.incoming_family, revoked__isnull=True
    )
    return bool(expired_beyond_renewal(unrevoked.values("access_token_id")))


def expired_beyond_renewal(access_tokens: Any) -> set[Any]:
    """Keys of those of ``access_tokens``, keys as well, that have been over for too long to be
    renewed."""
    life = refresh_token_expire_timedelta()
    if life is None:
        return set()
    found = rows_of(get_access_token_model()).filter(
        pk__in=access_tokens, expires__lte=timezone.now() - life
    )
    return set(found.values_list("pk", flat=True))


def _renewable() -> QuerySet[Any]:
    """Refresh tokens that DOT takes: one whose access token is gone is refused, and so is one whose
    access token has been over for ``REFRESH_TOKEN_EXPIRE_SECONDS``."""
    tokens = rows_of(get_refresh_token_model()).filter(
        revoked__isnull=True, access_token__isnull=False
    )
    life = refresh_token_expire_timedelta()
    if life is None:
        return tokens
    return tokens.filter(access_token__expires__gt=timezone.now() - life)


def _access_tokens(link: Link) -> QuerySet[Any]:
    """Access tokens of the user and the peer that belong to no other link of theirs."""
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
    """Families of the user's tokens at the peer, without those of other links."""
    foreign = _other_links(link).values("incoming_family")
    found = rows_of(get_refresh_token_model()).filter(
        user_id=link.user_id,
        application_id=link.peer.application_id,
        revoked__isnull=True,
        token_family__isnull=False,
    )
    return set(found.exclude(token_family__in=foreign).values_list("token_family", flat=True))


def _other_links(link: Link) -> QuerySet[Link]:
    return Link.objects.filter(
        user_id=link.user_id,
        peer_id=link.peer_id,
        status=Link.Status.ACTIVE,
        incoming_family__isnull=False,
    ).exclude(pk=link.pk)
