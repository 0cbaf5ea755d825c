"""Step (E): deciding on a code that a peer hands over, and keeping it.

The checks stand in the order of the draft ("Reciprocal Authorization Code"). A peer learns the same
``invalid_grant`` for every fault of the access token: it must not find out whose token it has.
"""

import logging
from typing import Any

from django.db import IntegrityError
from django.utils import timezone
from oauth2_provider.models import get_access_token_model

from .. import access_here, protocol, signals
from ..exceptions import HandoverRefused
from ..models import InboxItem, Link, Party, Peer, Step
from ..models.events import record
from ..models.ledger import hash_of
from ..secret import Secret
from ..transactions import atomic
from .opening import link_of_token

logger = logging.getLogger("reciprocal_oauth.party_b")


def receive(application: Any, code: Secret, access_token: Secret) -> InboxItem:
    """Keep ``code``, which the authenticated client ``application`` hands over for the user whom
    ``access_token`` stands for. The same code again is answered like the first time.

    :returns: the committed inbox row.
    :raises HandoverRefused: ``unauthorized_client`` or ``invalid_grant``.
    """
    peer = check_peer(application)
    token = _check_token(application, access_token)
    try:
        with atomic():
            return _keep(peer, token, code)
    except IntegrityError:
        # Sent twice at the same moment: the other request has committed the row.
        with atomic():
            return _keep(peer, token, code)


def check_peer(application: Any) -> Peer:
    """The enabled peer that ``application`` belongs to.

    :raises HandoverRefused: ``unauthorized_client``.
    """
    peer = access_here.peer_of(application)
    if peer is None or not peer.enabled:
        raise HandoverRefused(
            protocol.UNAUTHORIZED_CLIENT, "the client is no peer, or the peer is disabled"
        )
    return peer


def _check_token(application: Any, access_token: Secret) -> Any:
    """DOT's row of the presented token: "Party B MUST then verify the access token was granted to
    the client identified by the client_id"."""
    token = (
        get_access_token_model()
        .objects.select_related("user")
        .filter(token_checksum=hash_of(access_token.reveal()))
        .first()
    )
    if token is None:
        raise _invalid("the access token is unknown")
    if token.application_id != application.pk:
        raise _invalid("the access token was granted to another client")
    if token.is_expired():
        raise _invalid("the access token has expired")
    if token.user is None:
        raise _invalid("the access token stands for no user")
    if not token.user.is_active:
        raise _invalid("the user is not active")
    return token


def _keep(peer: Peer, token: Any, code: Secret) -> InboxItem:
    code_hash = hash_of(code.reveal())
    known = InboxItem.objects.select_related("link").filter(peer=peer, code_hash=code_hash).first()
    if known is not None:
        if known.link.user_id != token.user_id:
            raise _invalid("the code was handed over for another user before")
        return known
    link = link_of_token(peer, token)
    now = timezone.now()
    # The newest code is the one that counts: party A kills the older ones when it mints.
    link.inbox.filter(state__in=InboxItem.LIVE_STATES).update(
        **InboxItem.finishing(InboxItem.State.CANCELLED, now), code=Secret("")
    )
    item = InboxItem.objects.create(peer=peer, link=link, code=code, code_hash=code_hash)
    record(link, Step.E, party=Party.B)
    signals.send_after_commit(signals.handover_received, Link, link=link)
    return item


def _invalid(log: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_GRANT, log)
