"""Returns warnings about the values of a peer that can be saved, but that may not work."""

from urllib.parse import quote

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..models import Peer


def scope_warning(peer: Peer) -> str:
    """Return a warning if both are empty: the scope that this site requests at the peer, and the
    scope that the peer can get at this site. Otherwise, return ``""``."""
    if peer.scope or peer.allowed_scope:
        return ""
    return _(
        "No scope is set. This site asks the peer for none, and the peer may hold none here. So a "
        "connection will allow neither site to do much."
    )


@sensitive_variables()
def secret_warning(peer: Peer) -> str:
    """Return a warning if some servers could misread our client secret; otherwise ``""``.

    With HTTP Basic, the client secret is sent form-encoded (RFC 6749, section 2.3.1). Some servers
    do not decode it, so they refuse a secret with characters that the encoding changes.
    """
    secret = peer.client_secret.reveal()
    if peer.token_endpoint_auth_method == Peer.AuthMethod.POST or quote(secret, safe="") == secret:
        return ""
    return _(
        "The client secret has characters that HTTP Basic sends encoded (RFC 6749, section 2.3.1), "
        "and not every site decodes them. If the peer refuses our credentials, choose "
        "client_secret_post."
    )
