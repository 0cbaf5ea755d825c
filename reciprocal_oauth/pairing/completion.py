"""Makes the peer and its application, when both sites are registered at each other.

Before that, the client ID and the secret of the other site stand only in the row of the pairing, so
a site that is registered only half can do nothing here.
"""

import logging
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_secret

from ..core import scopes, site_address
from ..core.database import on_commit
from ..core.site_metadata import RFC_7591
from ..exceptions import PairingError
from ..models import Pairing, Peer
from ..party_a import resending
from ..peers.application import application_for
from ..secret import Secret
from . import display, inviting

logger = logging.getLogger("reciprocal_oauth.pairing")

#: How long, in seconds, the response to the other site is kept after the completion, for a repeated
#: request.
KEEP_ANSWER_SECONDS = 24 * 3600


@sensitive_variables()
def complete(pairing: Pairing) -> Peer:
    """Make the peer of ``pairing`` and its application, or give them new credentials. Set the state
    of ``pairing`` without saving it. The caller has locked the row, in a transaction.

    :raises PairingError: the peer is not valid, for example because its short name was taken
        meanwhile.
    """
    peer = _peer(pairing)
    for name, value in peer_values(pairing).items():
        setattr(peer, name, value)
    before = Pairing.objects.filter(peer=peer).first() if peer.pk else None
    display.put_in(peer, display.offered(pairing), display.offered(before))
    application = application_of(pairing, peer)
    try:
        application.full_clean()
        application.save()
        peer.application = application
        peer.full_clean()
        peer.save()
    except ValidationError as error:
        raise PairingError("; ".join(error.messages)) from None
    mark_complete(pairing, peer)
    return peer


@sensitive_variables()
def mark_complete(pairing: Pairing, peer: Peer) -> None:
    """Set the state of ``pairing``, whose peer and application were saved, without saving it."""
    _replace_earlier(pairing, peer)
    now = timezone.now()
    pairing.peer = peer
    pairing.state, pairing.completed_at = Pairing.State.COMPLETE, now
    pairing.task, pairing.attempts, pairing.last_error = Pairing.Task.TEST, 0, ""
    pairing.next_attempt_at = now
    pairing.expires_at = now + timedelta(seconds=KEEP_ANSWER_SECONDS)
    pairing.code = pairing.body = pairing.issued_client_secret = Secret("")
    pairing.our_client_secret = pairing.reverse_token = Secret("")
    if pairing.renews:
        # A pause for refused credentials has no cause any more.
        on_commit(lambda: resending.resume(peer))
    logger.info("%s is complete", pairing, extra={"action": "paired"})


def _peer(pairing: Pairing) -> Peer:
    """Return the peer to fill: the one to renew, or a new one.

    :raises PairingError: there is already a peer with the short name, or none to renew.
    """
    peer = lock_peer(pairing.slug)
    if pairing.renews:
        inviting.check_renewal(peer, pairing.issuer)
    elif peer is not None:
        raise PairingError(
            _("There is already a peer with the short name “%(slug)s”.") % {"slug": pairing.slug}
        )
    return peer or Peer(slug=pairing.slug, enabled=False)


def lock_peer(slug: str) -> Peer | None:
    """Return the peer with the short name ``slug``, locked; ``None`` if there is none."""
    # Lock the earlier pairing of the peer before the peer, which is the order everywhere. Otherwise
    # a renewal and an update or a deletion can wait for each other.
    known = list(Peer.objects.filter(slug=slug).values_list("pk", flat=True))
    list(Pairing.objects.select_for_update().filter(peer__in=known))
    return Peer.objects.select_for_update().filter(slug=slug).first()


def peer_values(pairing: Pairing) -> dict[str, Any]:
    """Return the values of the peer's fields, but not what the other site says of itself; see
    :func:`.display.put_in`.

    For each direction, the scope that one site asks for is cut to what the other site allows.
    """
    asked = scopes.cut(pairing.asked_scope, pairing.offered_scope)
    wanted = scopes.cut(pairing.wanted_scope, pairing.allowed_scope)
    metadata = {name: each for name, each in pairing.metadata.items() if name not in RFC_7591}
    values = metadata | {
        "issuer": pairing.issuer,
        "homepage": pairing.homepage,
        "client_id": pairing.our_client_id,
        "client_secret": Secret(pairing.our_client_secret.reveal()),
        "token_endpoint_auth_method": pairing.auth_method,
        "authenticates_here_by": pairing.its_auth_method,
        "jwks_uri": pairing.jwks_uri,
        "scope": asked,
        "reciprocal_scope": scopes.without_openid(asked),
        "allowed_scope": pairing.allowed_scope,
        "preconfigured_scope": scopes.without_openid(wanted),
        "scope_words": pairing.scope_words,
    }
    if not pairing.renews:
        values["name"] = pairing.name or site_address.host_of(pairing.issuer)
        # A site that pairs keeps newer tokens when an older one is revoked. So a person who
        # connects again does not see the old connection beside the new one there.
        values["revoke_replaced"] = True
    if pairing.enable:
        values["enabled"] = True
    return values


@sensitive_variables()
def application_of(pairing: Pairing, peer: Peer) -> Any:
    """Return the application of ``peer``: the one that it has already, or a new one. DOT must store
    a secret; that of a peer with a key is random, and nobody knows it."""
    secret = pairing.issued_client_secret.reveal() or generate_client_secret()
    application = application_for(peer, client_secret=secret, redirect_uris=pairing.redirect_uris)
    if not pairing.renews:
        application.client_id = pairing.issued_client_id
    else:
        require_same_client_id(pairing, application)
    return application


def require_same_client_id(pairing: Pairing, application: Any) -> None:
    """Check that the application of a peer that is renewed has the client ID that the other site
    was told.

    :raises PairingError: it was changed meanwhile.
    """
    if application.client_id != pairing.issued_client_id:
        raise PairingError(_("The client ID of the peer was changed meanwhile. Pair again."))


def _replace_earlier(pairing: Pairing, peer: Peer) -> None:
    for earlier in Pairing.objects.select_for_update().filter(peer=peer).exclude(pk=pairing.pk):
        earlier.peer = None
        inviting.close(earlier, Pairing.State.REPLACED)
