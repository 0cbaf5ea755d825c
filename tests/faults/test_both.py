"""What the comparison of both sites notices."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.secret import Secret

from .both import BothSites, Issued, Side
from .plan import SCOPES_HERE, SCOPES_THERE, Person, person

ALICE = replace(person(1, 1), name="alice", consents=SCOPES_HERE, changes=(), cuts=False)
HERE, THERE = "token-issued-here", "token-issued-there"
HOLDER_THERE, HOLDER_HERE = "client-of-the-other-here", "client-of-us-there"

BROKEN: dict[str, Callable[[Link, Link], Any]] = {
    "one way here": lambda here, there: setattr(here, "incoming_state", Link.Incoming.GRANTED),
    "one way there": lambda here, there: setattr(there, "outgoing_state", Link.Outgoing.WAITING),
    "ended there": lambda here, there: setattr(there, "status", Link.Status.ENDED),
    "not confirmed": lambda here, there: setattr(here, "confirmed_generation", 0),
    "another scope": lambda here, there: setattr(here, "incoming_scope", SCOPES_HERE[0]),
    "a wrong token at the peer": lambda here, there: setattr(there, "access_token", Secret("x")),
    "a wrong token at this site": lambda here, there: setattr(here, "access_token", Secret("x")),
}


def linked(token: str, client_id: str, outgoing: tuple[str, ...], **values: Any) -> Link:
    return Link(
        peer=Peer(client_id=client_id),
        outgoing_state=Link.Outgoing.ACTIVE,
        incoming_state=Link.Incoming.ACTIVE,
        access_token=Secret(token),
        outgoing_scope=" ".join(outgoing),
        **values,
    )


def link_here() -> Link:
    scope = " ".join(SCOPES_HERE)
    generation = {"generation": 1, "confirmed_generation": 1}
    return linked(THERE, HOLDER_HERE, SCOPES_THERE, incoming_scope=scope, **generation)


def link_there() -> Link:
    return linked(HERE, HOLDER_THERE, SCOPES_HERE)


def issued(token: str, client_id: str, scope: tuple[str, ...]) -> dict[str, Issued]:
    return {hash_of(token): Issued("alice", client_id, frozenset(scope))}


def both(here: Link, there: Link, who: Person = ALICE, **tokens: dict[str, Issued]) -> BothSites:
    by_us = tokens.get("by_us", issued(HERE, HOLDER_THERE, SCOPES_HERE))
    by_them = tokens.get("by_them", issued(THERE, HOLDER_HERE, SCOPES_THERE))
    return BothSites(
        [who],
        Side({"alice": [here]}, by_us, {"alice"}),
        Side({"alice": [there]}, by_them, {"alice"}),
    )


@pytest.mark.threat("I9")
def test_a_link_that_is_finished() -> None:
    sites = both(link_here(), link_there())

    assert list(sites.unfinished()) == list(sites.strangers()) == list(sites.survivors()) == []


@pytest.mark.threat("I9")
@pytest.mark.parametrize("breaks", BROKEN.values(), ids=BROKEN)
def test_a_link_that_is_not(breaks: Callable[[Link, Link], Any]) -> None:
    here, there = link_here(), link_there()
    breaks(here, there)

    assert len(list(both(here, there).unfinished())) == 1


@pytest.mark.threat("I9")
@pytest.mark.parametrize(
    "other",
    [
        {},
        issued(HERE, "another-client", SCOPES_HERE),
        issued(HERE, HOLDER_THERE, SCOPES_HERE[:1]),
        {hash_of(HERE): Issued("bob", HOLDER_THERE, frozenset(SCOPES_HERE))},
    ],
)
def test_a_token_that_was_not_issued_like_this(other: dict[str, Issued]) -> None:
    assert len(list(both(link_here(), link_there(), by_us=other).strangers())) == 1


@pytest.mark.threat("I6")
def test_somebody_who_disconnected_and_is_still_linked() -> None:
    cut = replace(ALICE, cuts=True)

    assert len(list(both(link_here(), link_there(), cut).survivors())) == 3
    ended = BothSites([cut], Side({}, {}, ()), Side({}, {}, ()))
    assert list(ended.survivors()) == list(ended.unfinished()) == []
