"""The sheet: what an administrator gives to the other site, so that it can register this site."""

from dataclasses import dataclass

from ..compat import oauth2_settings
from ..conf import settings
from ..core import scopes, site_address
from ..models import Peer


@dataclass(frozen=True)
class Sheet:
    """Values that the other site needs. None of them is a secret.

    A value is ``""`` if this site does not serve it, because the route is not included.

    :ivar client_id: the other site's client ID here.
    :ivar redirect_uri: our callback, to be registered there (RFC 6749, section 3.1.2.2).
    :ivar metadata: the URL at which programs can read most of this (RFC 8414, section 3).
    :ivar reciprocal_endpoint: where the other site hands its codes over
        (draft-ietf-oauth-reciprocal-04, section 2.2.2).
    :ivar scope_here: the most that the other site may hold here.
    :ivar scope_there: all that this site asks the other site for.
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
    """Return the sheet for ``peer``.

    :param base: a :func:`site_address.base_url`; if it is empty, the sheet has paths, not URLs.
    """

    def url(route: str, *args: str) -> str:
        return site_address.url_of(route, *args, base=base)

    metadata = url("oauth2_provider:oauth-server-metadata")
    token_endpoint = url("oauth2_provider:token")
    asked = dict.fromkeys(scopes.split(f"{peer.scope} {peer.reciprocal_scope}"))
    return Sheet(
        client_id=peer.application.client_id if peer.application_id is not None else "",
        redirect_uri=url("reciprocal_oauth:callback", peer.slug),
        # DOT derives the issuer in its metadata and in its authorization responses (RFC 9207,
        # section 2) in the same way.
        issuer=oauth2_settings.OIDC_ISS_ENDPOINT or metadata.partition("/.well-known/")[0],
        metadata=metadata,
        authorization_endpoint=url("oauth2_provider:authorize"),
        token_endpoint=token_endpoint,
        revocation_endpoint=url("oauth2_provider:revoke-token"),
        reciprocal_endpoint=token_endpoint if settings.ACCEPT_HANDOVERS else "",
        scope_here=peer.allowed_scope,
        scope_there=" ".join(asked),
    )
