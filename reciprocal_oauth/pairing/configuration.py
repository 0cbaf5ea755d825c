"""A site answers what the other site asks about its registration here, and changes or ends the
registration (RFC 7592, section 2).

An update can change very little. Whoever has stolen a registration access token must not be able to
give the peer another redirect URI, a larger scope or another type. For such changes, the sites pair
again.
"""

import logging
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..core import scopes
from ..core.database import atomic, on_commit, tried_again
from ..core.hashing import hash_of
from ..core.protocol import TEMPORARILY_UNAVAILABLE
from ..core.site_metadata import LENGTHS
from ..delivery import dispatchers
from ..exceptions import RegistrationRefused
from ..models import Pairing, Peer, PeerAuthentication
from ..peers import application_secret
from ..secret import Secret
from . import display, inviting, messages
from .answering import answer_members
from .messages import Update, invalid, unauthorized

logger = logging.getLogger("reciprocal_oauth.pairing")

State, Task = Pairing.State, Pairing.Task
_KEY = PeerAuthentication.PRIVATE_KEY_JWT
#: The ``Retry-After`` of a site that cannot change a registration yet.
_RETRY_AFTER_SECONDS = 5


@sensitive_variables()
@tried_again
def read(client_id: str, token: str) -> Mapping[str, Any]:
    """Return the registration of the other site, without secrets (RFC 7592, section 2.1).

    :raises RegistrationRefused: ``token`` is not the registration access token of this client.
    """
    with atomic():
        pairing = authenticate(client_id, token)
        return members_of(pairing)


def members_of(pairing: Pairing) -> Mapping[str, Any]:
    """Return the members that describe the registration of the other site in a response."""
    is_key = pairing.its_auth_method == _KEY
    return answer_members(pairing, "private_key_jwt" if is_key else "client_secret_basic")


@sensitive_variables()
@tried_again
def update(client_id: str, token: str, body: bytes) -> Mapping[str, Any]:
    """Change the registration of the other site, and return the members of the response (RFC 7592,
    section 2.2), with a new registration access token.

    The name, the homepage, what the other site says of itself, and the address of the keys can
    change. The other site can begin to use
    its key in place of a secret, but not the reverse. It can get a new client secret, and then the
    old one is not good any more. ``token`` is good until the new one is used. So a site that lost
    the response can send its request again.

    :raises RegistrationRefused: ``token`` is not good, or something else would change. Then nothing
        is changed.
    """
    with atomic():
        pairing = authenticate(client_id, token)
        sent = messages.read_update(body)
        peer = _peer(pairing)
        # An administrator of this site can have changed it by hand.
        pairing.its_auth_method = peer.authenticates_here_by
        if different := list(_fixed_members(pairing, peer, sent)):
            names = ", ".join(different)
            raise invalid(f"This cannot be changed in an update: {names}. Pair again.")
        secret = _change(pairing, peer, sent)
        new_token = secrets.token_urlsafe(32)
        # If the response with the present token was lost, the token before stays the good one.
        pairing.previous_token_hash = hash_of(token)
        pairing.issued_token_hash = hash_of(new_token)
        pairing.save()
        return {
            **members_of(pairing),
            **({"client_secret": secret.reveal(), "client_secret_expires_at": 0} if secret else {}),
            "registration_access_token": new_token,
        }


def _peer(pairing: Pairing) -> Peer:
    """Return the peer of a complete pairing, locked.

    :raises RegistrationRefused: the pairing is not complete yet.
    """
    if pairing.state != State.COMPLETE:
        raise RegistrationRefused(
            TEMPORARILY_UNAVAILABLE,
            f"{pairing}: an update came before the pairing was complete",
            status=503,
            retry_after=_RETRY_AFTER_SECONDS,
        )
    return Peer.objects.select_for_update().get(pairing=pairing)


@sensitive_variables()
def _fixed_members(pairing: Pairing, peer: Peer, sent: Update) -> Iterator[str]:
    """Yield the names of the members that an update would change although they are fixed."""
    registration, current = sent.registration, members_of(pairing)
    if sent.client_id != pairing.issued_client_id:
        yield "client_id"
    if sent.client_secret and not _is_secret(peer, sent.client_secret):
        yield "client_secret"
    for name in ("redirect_uris", "grant_types", "response_types"):
        given = registration.redirect_uris if name == "redirect_uris" else getattr(sent, name)
        if set(given) != set(current[name]):
            yield name
    is_wider = not set(scopes.split(registration.scope)) <= set(scopes.split(pairing.wanted_scope))
    if is_wider or scopes.cut(registration.scope, pairing.allowed_scope) != current["scope"]:
        yield "scope"
    if pairing.its_auth_method == _KEY and registration.auth_method != _KEY:
        yield "token_endpoint_auth_method"
    if registration.issuer != pairing.issuer:
        yield "reciprocal_issuer"
    # The other site sends what it allows at itself, or sends back what this site allows here.
    if registration.allowed_scope not in ("", pairing.offered_scope, pairing.allowed_scope):
        yield "reciprocal_allowed_scope"
    if sent.new_secret and registration.auth_method == _KEY:
        yield "reciprocal_new_secret"


@sensitive_variables()
def _is_secret(peer: Peer, secret: Secret) -> bool:
    """Return whether ``secret`` is the client secret of the peer at this site. DOT stores it as a
    hash or in clear."""
    stored: str = peer.application.client_secret
    return check_password(secret.reveal(), stored) or constant_time_compare(secret.reveal(), stored)


@sensitive_variables()
def _change(pairing: Pairing, peer: Peer, sent: Update) -> Secret | None:
    """Store what an update changes, without saving ``pairing``. Return the new client secret; if
    there is none, ``None``.

    :raises RegistrationRefused: the peer cannot have the homepage.
    """
    registration = sent.registration
    pairing.name = registration.name or pairing.name
    if registration.issuer:  # Otherwise an administrator of this site has entered the homepage.
        pairing.homepage = peer.homepage = registration.homepage
        before, pairing.display = display.offered(pairing), dict(registration.display)
        display.put_in(peer, display.offered(pairing), before)
    if registration.auth_method == _KEY:
        pairing.jwks_uri = peer.jwks_uri = registration.jwks_uri
    # Nobody needs a secret of a client that uses its key. So make one that nobody knows.
    begins_with_key = registration.auth_method == _KEY and pairing.its_auth_method != _KEY
    if begins_with_key:
        pairing.its_auth_method = peer.authenticates_here_by = _KEY
        pairing.thumbprints = list(registration.thumbprints)
    try:
        peer.save(
            update_fields=[*LENGTHS, "homepage", "jwks_uri", "authenticates_here_by", "updated_at"]
        )
    except ValidationError:
        raise invalid("client_uri cannot be changed.") from None
    made = application_secret.replace_now(peer) if sent.new_secret or begins_with_key else None
    logger.info("%s: the other site has changed its registration", pairing)
    return made if sent.new_secret else None


@sensitive_variables()
@tried_again
def delete(client_id: str, token: str) -> None:
    """End the pairing, because the other site wants it (RFC 7592, section 2.3). Disable the peer at
    once. Its links end soon after that, because there can be very many of them; see
    :mod:`.renewing`. Nothing is deleted.

    :raises RegistrationRefused: ``token`` is not the registration access token of this client.
    """
    with atomic():
        pairing = authenticate(client_id, token)
        was_complete = pairing.state == State.COMPLETE
        inviting.close(pairing, State.ENDED, _("The other site has ended the pairing."))
        if was_complete:
            Peer.objects.filter(pairing=pairing).update(enabled=False)
            pairing.task, pairing.attempts = Task.END, 0
            pairing.next_attempt_at = timezone.now()
            pairing.save()
            on_commit(dispatchers.wake)
    logger.warning("%s was ended by the other site", pairing, extra={"action": "pairing_ended"})


@sensitive_variables()
def authenticate(client_id: str, token: str) -> Pairing:
    """Return the pairing whose registration access token is ``token``, locked.

    The first use of a token shows that the other site has stored it. So the token before is not
    good any more, and the response that contained it is deleted.

    :raises RegistrationRefused: the token is wrong, the pairing is over, or its peer was deleted.
    """
    if "\x00" in client_id:  # PostgreSQL refuses to look for it.
        raise unauthorized("the client ID contains NUL")
    digest = hash_of(token)
    rows = Pairing.objects.select_for_update().filter(issued_client_id=client_id)
    for pairing in rows.exclude(issued_token_hash="").exclude(state=State.COMPLETE, peer=None):
        if constant_time_compare(digest, pairing.issued_token_hash):
            _note_use(pairing)
            return pairing
        if pairing.previous_token_hash and constant_time_compare(
            digest, pairing.previous_token_hash
        ):
            return pairing
    raise unauthorized("wrong registration access token")


def _note_use(pairing: Pairing) -> None:
    changed = []
    if pairing.previous_token_hash:
        pairing.previous_token_hash = ""
        changed.append("previous_token_hash")
    if pairing.answer and pairing.state == Pairing.State.COMPLETE:
        pairing.answer = Secret("")
        changed.append("answer")
    if changed:
        pairing.save(update_fields=[*changed, "updated_at"])
