"""The sheet of a peer: a list of this site's values that the administrator of the peer must enter
at their site. With these values, the peer registers this site.

If there is a preset for the vendor of the peer, the list has the order and the words of the
vendor's console.
"""

from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

from ..compat import oauth2_settings
from ..conf import settings
from ..core import plugins, scopes, site_address
from ..core.protocol import GRANT_TYPE
from ..dialects.base import Dialect, Endpoint
from ..keys import key_set
from ..models import Peer
from ..secret import Secret
from ..vendors import preset_of
from ..vendors.preset import filled, names_in
from .preset_values import stored_answers


@dataclass(frozen=True)
class Sheet:
    """The values of this site that the administrator of the peer must enter at their site.

    No value is a secret. A URL is ``""`` if the URLconf of this site has no route for this URL.

    :ivar client_id: the client ID of the peer at this site.
    :ivar redirect_uri: the callback URL of this site, which the peer must register (RFC 6749,
        section 3.1.2.2).
    :ivar client_type: the type of client as which the peer registers this site (RFC 6749, section
        2.1).
    :ivar grant_types: the grant types that this site uses at the peer, separated by spaces (RFC
        7591, section 2).
    :ivar response_types: the response types that this site uses at the peer.
    :ivar metadata: the URL of this site's metadata, from which programs can read most of these
        values (RFC 8414, section 3).
    :ivar reciprocal_endpoint: the URL to which the peer sends its reciprocal codes
        (draft-ietf-oauth-reciprocal-04, section 2.2.2); ``""`` if this site accepts none.
    :ivar scope_here: the largest scope that the peer can get at this site.
    :ivar scope_there: the whole scope that this site requests at the peer.
    :ivar handover: the URL for this peer alone, to which it sends its reciprocal codes or its
        notices; ``None`` if peers with this dialect send nothing to such a URL.
    :ivar jwks_uri: the URL of the public keys of this site (RFC 7591, section 2); ``None`` if this
        site does not sign for the peer.
    :ivar keys: the thumbprints of these keys (RFC 7638), separated by spaces, so that both
        administrators can compare them; ``None`` if this site does not sign for the peer.
    """

    client_id: str
    redirect_uri: str
    client_type: str
    grant_types: str
    response_types: str
    issuer: str
    metadata: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    reciprocal_endpoint: str
    scope_here: str
    scope_there: str
    handover: str | None = None
    jwks_uri: str | None = None
    keys: str | None = None

    def values(self) -> dict[str, str]:
        """Return the values by name, without those that are ``None``."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class ConsoleLine:
    """One value that the administrator enters in the console of the vendor.

    :ivar label: what the console calls the input.
    :ivar value: the value. It is empty if this site has no such value.
    :ivar note: what else to know, such as which option to choose.
    :ivar is_secret: whether the value is the client secret of the peer at this site. The value is
        then empty, unless the secret was made just now.
    :ivar is_scope: whether the value consists of scopes only. If it is empty, there is no scope.
    """

    label: str
    value: str
    note: str
    is_secret: bool
    is_scope: bool


def console_lines(
    peer: Peer, sheet: Sheet, client_secret: Secret | None = None
) -> list[ConsoleLine]:
    """Return what to enter in the console of the vendor of ``peer``, in its order. The list is
    empty if there is no preset for the vendor.

    :param sheet: the sheet for ``peer``.
    :param client_secret: the client secret of the peer at this site, if it was made just now.
    """
    preset = preset_of(peer.dialect)
    if preset is None:
        return []
    answers = {question.name: "" for question in preset.questions} | stored_answers(preset, peer)
    secret = client_secret.reveal() if client_secret else ""
    values = {**answers, "handover": "", **sheet.values(), "client_secret": secret}
    return [
        ConsoleLine(
            entry.label,
            filled(entry.value, values),
            str(entry.note),
            is_secret="{client_secret}" in entry.value,
            is_scope=names_in(entry.value) in ({"scope_here"}, {"scope_there"}),
        )
        for entry in preset.console
    ]


def sheet_for(peer: Peer, base: str = "") -> Sheet:
    """Return the sheet for ``peer``: the values that the administrator of ``peer`` must enter at
    their site.

    :param base: the URL of this site, from :func:`site_address.base_url`. If it is empty, the sheet
        contains paths instead of URLs.
    """

    def url(route: str, *args: str) -> str:
        return site_address.url_of(route, *args, base=base)

    dialect = _dialect_class(peer)
    has_own = dialect is not None and dialect.has_own_address()
    handover = url("reciprocal_oauth:handover", peer.slug) if has_own else None
    metadata = url("oauth2_provider:oauth-server-metadata")
    token_endpoint = url("oauth2_provider:token")
    is_own = dialect is not None and dialect.endpoint is Endpoint.OWN
    reciprocal_endpoint = (handover if is_own else token_endpoint) or ""
    takes_codes = settings.ACCEPT_HANDOVERS and (dialect is None or dialect.sends_codes)
    asked = dict.fromkeys(scopes.split(f"{peer.scope} {peer.reciprocal_scope}"))
    return Sheet(
        client_id=peer.application.client_id if peer.application_id is not None else "",
        redirect_uri=url("reciprocal_oauth:callback", peer.slug),
        client_type="confidential",
        grant_types=_grant_types(peer, dialect),
        response_types="code",
        # Compute the issuer in the same way as DOT. DOT names this issuer in its metadata and in
        # its authorization responses (RFC 9207, section 2).
        issuer=oauth2_settings.OIDC_ISS_ENDPOINT or metadata.partition("/.well-known/")[0],
        metadata=metadata,
        authorization_endpoint=url("oauth2_provider:authorize"),
        token_endpoint=token_endpoint,
        revocation_endpoint=url("oauth2_provider:revoke-token"),
        reciprocal_endpoint=reciprocal_endpoint if takes_codes else "",
        scope_here=peer.allowed_scope,
        scope_there=" ".join(asked),
        handover=handover,
        jwks_uri=jwks_uri(base) if peer.signs_assertions else None,
        keys=" ".join(key_set.thumbprints()) if peer.signs_assertions else None,
    )


def _grant_types(peer: Peer, dialect: type[Dialect] | None) -> str:
    """Return the grant types that this site uses at the token endpoint of ``peer``."""
    hands_over = dialect is None or (
        dialect.takes_codes(peer) and peer.handover_endpoint == peer.token_endpoint
    )
    return " ".join(["authorization_code", "refresh_token", *[GRANT_TYPE] * hands_over])


def jwks_uri(base: str = "") -> str:
    """Return the URL of the public keys of this site; ``""`` if the URLconf has no route for it.

    :param base: the URL of this site. If it is empty, the result is a path.
    """
    return site_address.url_of("oauth2_provider:reciprocal-jwks", base=base)


def _dialect_class(peer: Peer) -> type[Dialect] | None:
    try:
        return plugins.dialect_class(peer.dialect)
    except ImproperlyConfigured:
        return None  # The connection check and the form of the peer report the unknown dialect.
