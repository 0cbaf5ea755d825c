"""Binds each stored secret to the client ID and the addresses that it may be sent to.

A client secret, a token or a code belongs to one client ID of this site and to the origins of one
peer. Both are stored beside the secret, in ``bound_to``, and compared each time before the secret
is sent. So a change of the peer, by a form or by ``QuerySet.update()``, cannot send a secret to
another site.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models

from ..core.peer_urls import origin_of

if TYPE_CHECKING:
    from .peers import Peer

#: The fields that hold a URL at the peer, with an example of each.
ENDPOINTS: Mapping[str, str] = {
    "issuer": "https://peer.example/o",
    "authorization_endpoint": "https://peer.example/o/authorize/",
    "token_endpoint": "https://peer.example/o/token/",
    "revocation_endpoint": "https://peer.example/o/revoke_token/",
    "userinfo_endpoint": "https://peer.example/o/userinfo/",
    "reciprocal_endpoint": "https://peer.example/o/token/",
}
#: The fields of a peer that hold one of its addresses.
ADDRESS_FIELDS = (*ENDPOINTS, "homepage")


def binding_of(peer: Any) -> str:
    """The binding of a secret that belongs to ``peer`` as it is now: the client ID of this site,
    then the origins of the peer, one on each line."""
    found = {origin_of(getattr(peer, field, "")) for field in ADDRESS_FIELDS} - {""}
    return "\n".join([peer.client_id, *sorted(found)])


def is_bound(bound_to: str, peer: "Peer", *urls: str) -> bool:
    """Whether a secret with the binding ``bound_to`` may be sent to all of ``urls``, with the
    client ID that ``peer`` has now. A text that is not a URL is ignored: it is never called."""
    client_id, *origins = bound_to.split("\n")
    return client_id == peer.client_id and all(origin_of(url) in ("", *origins) for url in urls)


def bound_origins(bound_to: str) -> list[str]:
    """The origins in a binding."""
    return bound_to.split("\n")[1:]


def is_bound_for_tokens(bound_to: str, peer: "Peer") -> bool:
    """Whether tokens with this binding may be used at ``peer`` as it is now. They are sent to its
    token endpoint, and to the endpoint where this site hands over codes."""
    return is_bound(bound_to, peer, peer.token_endpoint, peer.handover_endpoint)


class BindingField(models.TextField):
    """Stores the binding of the secret in the same row. A new row gets the binding of its peer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"blank": True, "default": "", "editable": False, **kwargs})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return the binding, which a new row without one gets from its peer."""
        if add and not getattr(model_instance, self.attname):
            peer: Any = getattr(model_instance, "peer", model_instance)
            setattr(model_instance, self.attname, peer.binding)
        bound_to: str = getattr(model_instance, self.attname)
        return bound_to


@dataclass(frozen=True)
class PeerChange:
    """A change of an address, of the client ID or of the application of a peer.

    :ivar field: the name of the field that changes.
    :ivar label: the label of the field, for people.
    """

    field: str
    label: str
    before: str
    after: str

    @property
    def needs_secret(self) -> bool:
        """Whether the stored client secret does not belong to the new value."""
        return self.field != "application"

    def __str__(self) -> str:
        return f"{self.label}: {self.before or '–'} → {self.after or '–'}"


def changes_between(stored: "Peer", peer: "Peer") -> list[PeerChange]:
    """The changes that ``peer`` makes to ``stored``: addresses at origins that the stored secret
    is not bound to, another client ID, another application. A new path at the same origin is no
    change."""

    def change(field: str, before: object, after: object) -> PeerChange:
        label = str(peer._meta.get_field(field).verbose_name)  # type: ignore[union-attr]
        return PeerChange(field, label, str(before), str(after))

    client_id, *origins = stored.bound_to.split("\n")
    changes = [
        change(field, getattr(stored, field), getattr(peer, field))
        for field in ADDRESS_FIELDS
        if origin_of(getattr(peer, field)) not in ("", *origins)
    ]
    if peer.client_id != client_id:
        changes.append(change("client_id", stored.client_id, peer.client_id))
    if peer.application_id != stored.application_id:
        before, after = stored.application.client_id, _client_id(peer)
        changes.append(change("application", before, after))
    return changes


def _client_id(peer: "Peer") -> str:
    return peer.application.client_id if peer.application_id is not None else ""


def describe_changes(changes: Iterable[PeerChange]) -> str:
    """The changes in one line of text."""
    return "; ".join(map(str, changes))
