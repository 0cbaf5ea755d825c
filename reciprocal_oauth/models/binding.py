"""Binds each stored secret to one client ID of this site and to the origins of one peer.

The secret is a client secret, a token or a code. The column ``bound_to`` in the same row stores
the client ID and the origins (scheme, host and port) that the secret belongs to. This app compares
them with the present client ID and URL each time that it sends the secret. So if somebody changes
the URLs of the peer, even with ``QuerySet.update()``, the secret is not sent to the new site.

A signed assertion is treated like a client secret, and in addition this site signs only for an
audience whose origin is in the binding.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models

from ..core.peer_urls import origin_of

if TYPE_CHECKING:
    from .peers import Peer

#: The fields of a peer that contain a URL for the protocol. The values are example URLs.
ENDPOINTS: Mapping[str, str] = {
    "issuer": "https://peer.example/o",
    "authorization_endpoint": "https://peer.example/o/authorize/",
    "token_endpoint": "https://peer.example/o/token/",
    "revocation_endpoint": "https://peer.example/o/revoke_token/",
    "userinfo_endpoint": "https://peer.example/o/userinfo/",
    "account_endpoint": "https://peer.example/api/me/",
    "reciprocal_endpoint": "https://peer.example/o/token/",
}
#: All fields of a peer that contain a URL at the peer.
ADDRESS_FIELDS = (*ENDPOINTS, "homepage", "assertion_audience")


def binding_of(peer: Any) -> str:
    """Return the binding of a secret for the present values of ``peer``. The first line is the
    client ID of this site. Each further line is one origin (scheme, host and port) of the peer."""
    found = {origin_of(getattr(peer, field, "")) for field in ADDRESS_FIELDS} - {""}
    return "\n".join([peer.client_id, *sorted(found)])


def is_bound(bound_to: str, peer: "Peer", *urls: str) -> bool:
    """Return whether a secret may be sent to all of ``urls``, together with the client ID that is
    now stored in ``peer``. An empty or invalid URL is ignored, because this site never calls it.

    :param bound_to: the binding of the secret, as :func:`binding_of` returns it.
    """
    client_id, *origins = bound_to.split("\n")
    return client_id == peer.client_id and all(origin_of(url) in ("", *origins) for url in urls)


def bound_origins(bound_to: str) -> list[str]:
    """Return the origins (scheme, host and port) that the binding ``bound_to`` contains."""
    return bound_to.split("\n")[1:]


def is_bound_for_tokens(bound_to: str, peer: "Peer") -> bool:
    """Return whether tokens with the binding ``bound_to`` may be used with the present values of
    ``peer``. This site sends tokens to the token endpoint of the peer, and to the endpoint to which
    it hands over reciprocal codes."""
    return is_bound(bound_to, peer, peer.token_endpoint, peer.handover_endpoint)


class BindingField(models.TextField):
    """A model field for the binding of the secret in the same row: the client ID and the origins
    that the secret belongs to. A new row without a binding gets the binding of its peer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"blank": True, "default": "", "editable": False, **kwargs})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        """Return the binding to save. If a new row has no binding, copy the binding of its peer."""
        if add and not getattr(model_instance, self.attname):
            peer: Any = getattr(model_instance, "peer", model_instance)
            setattr(model_instance, self.attname, peer.binding)
        bound_to: str = getattr(model_instance, self.attname)
        return bound_to


@dataclass(frozen=True)
class PeerChange:
    """One changed value of a peer: a URL, the client ID of this site, or the DOT application.

    :ivar field: the name of the changed field.
    :ivar label: the label of the field, to show to a person.
    :ivar before: the stored value.
    :ivar after: the new value.
    """

    field: str
    label: str
    before: str
    after: str

    @property
    def needs_secret(self) -> bool:
        """Return whether an administrator must enter the client secret again because of this
        change. This is true for every change except a new DOT application: the client secret is
        for requests to the peer, and the DOT application is for requests of the peer."""
        return self.field != "application"

    def __str__(self) -> str:
        return f"{self.label}: {self.before or '–'} → {self.after or '–'}"


def changes_between(stored: "Peer", peer: "Peer") -> list[PeerChange]:
    """Compare ``peer``, which can have unsaved changes, with ``stored``, its row in the database.
    Return the changes that an administrator must confirm. After the first two, the stored secrets
    may be for another site or another client:

    - A URL has an origin (scheme, host and port) that ``stored.bound_to`` does not contain. A new
      path at the same origin is not such a change.
    - The client ID of this site differs from the client ID in ``stored.bound_to``.
    - The DOT application of the peer was replaced by another one. This concerns the tokens that
      this site has issued.
    """

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
    """Return a description of all ``changes`` in one line of text."""
    return "; ".join(map(str, changes))
