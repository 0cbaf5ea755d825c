"""A site that knows only RFC 7591 has used an invitation for whoever has it. So it is registered
here, but this site does not know its endpoints, and is not registered there.

An administrator registers this site there by hand, and enters the endpoints. Only then are the peer
and its application made, in one transaction. So there is no moment at which the application exists
without a peer, whose scopes would limit it.
"""

import logging
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from ..core import scopes
from ..core.database import on_commit
from ..delivery import dispatchers
from ..exceptions import PairingError
from ..models import Pairing, Peer
from . import completion, inviting

logger = logging.getLogger("reciprocal_oauth.pairing")


def is_waiting(pairing: Pairing) -> bool:
    """Return whether the pairing waits for the endpoints of a site that knows only RFC 7591."""
    return pairing.state == Pairing.State.ACCEPTED and not pairing.issuer


def waiting(slug: str) -> Pairing:
    """Return the pairing with the short name ``slug`` that waits for endpoints.

    :raises PairingError: there is none.
    """
    rows = Pairing.objects.filter(slug=slug, state=Pairing.State.ACCEPTED, issuer="")
    pairing = rows.first()
    if pairing is None:
        raise PairingError(_("No pairing with this short name waits for endpoints."), field="slug")
    return pairing


def lock(pairing: Pairing) -> Pairing:
    """Return the pairing, locked, if it still waits for endpoints. Call it in a transaction, and
    before the peer is saved.

    :raises PairingError: it does not wait any more, or its peer cannot be made.
    """
    row = Pairing.objects.select_for_update().get(pk=pairing.pk)
    if not is_waiting(row) or row.expires_at <= timezone.now():
        state = Pairing.State.EXPIRED.label if is_waiting(row) else row.get_state_display()
        raise PairingError(
            _("This pairing does not wait for endpoints any more: %(state)s.") % {"state": state}
        )
    peer = completion.lock_peer(row.slug)
    if row.renews:
        inviting.check_renewal(peer, "")
        completion.require_same_client_id(row, peer and peer.application)
    elif peer is not None:
        raise PairingError(
            _("There is already a peer with the short name “%(slug)s”.") % {"slug": row.slug}
        )
    return row


def first_values(pairing: Pairing) -> dict[str, Any]:
    """Return the values of the peer's fields that the administrator can change: what was decided
    when the invitation was made, and how the other site calls itself."""
    wanted = scopes.cut(pairing.wanted_scope, pairing.allowed_scope)
    values: dict[str, Any] = {
        "scope": pairing.asked_scope,
        "allowed_scope": pairing.allowed_scope,
        "preconfigured_scope": scopes.without_openid(wanted),
    }
    if not pairing.renews:
        values |= {"name": pairing.name or pairing.slug, "enabled": pairing.enable}
    return values


def fixed_values(pairing: Pairing) -> dict[str, Any]:
    """Return the values of the peer's fields that the other site has registered."""
    return {
        "authenticates_here_by": pairing.its_auth_method,
        "jwks_uri": pairing.jwks_uri,
    }


def finish(row: Pairing, peer: Peer, *, user: Any = None) -> None:
    """Complete a pairing whose peer and application were saved. The caller has locked the row with
    :func:`lock`, in the same transaction."""
    row.confirmed_by = user
    completion.mark_complete(row, peer)
    row.save()
    on_commit(dispatchers.wake)
