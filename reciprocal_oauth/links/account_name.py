"""Asks the peer for the name of the account that a link connects, to show it to the user.

The name is only shown. Nothing is decided by it, because the peer can tell any name, and the name
can change: a link is found by ``Link.account_key``.
"""

import logging
from uuid import UUID

from django.views.decorators.debug import sensitive_variables

from ..client import account_endpoint, deadline, userinfo
from ..core import scopes
from ..core.database import delivering, log_exception, release_connections, tried_again
from ..core.protocol import OPENID
from ..exceptions import PeerError
from ..models import Link, Peer
from ..secret import Secret

logger = logging.getLogger("reciprocal_oauth")

#: How long, in seconds, a user or a worker waits for the name. A name that comes later is stored
#: when it comes.
PATIENCE_SECONDS = 3.0


@sensitive_variables()
def ask_for(
    link: Link, peer: Peer, access_token: Secret, *, wait_seconds: float | None = None
) -> None:
    """Ask the peer for the name of the account, and store it in the link. If the peer does not tell
    a name, only log this, because the link works without a name.

    Call it after the tokens were saved, and outside of a transaction.

    :param link: the link for which the peer has just issued tokens, with the subject, the scope and
        the grant of these tokens.
    :param peer: the peer with the field values that were used for the token request.
    :param wait_seconds: how long to wait for the name; ``None`` for :data:`PATIENCE_SECONDS`.
    """
    has_openid = bool(link.subject) or OPENID in scopes.split(link.outgoing_scope)
    asks_userinfo = bool(peer.userinfo_endpoint) and has_openid
    asks_account = bool(peer.account_endpoint and peer.account_member)
    if not asks_userinfo and not asks_account:
        return
    subject, slug = link.subject, peer.slug

    def ask() -> str:
        name = _from_userinfo(peer, subject, access_token) if asks_userinfo else ""
        return name or (_from_account_endpoint(peer, access_token) if asks_account else "")

    pk, grant = link.pk, link.outgoing_grant
    wait = PATIENCE_SECONDS if wait_seconds is None else wait_seconds
    release_connections()
    try:
        name = deadline.within(wait, ask, late=lambda late: _store_late(pk, grant, late))
    except PeerError:
        logger.info("Peer %s has not told the name of an account in time", slug)
        return
    if name and _store(pk, grant, name):
        link.account_name = name


@sensitive_variables()
def _from_userinfo(peer: Peer, subject: str, access_token: Secret) -> str:
    try:
        return userinfo.name_of(peer, subject, access_token)
    except PeerError as error:
        _log(peer, error)
        return ""


@sensitive_variables()
def _from_account_endpoint(peer: Peer, access_token: Secret) -> str:
    try:
        return account_endpoint.name_of(peer, access_token)
    except PeerError as error:
        _log(peer, error)
        return ""


def _log(peer: Peer, error: PeerError) -> None:
    logger.warning(
        "Peer %s did not return the name of an account: %s",
        peer.slug,
        error,
        extra={"action": "account_unnamed"},
    )


@tried_again
def _store(pk: UUID, grant: UUID | None, name: str) -> bool:
    """Store the name, unless the link has tokens of another grant meanwhile, which can be for
    another account."""
    rows = Link.objects.filter(pk=pk, outgoing_grant=grant)
    return bool(rows.update(account_name=name))


def _store_late(pk: UUID, grant: UUID | None, name: str) -> None:
    """Store a name for which nobody waits any more. This runs in a thread of its own."""
    try:
        with delivering():
            if name:
                _store(pk, grant, name)
            release_connections()
    except Exception:
        log_exception(logger, "The account name of link %s could not be stored", pk)
