"""A site answers the registration of the other site (RFC 7591, section 3.2).

The inviting site answers first: whoever has the code of an invitation can register once. The
accepting site answers later, when the inviting site registers in the other direction. That second
registration proves that the accepting site controls the issuer that it claims: the inviting site
sends the token back to the address in the metadata of this issuer.
"""

import json
import logging
import secrets
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_id, generate_client_secret

from ..conf import settings
from ..core import scopes, site_address
from ..core.database import atomic, on_commit, tried_again
from ..core.hashing import hash_of
from ..core.protocol import TEMPORARILY_UNAVAILABLE
from ..delivery import dispatchers
from ..exceptions import PairingError, RegistrationRefused
from ..keys import key_set
from ..models import Pairing, Peer, PeerAuthentication
from ..peers import site_display
from ..peers.application import application_for
from ..secret import Secret
from . import completion, messages
from .messages import GRANT_TYPES, Registration, invalid, unauthorized

logger = logging.getLogger("reciprocal_oauth.pairing")

State = Pairing.State
#: How long, in seconds, a site waits before it registers in the other direction, so that the other
#: site can store the response first.
_PAUSE_SECONDS = 1
#: The ``Retry-After`` of a site that has not stored the response to its own registration yet.
_RETRY_AFTER_SECONDS = 2
#: The ``Retry-After`` of a site that cannot make the peer before an administrator does something.
_LATER_SECONDS = 60


@sensitive_variables()
@tried_again
def answer(token: str, body: bytes) -> str:
    """Register the site that sent ``body``, and return the response body (status 201).

    A request that is repeated with exactly the same body gets exactly the same response.

    :param token: the initial access token: the code of an invitation of this site, or the token
        that this site has sent with its own registration.
    :raises RegistrationRefused: the token is not good, or the registration has a wrong value. A
        wrong value does not use up the token.
    """
    with atomic():
        pairing = _find(token)
        outcome = _outcome(pairing, body)
    if isinstance(outcome, RegistrationRefused):
        raise outcome  # After the transaction, so that the stored reason is kept.
    return outcome


@sensitive_variables()
def _outcome(pairing: Pairing, body: bytes) -> str | RegistrationRefused:
    digest = hash_of(body.decode("latin-1"))
    if not pairing.body_digest:
        registration = messages.read(body)
        return _refusal(pairing, registration) or _register(pairing, registration, digest)
    if pairing.answer and constant_time_compare(digest, pairing.body_digest):
        return pairing.answer.reveal()
    return unauthorized(f"{pairing}: the token was used with another body, or too long ago")


def _find(token: str) -> Pairing:
    """Return the pairing to which ``token`` belongs, locked.

    :raises RegistrationRefused: there is none, or it takes no registration now.
    """
    digest = hash_of(token)
    rows = Pairing.objects.select_for_update()
    pairing = rows.filter(code_hash=digest, role=Pairing.Role.INVITER).first()
    pairing = pairing or rows.filter(reverse_token_hash=digest).first()
    if pairing is None:
        raise unauthorized("unknown token")
    if not settings.ACCEPT_PAIRINGS:
        raise unauthorized("ACCEPT_PAIRINGS is off")
    # Of a complete pairing, the response is kept for a day, for a repeated request.
    if pairing.expires_at <= timezone.now():
        raise unauthorized(f"{pairing} has expired")
    if pairing.state == State.DRAFT:
        raise RegistrationRefused(
            TEMPORARILY_UNAVAILABLE,
            f"{pairing}: the response to our own registration is not stored yet",
            status=503,
            retry_after=_RETRY_AFTER_SECONDS,
        )
    return pairing


def _refusal(pairing: Pairing, registration: Registration) -> RegistrationRefused | None:
    """Return why ``registration`` does not fit the pairing, or ``None``."""
    if pairing.role == Pairing.Role.ACCEPTER:
        if registration.issuer != pairing.issuer:
            return unauthorized(f"{pairing}: another site has its token")
        return None
    if pairing.expected_issuer and registration.issuer != pairing.expected_issuer:
        return unauthorized(f"{pairing}: {registration.issuer!a} is not the invited site")
    if registration.issuer and registration.token is None:
        return invalid("reciprocal_registration_token is missing.")
    if registration.issuer == site_address.configured_issuer():
        return invalid("reciprocal_issuer is the answering site itself.")
    return None


@sensitive_variables()
def _register(
    pairing: Pairing, registration: Registration, digest: str
) -> str | RegistrationRefused:
    """Store ``registration`` in ``pairing``, and return the response body."""
    token = secrets.token_urlsafe(32)
    client_secret = "" if _uses_key(registration) else generate_client_secret()
    pairing.issuer = registration.issuer
    pairing.name = registration.name or pairing.name
    pairing.homepage = registration.homepage
    pairing.display = dict(registration.display)
    pairing.redirect_uris = list(registration.redirect_uris)
    pairing.its_auth_method = (
        PeerAuthentication.PRIVATE_KEY_JWT if client_secret == "" else PeerAuthentication.SECRET
    )
    pairing.jwks_uri = registration.jwks_uri
    pairing.thumbprints = list(registration.thumbprints)
    pairing.our_thumbprints = pairing.our_thumbprints or key_set.thumbprints()
    pairing.wanted_scope = registration.scope
    pairing.offered_scope = registration.allowed_scope
    pairing.issued_client_id = _client_id(pairing)
    pairing.issued_client_secret = Secret(client_secret)
    pairing.issued_token_hash = hash_of(token)
    pairing.body_digest = digest
    _check_application(pairing)
    if pairing.role == Pairing.Role.INVITER:
        _accept(pairing, registration)
    elif refused := _complete(pairing):
        return refused
    text = json.dumps(
        {
            **answer_members(pairing, registration.auth_method),
            "client_id_issued_at": int(time.time()),
            **(
                {"client_secret": client_secret, "client_secret_expires_at": 0}
                if client_secret
                else {}
            ),
            "registration_access_token": token,
        }
    )
    pairing.answer = Secret(text)
    pairing.save()
    return text


def _uses_key(registration: Registration) -> bool:
    return registration.auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT


def _client_id(pairing: Pairing) -> str:
    """Return the client ID for the other site. A peer that is renewed keeps its client ID: the
    tokens of links that exist belong to it, at the other site too."""
    peer = _renewed_peer(pairing)
    return str(peer.application.client_id if peer else generate_client_id())


def _renewed_peer(pairing: Pairing) -> Peer | None:
    if not pairing.renews:
        return None
    return Peer.objects.select_related("application").filter(slug=pairing.slug).first()


def _check_application(pairing: Pairing) -> None:
    """Check now what DOT checks when the application is saved: it is made only when the pairing is
    complete, and then it is too late to say what is wrong.

    :raises RegistrationRefused: ``invalid_redirect_uri``.
    """
    application = application_for(
        Peer(slug=pairing.slug, name=pairing.name or pairing.slug),
        client_secret=generate_client_secret(),
        redirect_uris=pairing.redirect_uris,
    )
    try:
        application.clean()
    except ValidationError as error:
        text = "; ".join(error.messages)
        raise invalid(f"redirect_uris: {text}", messages.INVALID_REDIRECT_URI) from None


def _accept(pairing: Pairing, registration: Registration) -> None:
    """Site 1: the other site has used the invitation."""
    pairing.reverse_token = registration.token or Secret("")
    # An invitation for one site is confirmed already. What the site claims is proved later.
    is_confirmed = pairing.is_bound and registration.issuer
    pairing.state = State.CONFIRMED if is_confirmed else State.ACCEPTED
    pairing.attempts = 0
    pairing.last_error = ""
    pairing.next_attempt_at = pairing.expires_at
    if is_confirmed:
        pairing.next_attempt_at = timezone.now() + timedelta(seconds=_PAUSE_SECONDS)
        on_commit(dispatchers.wake)
    logger.info("%s: the other site has registered here", pairing)


def _complete(pairing: Pairing) -> RegistrationRefused | None:
    """Site 2: the inviting site has registered here too, so make the peer.

    If this is not possible, for example because its short name was taken meanwhile, store why, and
    return an exception after which the inviting site tries again later. So an administrator of this
    site can remove the cause, and nothing is lost.
    """
    try:
        with atomic():
            completion.complete(pairing)
    except PairingError as error:
        logger.error("%s cannot be completed: %s", pairing, error)
        Pairing.objects.filter(pk=pairing.pk).update(last_error=str(error)[:500])
        return RegistrationRefused(
            TEMPORARILY_UNAVAILABLE,
            f"{pairing} cannot be completed",
            status=503,
            retry_after=_LATER_SECONDS,
        )
    on_commit(dispatchers.wake)
    return None


def answer_members(pairing: Pairing, auth_method: str) -> Mapping[str, Any]:
    """Return the members of a response that describe the registration of the other site, without
    secrets (RFC 7591, section 3.2.1; RFC 7592, section 3)."""
    base = site_address.base_url()
    uri = site_address.url_of(
        "oauth2_provider:reciprocal-client", pairing.issued_client_id, base=base
    )
    found: dict[str, Any] = {
        "client_id": pairing.issued_client_id,
        "client_name": pairing.name,
        "client_uri": pairing.homepage,
        "redirect_uris": list(pairing.redirect_uris),
        "grant_types": list(GRANT_TYPES if pairing.issuer else GRANT_TYPES[:2]),
        "response_types": ["code"],
        "token_endpoint_auth_method": auth_method,
        "scope": scopes.cut(pairing.wanted_scope, pairing.allowed_scope),
        "registration_client_uri": uri,
    }
    if pairing.jwks_uri:
        found["jwks_uri"] = pairing.jwks_uri
    if not pairing.issuer:
        return found
    return found | {
        **site_display.members_of(pairing.display),
        "reciprocal_issuer": pairing.issuer,
        "reciprocal_client_name": pairing.our_name,
        "reciprocal_allowed_scope": pairing.allowed_scope,
        "reciprocal_key_thumbprints": list(pairing.our_thumbprints),
        "reciprocal_state": wire_state(pairing),
        "reciprocal_enabled": bool(pairing.peer and pairing.peer.enabled),
    }


def wire_state(pairing: Pairing) -> str:
    """Return the state of the pairing as the other site may know it."""
    if pairing.state == State.COMPLETE:
        return "complete"
    return "waiting" if pairing.is_under_way else "ended"
