"""The access of this site to its registration at another site: the client configuration endpoint
and the registration access token (RFC 7592, section 3).

The other site can replace both with every response, also when this site only reads its registration
(RFC 7592, section 2.1). The token before can then be useless. So the new one is stored before
anything else is done.
"""

from django.views.decorators.debug import sensitive_variables

from ..client import registration
from ..client.registration import Registration
from ..core.database import atomic, tried_again
from ..models import Pairing
from ..secret import Secret


@sensitive_variables()
def read(pairing: Pairing) -> Registration:
    """Read the registration of this site. Store the access if the response changes it, also in
    ``pairing``.

    :raises PeerRefused, BadResponse, PeerUnreachable, AddressRefused: see
        :func:`.client.registration.read`.
    :raises DecryptionError: the stored token cannot be decrypted.
    """
    uri, sent = pairing.our_management_uri, pairing.our_token
    is_foreign = pairing.role == Pairing.Role.REGISTRANT
    found = registration.read(uri, sent, is_foreign=is_foreign)
    token = found.registration_access_token
    is_new = token is not None and token != sent
    if is_new or found.registration_client_uri not in ("", uri):
        _store(pairing, sent, found)
        put_in(pairing, found)
    return found


@tried_again
@sensitive_variables()
def _store(pairing: Pairing, sent: Secret, found: Registration) -> None:
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=pairing.pk)
        if is_of(row, sent):
            put_in(row, found)
            row.save(update_fields=["our_management_uri", "our_token", "updated_at"])


@sensitive_variables()
def is_of(row: Pairing, sent: Secret) -> bool:
    """Return whether ``sent`` is the token of ``row`` still, so that a response to a request with
    this token is the newest. After the end of a pairing there is none."""
    return bool(row.our_token) and row.our_token == sent


@sensitive_variables()
def put_in(row: Pairing, found: Registration) -> None:
    """Set the access that a response contains in ``row``, without saving it. What the response does
    not contain stays as it is."""
    token = found.registration_access_token or row.our_token
    # A new object, because a stored token can be decrypted only with the address before.
    token = Secret(token.reveal())
    row.our_management_uri = found.registration_client_uri or row.our_management_uri
    row.our_token = token
