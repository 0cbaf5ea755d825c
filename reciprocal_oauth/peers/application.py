"""Finds or creates the application of a peer: the peer's registration as a client of this site.

The Django admin and the ``reciprocal_peer`` command use this module.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from oauth2_provider.models import get_application_model

from ..compat import oauth2_settings
from ..core import scopes
from ..core.protocol import OPENID
from ..models import Link, Peer, PeerAuthentication

#: The fields of the application model in later releases of DOT.
_KEY_FIELDS = ("token_endpoint_auth_method", "client_jwks_uri", "client_jwks")


def application_is_fixed(peer: Peer) -> bool:
    """Return whether the peer must keep its application, because the peer has active links.

    The tokens of the peer for these links belong to the application. This package limits and
    revokes these tokens only while the application belongs to the peer.
    """
    return peer.pk is not None and peer.links.filter(status=Link.Status.ACTIVE).exists()


def application_for(
    peer: Peer,
    *,
    client_id: str | None = None,
    client_secret: str | None = None,
    redirect_uris: Sequence[str] | None = None,
    fields: Mapping[str, Any] | None = None,
) -> Any:
    """Return an application for ``peer`` with the given values. It is not validated or saved yet.

    If ``client_id`` is given, use the application with this client ID. Otherwise, use the
    application that the peer already has. If there is no such application, create a confidential
    client (RFC 6749, section 2.1) with the authorization code grant and the name of the peer.

    A parameter that is ``None`` changes nothing. DOT generates the client ID and the secret of a
    new application if they are not given. The caller must read this secret before saving the
    application, because by default DOT stores only a hash of the secret.

    :param fields: values for other fields of the application model, by the names of the fields.
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


def set_algorithm(sender: type, instance: Peer, raw: bool, **arguments: Any) -> None:
    """If the peer may ask for ``openid``, and its application has no algorithm, set the algorithm
    with which this site signs ID tokens. Otherwise, DOT fails when the peer redeems its code.

    An application that was made before OpenID Connect was switched on has no algorithm. Django
    calls this function after a peer was saved (it is a receiver of ``post_save``).
    """
    model = get_application_model()
    if (
        raw
        or OPENID not in scopes.split(instance.allowed_scope)
        or not _is_field(model, "algorithm")
    ):
        return
    rows = model._default_manager.filter(pk=instance.application_id, algorithm=model.NO_ALGORITHM)
    if (algorithm := _algorithm(model)) != model.NO_ALGORITHM:
        rows.update(algorithm=algorithm)


def peer_saved(sender: type, instance: Peer, raw: bool, **arguments: Any) -> None:
    """If the application model has fields for it, write there how the peer authenticates. DOT then
    refuses the client secret of a peer with a key, too. Django calls this function after a peer was
    saved (it is a receiver of ``post_save``).

    Only later releases of DOT have these fields. An address that is not https is left out, because
    the application model refuses it.
    """
    model = get_application_model()
    if raw or not all(_is_field(model, name) for name in _KEY_FIELDS):
        return
    rows = model._default_manager.filter(pk=instance.application_id)
    if instance.uses_key_here and instance.jwks_uri.startswith("https://"):
        rows.update(
            token_endpoint_auth_method=PeerAuthentication.PRIVATE_KEY_JWT.value,
            client_jwks_uri=instance.jwks_uri,
            client_jwks="",
        )
    else:
        forget_keys(instance)


def forget_keys(peer: Peer) -> None:
    """If the application model has fields for it, remove the keys of the peer from its application,
    so that DOT accepts no signature of the peer."""
    model = get_application_model()
    if all(_is_field(model, name) for name in _KEY_FIELDS):
        rows = model._default_manager.filter(pk=peer.application_id)
        rows = rows.filter(token_endpoint_auth_method=PeerAuthentication.PRIVATE_KEY_JWT.value)
        rows.update(token_endpoint_auth_method="", client_jwks_uri="")


def _is_field(model: Any, name: str) -> bool:
    """Return whether the application model has the field ``name``. A site can define its own
    application model, which need not have all fields of DOT's model."""
    return any(field.name == name for field in model._meta.concrete_fields)


def _algorithm(model: Any) -> str:
    """Return the algorithm with which this site signs ID tokens for a peer: RS256 if this site has
    an RSA key for OpenID Connect; otherwise no algorithm.

    HS256 is not used, because it needs the client secret of the peer in clear (OpenID Connect
    Core 1.0, section 10.1), and by default DOT stores only a hash of the secret.
    """
    can_sign = oauth2_settings.OIDC_ENABLED and oauth2_settings.OIDC_RSA_PRIVATE_KEY
    algorithm: str = model.RS256_ALGORITHM if can_sign else model.NO_ALGORITHM
    return algorithm
