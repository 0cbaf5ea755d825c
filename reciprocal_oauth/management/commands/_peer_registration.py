"""The flag ``--register`` of the command ``reciprocal_peer add``, which registers this site at the
other site (RFC 7591)."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.core.management.base import CommandError
from django.db import transaction
from django.views.decorators.debug import sensitive_variables

from reciprocal_oauth.client.discovery import Metadata
from reciprocal_oauth.client.registration import Registration
from reciprocal_oauth.core.database import atomic, database
from reciprocal_oauth.exceptions import PeerError
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import discovery, foreign_registration
from reciprocal_oauth.peers.foreign_registration import CannotRegister, Plan
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors import preset_of

from ._output import printable

#: The fields of the peer that the registration sets, with their flags.
_SET = {"client_id": "--client-id", "client_secret": "--client-secret"}


@dataclass
class PeerRegistration:
    """A registration of this site at the other site."""

    plan: Plan
    token: Secret | None
    result: Registration | None = None

    @classmethod
    def of(
        cls,
        options: Mapping[str, Any],
        given: Mapping[str, Any],
        stored: Peer | None,
        metadata: Metadata | None,
        base: str,
    ) -> "PeerRegistration | None":
        """Return the registration that the user wants; ``None`` without ``--register``.

        :param given: the values for which the user has given a flag, by field name.
        :param stored: the peer, if it exists already.
        :param metadata: the metadata of the peer, if it was looked up with ``--discover``.
        :param base: the URL of this site.
        :raises CommandError: this site cannot register there. Nothing was sent.
        """
        if not options["register"]:
            return None
        if flags := ", ".join(flag for field, flag in _SET.items() if field in given):
            raise CommandError(f"--register: It sets {flags}. Leave this out.")
        dialect = given.get("dialect") or (stored.dialect if stored else "")
        if dialect and preset_of(dialect):
            raise CommandError("--register: This vendor has a console. Register this site there.")
        issuer = given.get("issuer") or (stored.issuer if stored else "")
        if metadata is None and not issuer:
            raise CommandError("--register: Give the address of the other site with --discover.")
        scope = given.get("scope", stored.scope if stored else "")
        try:
            plan = foreign_registration.plan(
                metadata or find(issuer, "--register"),
                options["slug"],
                base=base,
                our_name=options["our_name"] or "",
                scope=scope,
                auth_method=given.get("token_endpoint_auth_method", ""),
                endpoint=options["registration_endpoint"] or "",
                dialect=dialect,
            )
        except CannotRegister as error:
            raise CommandError(f"--register: {printable(error)}") from error
        token = options["initial_access_token"]
        return cls(plan, Secret(token) if token else None)

    def placeholders(self) -> dict[str, Any]:
        """Return values for the fields that the registration will set."""
        return self.plan.placeholders()

    @sensitive_variables()
    def send(self) -> dict[str, Any]:
        """Register this site there, and return the values of the fields that this sets.

        :raises CommandError: the other site did not register this site.
        """
        try:
            self.result = foreign_registration.send(self.plan, self.token)
        except PeerError as error:
            reason = printable(foreign_registration.explain(error))
            raise CommandError(f"--register: {reason}\n  Nothing was saved.") from None
        return foreign_registration.peer_values(self.plan, self.result)

    def give_back(self) -> None:
        """Delete the registration there, because the peer could not be saved."""
        if self.result is not None:
            foreign_registration.give_back(self.result)

    def store(self, peer: Peer) -> list[str]:
        """Store the access to the registration. Return what the user should know about it."""
        if self.result is None:
            return []
        foreign_registration.store(peer, self.plan, self.result)
        return foreign_registration.remarks(self.plan, self.result)


def find(address: str, flag: str) -> Metadata:
    """Return the metadata of the site with this address.

    :param flag: the flag whose value the address is, for the error message.
    :raises CommandError: the metadata cannot be read.
    """
    try:
        return discovery.find(address)
    except PeerError as error:
        reasons = "\n  ".join(map(printable, str(error).splitlines()))
        raise CommandError(f"{flag}: {reasons}") from error


@contextmanager
def undone() -> Iterator[None]:
    """Undo all changes of the database that are made in the block."""
    with atomic():
        yield
        transaction.set_rollback(True, using=database())
