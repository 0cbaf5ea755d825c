"""What must hold of both sites together: that each holds what the other has issued."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth.core import scopes
from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import Link, OutboxItem

from .plan import STARTS, Person


@dataclass(frozen=True)
class Issued:
    """An access token, as the site that issued it knows it."""

    user: str
    client_id: str
    scope: frozenset[str]


@dataclass(frozen=True)
class Side:
    """One of the sites.

    :ivar links: of each user.
    :ivar issued: its access tokens by checksum.
    :ivar renewable: users for whom the other site holds a live refresh token.
    """

    links: Mapping[str, Sequence[Link]]
    issued: Mapping[str, Issued]
    renewable: Collection[str]

    @classmethod
    def read(cls, site: str) -> "Side":
        """As the database of ``site`` tells."""
        links: dict[str, list[Link]] = {}
        for link in Link.objects.using(site).select_related("user", "peer"):
            links.setdefault(link.user.get_username(), []).append(link)
        tokens = get_access_token_model().objects.using(site)
        issued = {
            checksum: Issued(user, client_id, frozenset(scopes.split(scope)))
            for checksum, user, client_id, scope in tokens.values_list(
                "token_checksum", "user__username", "application__client_id", "scope"
            )
        }
        live = get_refresh_token_model().objects.using(site).filter(revoked__isnull=True)
        return cls(links, issued, set(live.values_list("user__username", flat=True)))

    def active(self, person: Person) -> list[Link]:
        return [link for link in self.links.get(person.name, []) if link.is_active]


@dataclass(frozen=True)
class BothSites:
    """The people of a run, as both sites know them in the end.

    :ivar here: the site where they started.
    """

    people: Sequence[Person]
    here: Side
    there: Side

    def unfinished(self) -> Iterator[str]:
        """People whose last decision is not in force at both sites."""
        for person in self.people:
            if not person.cuts and (problem := self._problem(person)):
                yield f"{person.name}: {problem}"

    def strangers(self) -> Iterator[str]:
        """I9: for each link that a site takes for finished, the token that it stores is one that
        the other has issued to it, for the same person, with the same scope."""
        for person in self.people:
            for link in self.here.active(person):
                yield from _compare(person, link, self.there, "where the person started")
            for link in self.there.active(person):
                yield from _compare(person, link, self.here, "at the other site")

    def survivors(self) -> Iterator[str]:
        """I6: what was cut at one site is cut at the other."""
        for person in self.people:
            if not person.cuts:
                continue
            if self.here.active(person):
                yield f"{person.name}: disconnected, and linked where that was done"
            if person.name in self.there.renewable or self.there.active(person):
                yield f"{person.name}: disconnected, and linked at the other site"
            if person.name in self.here.renewable:
                yield f"{person.name}: disconnected, and the other site holds tokens"

    def _problem(self, person: Person) -> str | None:
        here, there = self.here.active(person), self.there.active(person)
        if len(here) != 1 or len(there) != 1:
            return f"{len(here)} links where the person started, {len(there)} at the other site"
        (here_link,), (there_link,) = here, there
        if not here_link.is_two_way:
            return f"where the person started: {_state(here_link)}"
        if not there_link.is_two_way:
            return f"at the other site: {_state(there_link)}"
        if here_link.generation != here_link.confirmed_generation:
            return "the last decision has not arrived"
        if set(scopes.split(here_link.incoming_scope)) != set(person.final_scope):
            return f"allows “{here_link.incoming_scope}” in place of {person.final_scope}"
        if hash_of(there_link.access_token.reveal()) not in self.here.issued:
            return "the other site holds a token that does not work"
        if hash_of(here_link.access_token.reveal()) not in self.there.issued:
            return "the site where the person started holds a token that does not work"
        return None


def _state(link: Link) -> str:
    return (
        f"outgoing {link.outgoing_state} {link.outgoing_reason}, "
        f"incoming {link.incoming_state} {link.incoming_reason}"
    )


def _compare(person: Person, link: Link, issuer: Side, where: str) -> Iterator[str]:
    if not link.is_two_way:
        return
    token = issuer.issued.get(hash_of(link.access_token.reveal()))
    wanted = Issued(person.name, link.peer.client_id, frozenset(scopes.split(link.outgoing_scope)))
    if token is None:
        yield f"{person.name}: stored {where} is a token that the other site does not know"
    elif token != wanted:
        yield f"{person.name}: stored {where} is {wanted}, issued was {token}"


def given_up() -> int:
    """Hand-overs of which nothing more will come unless somebody asks for it."""
    failed = OutboxItem.objects.using(STARTS).filter(state=OutboxItem.State.FAILED)
    return failed.filter(kind=OutboxItem.Kind.HANDOVER).count()
