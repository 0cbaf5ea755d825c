"""A site answers what the other site asks about its registration here (RFC 7592, section 2)."""

from collections.abc import Mapping
from typing import Any

from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..models import Pairing, PeerAuthentication
from ..secret import Secret
from .answering import answer_members
from .messages import unauthorized


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
    is_key = pairing.its_auth_method == PeerAuthentication.PRIVATE_KEY_JWT
    return answer_members(pairing, "private_key_jwt" if is_key else "client_secret_basic")


@sensitive_variables()
def authenticate(client_id: str, token: str) -> Pairing:
    """Return the pairing whose registration access token is ``token``, locked.

    The first use of a token shows that the other site has stored it. So the token before is not
    good any more, and the response that contained it is deleted.

    :raises RegistrationRefused: the token is wrong, or the pairing is over.
    """
    digest = hash_of(token)
    rows = Pairing.objects.select_for_update().filter(issued_client_id=client_id)
    for pairing in rows.exclude(issued_token_hash=""):
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
