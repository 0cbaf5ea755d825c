"""The client secret of a peer's application at this site: replaced by an administrator."""

from typing import Any

from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model

from ..core.database import atomic, tried_again
from ..models import Peer
from ..secret import Secret


def fingerprint(peer: Peer) -> str:
    """Return a text that changes with the client secret, and tells nothing about it."""
    return _fingerprint(peer.application)


def _fingerprint(application: Any) -> str:
    salt, stored = "reciprocal_oauth.peers.application_secret", application.client_secret
    return salted_hmac(salt, stored, algorithm="sha256").hexdigest()


@tried_again
@sensitive_variables()
def replace(peer: Peer, seen: str) -> Secret | None:
    """Give the peer a new client secret here. The old secret stops working at once.

    :param seen: the :func:`fingerprint` of the secret that the administrator wants to replace.
    :returns: the new secret, which DOT stores as a hash by default; ``None``: nothing was changed,
        because the secret has been replaced since.
    """
    with atomic():
        applications = get_application_model()._default_manager.select_for_update()
        application = applications.get(pk=peer.application_id)
        if not constant_time_compare(_fingerprint(application), seen):
            return None
        made = generate_client_secret()
        application.client_secret = made
        application.save(update_fields=["client_secret", "updated"])
    peer.application = application
    return Secret(made)
