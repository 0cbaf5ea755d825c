"""The two registrations that make a peer: its application here, and what it must know of this site.

Shared by the admin and the ``reciprocal_peer`` command.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from django.utils.crypto import constant_time_compare, salted_hmac
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_secret
from oauth2_provider.models import get_application_model

from ..compat import oauth2_settings
from ..conf import settings
from ..core import scopes, site_address
from ..core.database import atomic, tried_again
from ..models import Link, Peer
from ..secret import Secret


@dataclass(frozen=True)
class Sheet:
    """What to give to the other site, so that it can register this one. Never a secret.

    A value is ``""`` where the site does not serve it: a route that is not included.

    :ivar client_id: the other site's own id here.
    :ivar redirect_uri: our callback, to be registered there.
    :ivar metadata: where the rest of this can be read (RFC 8414, section 3).
    :ivar reciprocal_endpoint: where its codes are handed over.
    :ivar scope_here: the most that it may hold here.
    :ivar scope_there: what this site asks of it, whoever starts.
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
    """The sheet for ``peer``.

    :param base: a :func:`site_address.base_url`; where it is empty, the sheet has paths.
    """

    def url(route: str, *args: str) -> str:
        return site_address.url_of(route, *args, base=base)

    metadata = url("oauth2_provider:oauth-server-metadata")
    token_endpoint = url("oauth2_provider:token")
    asked = dict.fromkeys(scopes.split(f"{peer.scope} {peer.reciprocal_scope}"))
    return Sheet(
        client_id=peer.application.client_id if peer.application_id is not None else "",
        redirect_uri=url("reciprocal_oauth:callback", peer.slug),
        # As DOT derives the issuer of its authorization responses (RFC 9207) and its metadata.
        issuer=oauth2_settings.OIDC_ISS_ENDPOINT or metadata.partition("/.well-known/")[0],
        metadata=metadata,
        authorization_endpoint=url("oauth2_provider:authorize"),
        token_endpoint=token_endpoint,
        revocation_endpoint=url("oauth2_provider:revoke-token"),
        reciprocal_endpoint=token_endpoint if settings.ACCEPT_HANDOVERS else "",
        scope_here=peer.allowed_scope,
        scope_there=" ".join(asked),
    )


def mark_of_secret(peer: Peer) -> str:
    """Tells one client secret of the peer here from the next, and nothing about either."""
    return _mark(peer.application)


def _mark(application: Any) -> str:
    salt, stored = "reciprocal_oauth.peers.registration", application.client_secret
    return salted_hmac(salt, stored, algorithm="sha256").hexdigest()


@tried_again
@sensitive_variables()
def replace_secret(peer: Peer, mark: str) -> Secret | None:
    """Give the peer a new client secret here; the one before stops working at once.

    :param mark: the :func:`mark_of_secret` of the one to be replaced.
    :returns: the new one, which is stored as DOT stores them, by default as a hash; ``None``: the
        secret is no longer the one with that mark, and stays.
    """
    with atomic():
        applications = get_application_model()._default_manager.select_for_update()
        application = applications.get(pk=peer.application_id)
        if not constant_time_compare(_mark(application), mark):
            return None
        made = generate_client_secret()
        application.client_secret = made
        application.save(update_fields=["client_secret", "updated"])
    peer.application = application
    return Secret(made)


def doubt_about(peer: Peer) -> str:
    """What is odd about a peer that can be saved all the same, for a test perhaps; else ``""``."""
    if peer.scope or peer.allowed_scope:
        return ""
    return _(
        "No scope is set: this site asks the peer for none, and the peer may hold none here. "
        "A connection will hardly let either side do anything."
    )


@sensitive_variables()
def doubt_about_secret(peer: Peer) -> str:
    """What is odd about the client secret that was just entered for ``peer``; else ``""``.

    HTTP Basic carries it form-encoded (RFC 6749, section 2.3.1), and some servers do not decode it.
    """
    secret = peer.client_secret.reveal()
    if peer.token_endpoint_auth_method == Peer.AuthMethod.POST or quote(secret, safe="") == secret:
        return ""
    return _(
        "The client secret has characters that HTTP Basic sends encoded (RFC 6749, section 2.3.1), "
        "and not every site decodes them. If the peer refuses our credentials, choose "
        "client_secret_post."
    )


def application_is_fixed(peer: Peer) -> bool:
    """Whether the peer's application can no longer be exchanged for another: the tokens of its
    active links belong to it, and without the peer nothing would limit or end them."""
    return peer.pk is not None and peer.links.filter(status=Link.Status.ACTIVE).exists()


def application_for(
    peer: Peer,
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    redirect_uris: Sequence[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Any:
    """The application of ``peer`` with these values; not checked and not saved yet.

    The one with ``client_id``, else the one that the peer has, else a new one: confidential,
    authorization code, named like the peer. ``None`` leaves a value as it is. DOT makes up the id
    and the secret of a new one where none is given; the secret is readable until it is saved.

    :param fields: of the site's own application model: attribute to value.
    """
    model = get_application_model()
    application = None
    if client_id is not None:
        application = model.objects.filter(client_id=client_id).first()
    elif peer.application_id is not None:
        application = peer.application
    if application is None:
        application = model(
            name=peer.name,
            client_type=model.CLIENT_CONFIDENTIAL,
            authorization_grant_type=model.GRANT_AUTHORIZATION_CODE,
            **({} if client_id is None else {"client_id": client_id}),
        )
        if _is_field(model, "algorithm"):
            application.algorithm = _algorithm(model)
    if client_secret is not None:
        application.client_secret = client_secret
    if redirect_uris is not None:
        application.redirect_uris = " ".join(redirect_uris)
    for name, value in (fields or {}).items():
        setattr(application, name, value)
    return application


def _is_field(model: Any, name: str) -> bool:
    """Whether the site's application model has this field: it may say the same in another way."""
    return any(field.name == name for field in model._meta.concrete_fields)


def _algorithm(model: Any) -> str:
    """How ID tokens for a peer are signed. With the site's key where it has one: HS256 would need
    the peer's secret in clear."""
    can_sign = oauth2_settings.OIDC_ENABLED and oauth2_settings.OIDC_RSA_PRIVATE_KEY
    algorithm: str = model.RS256_ALGORITHM if can_sign else model.NO_ALGORITHM
    return algorithm
