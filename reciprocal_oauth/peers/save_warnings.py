"""Warnings about a peer that can be saved, but that may not work."""

from urllib.parse import quote

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..models import Peer


def scope_warning(peer: Peer) -> str:
    """Return a warning if no scope is set; ``""`` otherwise."""
    if peer.scope or peer.allowed_scope:
        return ""
    return _(
        "No scope is set. This site asks the peer for none, and the peer may hold none here. So a "
        "connection will allow neither site to do much."
    )


@sensitive_variables()
def secret_warning(peer: Peer) -> str:
    """Return a warning if some servers may misread our client secret; else ``""``.

    HTTP Basic sends the secret form-encoded (RFC 6749, section 2.3.1), and some servers do not
    decode it.
    """
    secret = peer.client_secret.reveal()
    if peer.token_endpoint_auth_method == Peer.AuthMethod.POST or quote(secret, safe="") == secret:
        return ""
    return _(
        "The client secret has characters that HTTP Basic sends encoded (RFC 6749, section 2.3.1), "
        "and not every site decodes them. If the peer refuses our credentials, choose "
        "client_secret_post."
    )
