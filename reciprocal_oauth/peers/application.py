"""The application of a peer: the registration of the other site as a client of this site.

The admin and the ``reciprocal_peer`` command use it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from oauth2_provider.models import get_application_model

from ..compat import oauth2_settings
from ..models import Link, Peer


def application_is_fixed(peer: Peer) -> bool:
    """Whether the peer must keep its application.

    It must while it has active links: their tokens belong to the application, and without the peer,
    nothing would limit or revoke these tokens.
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
    """Return the application of ``peer`` with these values; it is not checked and not saved yet.

    It is the application with ``client_id``, or that of the peer, or a new one: confidential
    (RFC 6749, section 2.1), with the authorization code grant and the peer's name. ``None`` leaves
    a value unchanged. DOT generates ID and secret of a new application if none is given. The secret
    can be read until the application is saved.

    :param fields: values for fields of the site's own application model, by name.
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
    """Whether the application model has this field. A model that the site defines may lack it."""
    return any(field.name == name for field in model._meta.concrete_fields)


def _algorithm(model: Any) -> str:
    """Return how ID tokens for a peer are signed: with the site's key, if there is one.

    HS256 would need the peer's secret in clear (OpenID Connect Core 1.0, section 10.1).
    """
    can_sign = oauth2_settings.OIDC_ENABLED and oauth2_settings.OIDC_RSA_PRIVATE_KEY
    algorithm: str = model.RS256_ALGORITHM if can_sign else model.NO_ALGORITHM
    return algorithm
