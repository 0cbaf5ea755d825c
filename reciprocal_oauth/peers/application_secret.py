"""Replaces the client secret of a peer's application: the secret that the peer uses at this site.

An administrator replaces the secret on the page of the peer in the Django admin. A peer that has
paired with this site can ask for a new one itself (RFC 7592, section 2.2).
"""

from typing import Any

from django.utils.crypto import constant_time_compare, salted_hmac
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model

from ..core.database import atomic, tried_again
from ..models import Peer
from ..secret import Secret
from .application import forget_keys


def fingerprint(peer: Peer) -> str:
    """Return a keyed hash of the secret that the peer uses at this site. If the secret is replaced,
    the hash changes. The hash does not reveal the secret."""
    return _fingerprint(peer.application)


def _fingerprint(application: Any) -> str:
    salt, stored = "reciprocal_oauth.peers.application_secret", application.client_secret
    return salted_hmac(salt, stored, algorithm="sha256").hexdigest()


@tried_again
@sensitive_variables()
def replace(peer: Peer, seen: str) -> Secret | None:
    """Replace the client secret that the peer uses at this site. The old secret becomes invalid
    immediately.

    :param seen: the :func:`fingerprint` of the secret when the administrator opened the page.
    :returns: the new secret in clear (by default, DOT stores only its hash); ``None`` if nothing
        was changed, because somebody replaced the secret after the page was opened.
    """
    with atomic():
        applications = get_application_model()._default_manager.select_for_update()
        application = applications.get(pk=peer.application_id)
        if not constant_time_compare(_fingerprint(application), seen):
            return None
        made = _store_new(application)
    peer.application = application
    return made


@sensitive_variables()
def replace_now(peer: Peer) -> Secret:
    """Replace the client secret that the peer uses at this site, whatever it is. The old secret
    becomes invalid immediately. Call it in a transaction.

    :returns: the new secret in clear.
    """
    applications = get_application_model()._default_manager.select_for_update()
    application = applications.get(pk=peer.application_id)
    made = _store_new(application)
    peer.application = application
    return made


def lock_out(peer: Peer) -> None:
    """Take from a peer that is about to be deleted all credentials that it has at this site. Call
    it in a transaction."""
    replace_now(peer)
    forget_keys(peer)


@sensitive_variables()
def _store_new(application: Any) -> Secret:
    made = generate_client_secret()
    application.client_secret = made
    application.save(update_fields=["client_secret", "updated"])
    return Secret(made)
