"""Returns warnings about the values of a peer that can be saved, but that may not work."""

from urllib.parse import quote

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..compat import oauth2_settings
from ..core import plugins
from ..models import Peer
from .sheet import jwks_uri


def scope_warning(peer: Peer) -> str:
    """Return a warning if both are empty: the scope that this site requests at the peer, and the
    scope that the peer can get at this site. Otherwise, return ``""``."""
    if peer.scope or peer.allowed_scope:
        return ""
    return _(
        "No scope is set. This site asks the peer for none, and the peer may hold none here. So a "
        "connection will allow neither site to do much."
    )


def grace_warning(peer: Peer) -> str:
    """Return a warning if this site refuses a replaced refresh token of ``peer`` too early;
    otherwise ``""``."""
    wanted = missing_grace(peer.dialect)
    if not wanted:
        return ""
    return _(
        "This kind of peer can send a refresh token again after it was replaced, for example when "
        "the response was lost. The connection then ends. Set REFRESH_TOKEN_GRACE_PERIOD_SECONDS "
        "in OAUTH2_PROVIDER to %(seconds)d or more."
    ) % {"seconds": wanted}


def missing_grace(dialect: str) -> int:
    """Return the number of seconds for which a replaced refresh token should still work because of
    the dialect with this name. Return 0 if DOT's settings are sufficient for it, or if there is no
    such dialect."""
    try:
        wanted: int = plugins.dialect_class(dialect).grace_seconds
    except ImproperlyConfigured:
        return 0
    present = oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS
    return wanted if oauth2_settings.ROTATE_REFRESH_TOKEN and present < wanted else 0


def keys_warning(peer: Peer) -> str:
    """Return a warning if this site signs for ``peer``, but the URLs of this site do not include
    its public keys; otherwise ``""``."""
    if not peer.signs_assertions or jwks_uri():
        return ""
    return _(
        "The peer cannot read the public keys of this site: the URLs of this site do not include "
        "reciprocal_urlpatterns of reciprocal_oauth.oauth2_urls."
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
