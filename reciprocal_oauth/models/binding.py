"""For whom a secret is: our client id at a peer, and the origins at which that peer is.

What this site keeps to send it to a peer (a client secret, tokens, codes) was given for one client
and for certain places. Both are written beside it, in ``bound_to``, and compared whenever it is to
be sent. So whoever changes the row of a peer, by whatever door, cannot have it sent elsewhere:
neither by a form nor by ``QuerySet.update()``.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import models

from ..core.peer_urls import origin_of
from .peer_validation import ENDPOINTS

if TYPE_CHECKING:
    from .peers import Peer

#: The fields of a peer that say where it is.
PLACES = (*ENDPOINTS, "homepage")


def binding_of(peer: Any) -> str:
    """For whom is what this peer, as it is now, is given: our client id there, then one origin a
    line."""
    found = {origin_of(getattr(peer, field, "")) for field in PLACES} - {""}
    return "\n".join([peer.client_id, *sorted(found)])


def is_bound(bound_to: str, peer: "Peer", *urls: str) -> bool:
    """Whether what is ``bound_to`` may be sent to ``urls`` as the client that we are there. What is
    no URL is nobody's, and never called."""
    client_id, *origins = bound_to.split("\n")
    return client_id == peer.client_id and all(origin_of(url) in ("", *origins) for url in urls)


def origins_in(bound_to: str) -> list[str]:
    """The origins that something is bound to."""
    return bound_to.split("\n")[1:]


def is_for_tokens(bound_to: str, peer: "Peer") -> bool:
    """Whether tokens with this binding may be used at ``peer`` as it is now: they go to its token
    endpoint, and with our codes to where those are handed over."""
    return is_bound(bound_to, peer, peer.token_endpoint, peer.handover_endpoint)


class BindingField(models.TextField):
    """Holds for whom the secret in the same row is. A new row is bound as its peer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"blank": True, "default": "", "editable": False, **kwargs})

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        if add and not getattr(model_instance, self.attname):
            peer: Any = getattr(model_instance, "peer", model_instance)
            setattr(model_instance, self.attname, peer.binding)
        bound_to: str = getattr(model_instance, self.attname)
        return bound_to


@dataclass(frozen=True)
class Move:
    """One thing about where a peer is, or who we are there, that is not what it was.

    :ivar field: of the peer.
    :ivar label: of that field, for people.
    """

    field: str
    label: str
    before: str
    after: str

    @property
    def needs_secret(self) -> bool:
        """Whether the client secret that is stored was given for something else."""
        return self.field != "application"

    def __str__(self) -> str:
        return f"{self.label}: {self.before or '–'} → {self.after or '–'}"


def moves_between(stored: "Peer", peer: "Peer") -> list[Move]:
    """What of ``peer`` is not what the secret in the row ``stored`` was given for, and another
    application. Another path at the same origin is none."""

    def move(field: str, before: object, after: object) -> Move:
        label = str(peer._meta.get_field(field).verbose_name)  # type: ignore[union-attr]
        return Move(field, label, str(before), str(after))

    client_id, *origins = stored.bound_to.split("\n")
    moves = [
        move(field, getattr(stored, field), getattr(peer, field))
        for field in PLACES
        if origin_of(getattr(peer, field)) not in ("", *origins)
    ]
    if peer.client_id != client_id:
        moves.append(move("client_id", stored.client_id, peer.client_id))
    if peer.application_id != stored.application_id:
        before, after = stored.application.client_id, _client_id(peer)
        moves.append(move("application", before, after))
    return moves


def _client_id(peer: "Peer") -> str:
    return peer.application.client_id if peer.application_id is not None else ""


def in_words(moves: Iterable[Move]) -> str:
    """``moves`` in one line."""
    return "; ".join(map(str, moves))
