"""Processes that kill themselves (SIGKILL) at each step of a pairing, over real HTTP: afterwards,
both sites are paired, with one peer and one application each."""

from collections.abc import Callable
from typing import Any

import pytest

from .places import Place, wait_until

pytestmark = [pytest.mark.two_process, pytest.mark.threat("PA3")]

Sites = tuple[Place, Place]
Death = Callable[[Sites], None]


@pytest.fixture
def sites(strangers: Sites) -> Sites:
    for place in strangers:
        place.ask("forget_pairings")
    return strangers


def terms_of(place: Place) -> dict[str, str]:
    role = place.site.role
    return {"scope": role.scope, "allowed_scope": " ".join(role.scopes)}


def invitation(sites: Sites) -> dict[str, Any]:
    """What the second site accepts."""
    first, second = sites
    text = first.ask("invite", issuer=second.site.issuer, **terms_of(first))
    return {"text": text, **terms_of(second)}


def accepted(sites: Sites, *, has_key: bool = True) -> None:
    """The second site is registered at the first one."""
    sites[1].ask("accept", has_key=has_key, **invitation(sites))


def go_on(sites: Sites) -> None:
    """Workers come by at both sites until nothing is left to do."""

    def is_at_rest() -> bool:
        left = [place.ask("go_on_pairing") for place in sites]
        return not any(left)

    wait_until(is_at_rest)


def assert_paired(sites: Sites) -> None:
    first, second = (place.ask("pairings") for place in sites)
    for ours, theirs in ((first, second), (second, first)):
        assert (ours["states"], ours["errors"]) == (["complete"], [])
        (peer,) = ours["peers"]
        assert theirs["applications"] == [peer[0]]
        assert ours["findings"]
        assert "failed" not in ours["findings"]


def who_accepts(moment: str) -> Death:
    """The process of the second site dies while it registers."""
    return lambda sites: sites[1].dies(moment, "accept", **invitation(sites))


def server_of_the_first(moment: str) -> Death:
    def death(sites: Sites) -> None:
        values = invitation(sites)
        with sites[0].serving(dies=moment):
            sites[1].ask("accept", **values)
            sites[0].server_has_died()

    return death


def worker_of_the_first(moment: str) -> Death:
    """It dies while it registers in the other direction."""

    def death(sites: Sites) -> None:
        accepted(sites)
        sites[0].dies(moment, "go_on_pairing")

    return death


def server_of_the_second(moment: str) -> Death:
    def death(sites: Sites) -> None:
        accepted(sites)
        with sites[1].serving(dies=moment):
            sites[0].ask("go_on_pairing")
            sites[1].server_has_died()

    return death


def tester(sites: Sites) -> None:
    accepted(sites)
    sites[0].ask("go_on_pairing")
    sites[1].dies("with the peer tested, before that is stored", "go_on_pairing")


_SENDER = (
    "with the registration sent",
    "with its response read, before it is stored",
    "with its response stored",
)
_SERVER = (
    "with the registration taken, before the commit",
    "with the registration stored, before it answers",
)


@pytest.mark.parametrize(
    "death",
    [
        *[
            pytest.param(who_accepts(moment), id=f"who accepts dies {moment}")
            for moment in ("with the pairing stored, before anything is sent", *_SENDER)
        ],
        *[
            pytest.param(server_of_the_first(moment), id=f"the first server dies {moment}")
            for moment in _SERVER
        ],
        *[
            pytest.param(worker_of_the_first(moment), id=f"the first worker dies {moment}")
            for moment in (
                "with the registration made, before it is sent",
                "with the peer made, before the commit",
                *_SENDER,
            )
        ],
        *[
            pytest.param(server_of_the_second(moment), id=f"the second server dies {moment}")
            for moment in ("with the peer made, before the commit", *_SERVER)
        ],
        pytest.param(tester, id="who tests the peer dies"),
    ],
)
def test_both_sites_are_paired_once(sites: Sites, death: Death) -> None:
    death(sites)
    go_on(sites)

    assert_paired(sites)


def paired(sites: Sites, *, has_key: bool = True) -> None:
    accepted(sites, has_key=has_key)
    go_on(sites)


@pytest.mark.parametrize(
    "moment", ["with the registration sent", "with a new secret read, before it is stored"]
)
def test_a_new_secret_that_was_lost_is_asked_for_again(sites: Sites, moment: str) -> None:
    paired(sites, has_key=False)

    sites[1].dies(moment, "get_a_new_secret")
    go_on(sites)

    assert_paired(sites)


def test_a_server_that_dies_with_a_new_secret_is_asked_again(sites: Sites) -> None:
    paired(sites, has_key=False)

    with sites[0].serving(dies="with a new secret stored, before it answers"):
        sites[1].ask("get_a_new_secret")
        sites[0].server_has_died()
    go_on(sites)

    assert_paired(sites)


@pytest.mark.parametrize("who", ["who ends it", "the other server"])
def test_a_pairing_that_was_ended_ends_at_both_sites(sites: Sites, who: str) -> None:
    paired(sites)

    if who == "who ends it":
        sites[0].dies("with the registration sent", "end_the_pairing")
    else:
        with sites[1].serving(dies="with the end stored, before it answers"):
            sites[0].ask("end_the_pairing")
            sites[1].server_has_died()
    go_on(sites)

    for place in sites:
        state = place.ask("pairings")
        assert state["states"] == ["ended"]
        assert [enabled for _client_id, enabled in state["peers"]] == [False]
