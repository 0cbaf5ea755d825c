"""Revokes tokens of this site at the peer (RFC 7009, section 2.1), through the outbox."""

from ..client.token_endpoint import TokenResponse
from ..core.database import atomic, tried_again
from ..dialects import dialect_of
from ..exceptions import DecryptionError
from ..models import Link, OutboxItem, Peer
from ..secret import Secret
from . import lifecycle


@tried_again
def revoke_unused(link: Link, response: TokenResponse, *, used: Secret | None = None) -> None:
    """Revoke the tokens in ``response`` at the peer, because nobody will use them (RFC 7009,
    section 1). Call this function if ``link`` was deleted, ended or got newer tokens during the
    request, or if its user was deactivated.

    :param used: the refresh token with which the tokens were requested. If ``response`` contains no
        new refresh token, ``used`` is still valid and is revoked.
    """
    with atomic():
        now = Link.objects.select_for_update().filter(pk=link.pk).first()
        if now is not None and holds_token_from(now, response, used):
            return
        if not Peer.objects.filter(pk=link.peer_id).exists():
            return  # The peer was deleted, so its revocation endpoint is no longer known.
        is_replaced = now is not None and now.is_active and now.has_outgoing_tokens
        if _may_revoke(link, replaced=is_replaced):
            token = response.refresh_token or used or response.access_token
            lifecycle.queue_revocation(
                link, token, bound_to=link.peer.binding, keep_link=now is not None
            )


def revoke_outgoing(link: Link, *, replaced: bool) -> None:
    """Add a revocation of the tokens of ``link`` at the peer to the outbox.

    :param replaced: whether the user has newer tokens. In this case, the tokens are revoked only if
        :func:`revokes_replaced` is true, because some peers would revoke the newer tokens too.
    """
    if _may_revoke(link, replaced=replaced):
        lifecycle.queue_revocation(link)


def _may_revoke(link: Link, *, replaced: bool) -> bool:
    return not replaced or revokes_replaced(link.peer)


def revokes_replaced(peer: Peer) -> bool:
    """Return whether this site revokes an old token at ``peer`` after a user has connected again.
    If the dialect of the peer does not decide this, the field ``Peer.revoke_replaced`` decides."""
    forced = dialect_of(peer).revokes_replaced_tokens
    return peer.revoke_replaced if forced is None else forced


def holds_token_from(link: Link, response: TokenResponse, *others: Secret | None) -> bool:
    """Return whether ``link`` stores one of the tokens in ``response`` or in ``others``. Some peers
    return the same token again when a user connects again. If this site revoked such a token as an
    old token, the new connection would stop working."""
    held = link.refresh_token or link.access_token
    try:
        return bool(held) and held in (response.refresh_token, response.access_token, *others)
    except DecryptionError:
        # No key decrypts the stored token. Do not raise this error, because the user must be able
        # to connect again, which replaces the token.
        return False


def is_token_in_use(item: OutboxItem) -> bool:
    """Return whether an active link of the same user uses the token that ``item`` has to revoke.

    This happens if the user connects again and the peer returns the same token.

    :raises DecryptionError: no key decrypts the token.
    """
    item.token.reveal()
    if item.link is None:
        return False  # The link was deleted, so the user is not known.
    own = Link.objects.filter(
        peer=item.peer_id, user=item.link.user_id, status=Link.Status.ACTIVE
    ).only("user", "peer", "bound_to", "access_token", "refresh_token")
    # Compare the tokens here and not in the query: each encryption of the same token gives a
    # different ciphertext.
    return any(
        _is_same(stored, item.token)
        for link in own
        for stored in (link.access_token, link.refresh_token)
    )


def would_end_newer_tokens(item: OutboxItem) -> bool:
    """Return whether the link of ``item`` has got newer tokens since ``item`` was stored, and this
    kind of peer would revoke these too (:attr:`.Dialect.revokes_replaced_tokens`)."""
    link = item.link
    is_replaced = link is not None and link.is_active and link.has_outgoing_tokens
    return is_replaced and dialect_of(item.peer).revokes_replaced_tokens is False


def _is_same(stored: Secret, token: Secret) -> bool:
    try:
        return stored == token
    except DecryptionError:
        return False
