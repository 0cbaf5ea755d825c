"""The sheet of a peer: a list of this site's values that the administrator of the peer must enter
at their site. With these values, the peer registers this site."""

from dataclasses import dataclass

from ..compat import oauth2_settings
from ..conf import settings
from ..core import scopes, site_address
from ..models import Peer


@dataclass(frozen=True)
class Sheet:
    """The values of this site that the administrator of the peer must enter at their site.

    No value is a secret. A URL is ``""`` if the URLconf of this site has no route for this URL.

    :ivar client_id: the client ID of the peer at this site.
    :ivar redirect_uri: the callback URL of this site, which the peer must register (RFC 6749,
        section 3.1.2.2).
    :ivar metadata: the URL of this site's metadata, from which programs can read most of these
        values (RFC 8414, section 3).
    :ivar reciprocal_endpoint: the URL to which the peer sends its reciprocal codes
        (draft-ietf-oauth-reciprocal-04, section 2.2.2); ``""`` if this site accepts none.
    :ivar scope_here: the largest scope that the peer can get at this site.
    :ivar scope_there: the whole scope that this site requests at the peer.
    """

    client_id: str
    redirect_uri: str
    issuer: str
    metadata: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    reciprocal_endpoint: str
    scope_here: str
    scope_there: str


def sheet_for(peer: Peer, base: str = "") -> Sheet:
    """Return the sheet for ``peer``: the values that the administrator of ``peer`` must enter at
    their site.

    :param base: the URL of this site, from :func:`site_address.base_url`. If it is empty, the sheet
        contains paths instead of URLs.
    """

    def url(route: str, *args: str) -> str:
        return site_address.url_of(route, *args, base=base)

    metadata = url("oauth2_provider:oauth-server-metadata")
    token_endpoint = url("oauth2_provider:token")
    asked = dict.fromkeys(scopes.split(f"{peer.scope} {peer.reciprocal_scope}"))
    return Sheet(
        client_id=peer.application.client_id if peer.application_id is not None else "",
        redirect_uri=url("reciprocal_oauth:callback", peer.slug),
        # Compute the issuer in the same way as DOT. DOT names this issuer in its metadata and in
        # its authorization responses (RFC 9207, section 2).
        issuer=oauth2_settings.OIDC_ISS_ENDPOINT or metadata.partition("/.well-known/")[0],
        metadata=metadata,
        authorization_endpoint=url("oauth2_provider:authorize"),
        token_endpoint=token_endpoint,
        revocation_endpoint=url("oauth2_provider:revoke-token"),
        reciprocal_endpoint=token_endpoint if settings.ACCEPT_HANDOVERS else "",
        scope_here=peer.allowed_scope,
        scope_there=" ".join(asked),
    )
