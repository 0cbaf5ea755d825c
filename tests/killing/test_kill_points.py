"""Processes that kill themselves (SIGKILL) at each step of a hand-over, a refresh and an end: two
sites with databases of their own, over real HTTP. Whatever is cut off, what the person has allowed
takes effect exactly once."""

from collections.abc import Callable
from typing import Any

import pytest
import requests

from .invariants import Cost, assert_nothing_is_left, cost_of_linking
from .places import Story, wait_until

pytestmark = pytest.mark.two_process

Death = Callable[[Story], None]


# Who dies, and when


def worker_of_a(moment: str) -> Death:
    """Party A's worker dies."""
    return lambda story: story.a.dies(moment)


def worker_of_b(moment: str) -> Death:
    """Party A has handed over; party B's worker dies."""

    def death(story: Story) -> None:
        story.a.deliver()
        story.b.dies(moment)

    return death


def server_of_a(moment: str) -> Death:
    """Party A has handed over; its server dies while party B's worker redeems the code."""

    def death(story: Story) -> None:
        story.a.deliver()
        with story.a.serving(dies=moment):
            story.b.deliver()
            story.a.server_has_died()
            assert nothing_was_issued(story)

    return death


def server_of_b(moment: str) -> Death:
    """Party B's server dies while party A's worker hands over."""

    def death(story: Story) -> None:
        with story.b.serving(dies=moment):
            story.a.deliver()
            story.b.server_has_died()

    return death


def then(first: Death, second: Death) -> Death:
    """One thing after the other, before the restart."""

    def both(story: Story) -> None:
        first(story)
        second(story)

    return both


def b_redeems(story: Story) -> None:
    wait_until(lambda: story.at(story.b)["inbox"])
    story.b.deliver()


def a_sends_again(story: Story) -> None:
    """B's worker is away until the lease of A's has run out."""
    wait_until(lambda: story.at(story.b)["inbox"])
    wait_until(lambda: story.a.deliver() or len(story.at(story.a)["codes"]) == 2)


def the_code_runs_out(story: Story) -> None:
    """Before B's next worker comes for it."""
    story.a.ask("let_the_code_run_out", name=story.name)
    wait_until(lambda: not story.b.ask("deliver", name=story.name))


# What that may cost

NOTHING_LOST = Cost(1, 1, (1,), (1,))
ONE_MORE_ATTEMPT = Cost(1, 1, (2,), (1,))
ONE_CODE_NEVER_SENT = Cost(2, 1, (2,), (1,))
#: Of the two, B asks for the newer one first, and for the older one no more.
TWO_CODES_ARRIVE = Cost(2, 2, (2,), (0, 1))
#: A redeemed code comes again: its tokens die, and A sends another in a delivery of its own.
REISSUED = Cost(2, 2, (1, 1), (2, 1), replays=1)


@pytest.mark.threat("I2", "I4", "I5", "I8", "I9", "I13")
@pytest.mark.parametrize(
    ("death", "cost"),
    [
        pytest.param(
            worker_of_a("with a row claimed, before it mints"),
            ONE_MORE_ATTEMPT,
            id="A's worker dies with a row claimed: the next one sends once",
            marks=pytest.mark.threat("K1"),
        ),
        pytest.param(
            worker_of_a("with a code minted, before it connects"),
            ONE_CODE_NEVER_SENT,
            id="A's worker dies with a code minted: the code dies, another is sent",
            marks=pytest.mark.threat("K2"),
        ),
        pytest.param(
            worker_of_a("with half of the request sent"),
            ONE_CODE_NEVER_SENT,
            id="A's worker dies in the middle of the request: B takes the whole one only",
            marks=pytest.mark.threat("K3"),
        ),
        pytest.param(
            then(worker_of_a("with the request sent"), a_sends_again),
            TWO_CODES_ARRIVE,
            id="A's worker dies with the request sent: B redeems the second code only",
            marks=pytest.mark.threat("K4"),
        ),
        pytest.param(
            then(worker_of_a("with the request sent"), b_redeems),
            NOTHING_LOST,
            id="A's worker dies with the request sent, and B redeems: nothing is sent again",
            marks=pytest.mark.threat("K4"),
        ),
        pytest.param(
            then(worker_of_a("with the answer read, before it is stored"), a_sends_again),
            TWO_CODES_ARRIVE,
            id="A's worker dies with the answer read: B redeems the second code only",
            marks=pytest.mark.threat("K5"),
        ),
        pytest.param(
            then(worker_of_a("with the answer read, before it is stored"), b_redeems),
            NOTHING_LOST,
            id="A's worker dies with the answer read, and B redeems: nothing is sent again",
            marks=pytest.mark.threat("K5"),
        ),
        pytest.param(
            then(server_of_b("with the code stored, before it answers"), a_sends_again),
            TWO_CODES_ARRIVE,
            id="B's server dies with the code stored: A sends another, and B redeems that",
            marks=pytest.mark.threat("K6"),
        ),
        pytest.param(
            then(server_of_b("with the code stored, before it answers"), b_redeems),
            NOTHING_LOST,
            id="B's server dies with the code stored, and B redeems: nothing is sent again",
            marks=pytest.mark.threat("K6"),
        ),
        pytest.param(
            worker_of_b("with a code claimed, before it calls"),
            Cost(1, 1, (1,), (2,)),
            id="B's worker dies with a code claimed: the next one redeems it",
            marks=pytest.mark.threat("K7"),
        ),
        pytest.param(
            then(worker_of_b("with a code claimed, before it calls"), the_code_runs_out),
            Cost(2, 2, (2,), (2, 1)),
            id="B's worker dies with a code claimed, and the code runs out: A sends another",
            marks=pytest.mark.threat("K7"),
        ),
        pytest.param(
            worker_of_b("when the tokens come, before it reads them"),
            REISSUED,
            id="B's worker dies before it reads the tokens: A revokes them and issues others",
            marks=pytest.mark.threat("K8"),
        ),
        pytest.param(
            worker_of_b("with the tokens read, before it stores them"),
            REISSUED,
            id="B's worker dies with the tokens read: A revokes them and issues others",
            marks=pytest.mark.threat("K9"),
        ),
        pytest.param(
            worker_of_b("with the tokens stored"),
            NOTHING_LOST,
            id="B's worker dies with the tokens stored: its row has ended with them",
            marks=pytest.mark.threat("K9"),
        ),
        pytest.param(
            server_of_a("with the code spent, before the commit"),
            Cost(1, 1, (1,), (2,)),
            id="A's server dies with the code spent: the code lives, and is redeemed",
            marks=pytest.mark.threat("K10"),
        ),
        pytest.param(
            server_of_a("with the tokens saved, before the commit"),
            Cost(1, 1, (1,), (2,)),
            id="A's server dies with the tokens saved: the code lives, and is redeemed",
            marks=pytest.mark.threat("K10"),
        ),
    ],
)
def test_what_was_allowed_takes_effect_once(story: Story, death: Death, cost: Cost) -> None:
    story.allow()

    death(story)
    story.go_on()

    assert cost_of_linking(story) == cost


@pytest.mark.threat("K12", "T2")
def test_a_refresh_that_was_cut_off_is_asked_for_again(story: Story) -> None:
    story.link()
    story.a.ask("let_the_access_run_out", name=story.name)
    before = story.b.log_size()

    story.a.dies("with renewed tokens, before it stores them", "call_the_peer", **api_of_b(story))

    assert call_b(story) == {"came": 200, "announced": []}
    assert story.b.answers_since(before, "/o/token/") == [200, 200]
    assert cost_of_linking(story) == NOTHING_LOST


@pytest.mark.threat("K12", "T2")
def test_without_grace_a_refresh_that_was_cut_off_breaks_the_access_once(story: Story) -> None:
    story.link()
    with story.b.serving(grace=False):
        story.a.ask("let_the_access_run_out", name=story.name)
        before = story.b.log_size()

        story.a.dies(
            "with renewed tokens, before it stores them", "call_the_peer", **api_of_b(story)
        )

        assert call_b(story) == {"came": "NotLinked", "announced": ["refresh_refused"]}
        assert call_b(story) == {"came": "NotLinked", "announced": []}
        assert story.b.answers_since(before, "/o/token/") == [200, 400]
    (link,) = story.at(story.a)["links"]
    assert link["outgoing"] == ["broken", "refresh_refused"]
    assert not link["holds"]


def a_revoking_worker_dies(story: Story) -> None:
    story.person.disconnect(story.a.site)
    story.a.dies("before it revokes there")


def a_server_dies_with_the_link_ended(story: Story) -> None:
    with story.a.serving(dies="with the link ended, before it answers"):
        with pytest.raises(requests.ConnectionError):
            story.person.disconnect(story.a.site)
        story.a.server_has_died()


@pytest.mark.threat("K13", "I6")
@pytest.mark.parametrize("death", [a_revoking_worker_dies, a_server_dies_with_the_link_ended])
def test_what_was_ended_is_revoked_there_and_stays_ended(story: Story, death: Death) -> None:
    story.link()
    before = story.b.log_size()

    death(story)
    story.go_on()

    assert story.b.answers_since(before, "/o/revoke_token/") == [200]
    assert_nothing_is_left(story)


@pytest.mark.threat("K4", "T3", "I6")
def test_a_code_of_a_dead_worker_does_not_bring_an_ended_link_back(story: Story) -> None:
    story.allow()
    story.a.dies("with the request sent")
    wait_until(lambda: story.at(story.b)["inbox"])

    story.person.disconnect(story.a.site)
    story.b.deliver()
    story.go_on()

    assert_nothing_is_left(story)


def nothing_was_issued(story: Story) -> bool:
    """Whether the code lives and the transaction has left nothing."""
    state = story.at(story.a)
    states = [code["state"] for code in state["codes"]]
    return (states, state["grants"], state["tokens"], state["families"]) == (["live"], 1, [], [])


def api_of_b(story: Story) -> dict[str, str]:
    return {"name": story.name, "url": f"{story.b.site.url}/api/whoami/"}


def call_b(story: Story) -> dict[str, Any]:
    return story.a.ask("call_the_peer", **api_of_b(story))
