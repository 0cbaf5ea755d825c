"""The flag ``--pairing`` of the command ``reciprocal_peer add``: the peer is a site that knows only
RFC 7591 and has registered here by an invitation."""

from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.generators import generate_client_secret

from reciprocal_oauth.core.database import atomic, tried_again
from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import plain_client

from ._output import printable
from ._peer_flags import option
from ._peer_saving import save

#: The flags for what the other site has registered already. ``--register`` is not among the flags
#: that go together with ``--pairing``, because a peer has one pairing only.
_NOT_WITH = (
    "--application-client-id",
    "--application-client-secret",
    "--redirect-uri",
    "--authenticates-here-by",
    "--jwks-uri",
    "--register",
)


class PlainClient:
    """A site that knows only RFC 7591, and its pairing that waits for the endpoints."""

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> "PlainClient | None":
        """Return the site that the user means; ``None`` without ``--pairing``.

        :raises CommandError: no pairing waits for endpoints, or another flag does not fit.
        """
        if not options["pairing"]:
            return None
        if flags := ", ".join(flag for flag in _NOT_WITH if options[option(flag)]):
            raise CommandError(
                f"--pairing: The other site is registered already. Leave out {flags}."
            )
        try:
            return cls(plain_client.waiting(options["slug"]))
        except PairingError as error:
            raise CommandError(f"--pairing: {printable(error)}") from error

    def with_values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the peer's fields: those that the user has given, those that were
        decided with the invitation, and those that the other site has registered."""
        first = plain_client.first_values(self._pairing)
        return {**first, **given, **plain_client.fixed_values(self._pairing)}

    @tried_again
    @sensitive_variables()
    def save(self, slug: str, values: Mapping[str, Any], **options: Any) -> tuple[Peer, bool, str]:
        """Save the peer and its application, and complete the pairing, in one transaction.

        :raises CommandError: see :func:`._peer_saving.save`. Also if the pairing does not wait for
            endpoints any more.
        """
        with atomic():
            try:
                row = plain_client.lock(self._pairing)
            except PairingError as error:
                raise CommandError(f"--pairing: {printable(error)}") from error
            # DOT must store a secret. That of a client with a key is random; nobody knows it.
            secret = row.issued_client_secret.reveal() or generate_client_secret()
            registered = {"client_secret": secret, "redirect_uris": row.redirect_uris}
            # A peer that is renewed has its application already.
            client_id = None if row.renews else row.issued_client_id
            saved = save(slug, values, **{**options, **registered, "client_id": client_id})
            plain_client.finish(row, saved[0])
        return saved
