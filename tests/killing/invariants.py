"""What must be true of the two sites in the end, whoever has died."""

from dataclasses import dataclass
from typing import Any

from .places import Story


@dataclass(frozen=True)
class Cost:
    """What it took to link a person.

    A code is minted for each POST, just before it is sent: there are no more POSTs than codes
    minted, and no fewer than codes that have arrived.

    :ivar minted: codes that A has made.
    :ivar arrived: codes that B has taken.
    :ivar attempts_of_a: for each hand-over in A's outbox.
    :ivar attempts_of_b: for each code in B's inbox.
    :ivar replays: how often A saw a code again that had been redeemed.
    """

    minted: int
    arrived: int
    attempts_of_a: tuple[int, ...]
    attempts_of_b: tuple[int, ...]
    replays: int = 0


def cost_of_linking(story: Story) -> Cost:
    """Assert that the sites are linked both ways, agree, and hold nothing twice and nothing that is
    stuck. Gives what it took."""
    at_a, at_b = story.at(story.a), story.at(story.b)
    (link_at_a,), (link_at_b,) = at_a["links"], at_b["links"]
    assert link_at_a["two_way"]
    assert link_at_b["two_way"]
    assert_agreement(link_at_b, issued=at_a, link=link_at_a)
    assert_agreement(link_at_a, issued=at_b, link=link_at_b)
    codes = at_a["codes"]
    assert [code["token_family"] for code in codes].count(link_at_a["family"]) == 1
    assert "live" not in [code["state"] for code in codes]
    assert at_a["grants"] == 0
    assert_nothing_is_stuck(story)
    assert {row["state"] for row in at_a["outbox"]} == {"done"}
    return Cost(
        minted=len(codes),
        arrived=len(at_b["inbox"]),
        attempts_of_a=tuple(row["attempts"] for row in at_a["outbox"]),
        attempts_of_b=tuple(row["attempts"] for row in at_b["inbox"]),
        replays=sum(code["replays"] for code in codes),
    )


def assert_agreement(
    holder: dict[str, Any], *, issued: dict[str, Any], link: dict[str, Any]
) -> None:
    """Assert that what the link of one site holds is the one token that the other has issued."""
    assert issued["families"] == [link["family"]]
    assert issued["tokens"] == [{"scope": holder["scope"], "token_checksum": holder["holds"]}]


def assert_nothing_is_left(story: Story) -> None:
    """Assert that the link has ended at both sites and nothing of it lives."""
    for state in (story.at(story.a), story.at(story.b)):
        assert [link["status"] for link in state["links"]] == ["ended"]
        assert [link["holds"] for link in state["links"]] == [""]
        assert (state["families"], state["tokens"], state["grants"]) == ([], [], 0)
        assert "live" not in [code["state"] for code in state["codes"]]
    assert_nothing_is_stuck(story)


def assert_nothing_is_stuck(story: Story) -> None:
    """Assert that every row has ended and none is held, and that no request met a fault."""
    for place in (story.a, story.b):
        state = story.at(place)
        for row in state["outbox"] + state["inbox"]:
            assert row["state"] in ("done", "cancelled", "failed")
            assert (row["is_leased"], row["secret"], row["live_key"]) == (False, False, None)
        written = place.written_since(story.begun[place])
        assert '" 500 ' not in written
        assert "Traceback" not in written
