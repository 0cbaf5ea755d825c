"""The diagram of a link's steps, and the script that keeps the page up to date."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, LinkEvent, Party, Peer, Step
from reciprocal_oauth.models.events import record_event

from ..fakes import FakePeer
from ..party_a.visits import ALLOW_ALL, connect, fill_in, link_both_ways
from .looks import Tags, heard, only_our_script


def states(browser: Client, page: str = "") -> dict[str, str]:
    """Return the state of each step in the diagram of the only link."""
    tags = Tags(browser.get(f"/connections/links/{Link.objects.get().pk}/{page}"))
    drawn = [step for step in tags.named("li") if "data-drawn" in step]
    return {str(step["data-drawn"]): str(step["data-state"]) for step in drawn}


def test_every_step_of_a_finished_link_is_done(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)

    assert states(browser) == dict.fromkeys(["A", "B", "C", "D", "consent", "E", "F", "G"], "done")


def test_the_step_in_progress_is_marked(browser: Client, peer: Peer) -> None:
    question = connect(browser)["Location"]
    assert states(browser)["consent"] == "running"

    fill_in(browser, question, {"scopes": ["profile"]})
    assert states(browser)["E"] == "running"

    worker.drain()
    assert states(browser) | {"E": "done", "F": "running", "G": "ahead"} == states(browser)


def test_a_step_that_failed_is_explained(browser: Client, link_as_a: Link) -> None:
    record_event(link_as_a, Step.CONSENT, party=Party.A)
    failed = LinkEvent.Outcome.FAILED
    record_event(link_as_a, Step.E, party=Party.A, outcome=failed, detail="attempt 1: HTTP 400")
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)
    lifecycle.break_incoming(link_as_a, Link.Reason.HANDOVER_REFUSED)

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    assert states(browser)["E"] == "failed"
    # In the state, in what is read out, in the diagram, and in the table.
    assert page.count("Music refused what this site sent.") == 4
    assert "HTTP 400" not in page
    assert 'data-under-way="no"' in page


def test_an_attempt_that_failed_is_said_in_plain_words(browser: Client, link_as_a: Link) -> None:
    record_event(link_as_a, Step.CONSENT, party=Party.A)
    failed = LinkEvent.Outcome.FAILED
    record_event(link_as_a, Step.E, party=Party.A, outcome=failed, detail="attempt 1: HTTP 503")
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)

    page = browser.get(f"/connections/links/{link_as_a.pk}/").content.decode()

    assert states(browser)["E"] == "running"
    assert "The last attempt failed. This site tries again by itself." in page
    assert "HTTP 503" not in page


def test_nothing_is_under_way_to_a_peer_that_is_paused(browser: Client, peer: Peer) -> None:
    fill_in(browser, connect(browser)["Location"], {"scopes": ["profile"]})
    Peer.objects.update(paused_at=timezone.now(), paused_reason=Link.Reason.GONE)

    page = browser.get(f"/connections/links/{Link.objects.get().pk}/").content.decode()

    assert states(browser)["E"] == "held"
    assert "An administrator of this site needs to fix this first." in page
    assert 'data-under-way="no"' in page


def test_as_party_b_nothing_is_under_way_from_a_peer_that_is_paused(
    browser: Client, token_of_a: Any, hand_over: Any
) -> None:
    hand_over(access_token=token_of_a.raw)
    Peer.objects.update(paused_at=timezone.now(), paused_reason=Link.Reason.GONE)

    assert states(browser)["F"] == "held"


def test_a_refusal_is_no_failure(browser: Client, peer: Peer) -> None:
    fill_in(browser, connect(browser)["Location"], {"answer": "deny"})

    assert states(browser)["consent"] == "refused"
    assert states(browser)["E"] == "ahead"


def test_a_change_draws_its_own_code_on_top_of_the_first_visit(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)
    Link.objects.update(incoming_state=Link.Incoming.GRANTED)
    record_event(
        Link.objects.get(), Step.CONSENT, party=Party.A, detail="changed to scope: profile"
    )

    assert states(browser) == {
        **dict.fromkeys(["A", "B", "C", "D", "consent"], "done"),
        "E": "running",
        "F": "ahead",
        "G": "ahead",
    }


def test_as_party_b_what_the_other_site_did_counts_as_done(
    browser: Client, token_of_a: Any, hand_over: Any
) -> None:
    assert states(browser) | {"A": "done", "D": "done", "consent": "running"} == states(browser)

    hand_over(access_token=token_of_a.raw)
    assert states(browser) | {"consent": "done", "E": "done", "F": "running"} == states(browser)


def test_as_party_b_a_code_that_could_not_be_redeemed_has_failed(
    browser: Client, token_of_a: Any, hand_over: Any, fake_peer: FakePeer
) -> None:
    hand_over(access_token=token_of_a.raw)
    Link.objects.get().inbox.update(state="failed", reason=Link.Reason.CODE_REFUSED)

    assert states(browser)["F"] == "failed"


def test_an_ended_link_waits_for_nothing(browser: Client, peer: Peer) -> None:
    fill_in(browser, connect(browser)["Location"], {"scopes": ["profile"]})
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    assert "running" not in states(browser).values()


def test_party_a_stands_first_and_each_arrow_has_its_direction(
    browser: Client, token_of_a: Any, peer: Peer
) -> None:
    """The style sheet mirrors the diagram for languages that are read from right to left."""
    response = browser.get(f"/connections/links/{Link.objects.get().pk}/")

    assert heard(response, "b") == ["Music", "This site"]
    classes = [str(tag.get("class")) for tag in Tags(response).named("div")]
    arrows = [each for each in classes if each in ("ro-diagram-forth", "ro-diagram-back")]
    assert arrows == ["ro-diagram-forth", "ro-diagram-back"] * 2 + [
        "ro-diagram-forth",
        "ro-diagram-back",
        "ro-diagram-forth",
    ]
    assert classes.count("ro-diagram-dot") == 1


def test_each_step_says_who_does_it_to_those_who_do_not_see_the_arrows(
    browser: Client, peer: Peer
) -> None:
    connect(browser)

    steps = heard(browser.get(f"/connections/links/{Link.objects.get().pk}/"), "li")

    assert [step for step in steps if step.startswith("(A) This site: asks for access")]
    assert [step for step in steps if step.startswith("(D) Music: gives an access token ✓ done")]


def test_this_site_has_its_name_in_mid_sentence_also_as_party_b(
    browser: Client, token_of_a: Any
) -> None:
    page = browser.get(f"/connections/links/{Link.objects.get().pk}/").content.decode()

    assert "The person decides what this site may do" in page
    assert "The steps between this site and Music" in page


def test_a_long_name_stands_in_full(browser: Client, peer: Peer) -> None:
    name = "The music service of the city of Kaufbeuren"
    Peer.objects.update(name=name)
    connect(browser)

    response = browser.get(f"/connections/links/{Link.objects.get().pk}/")

    assert heard(response, "b") == ["This site", name]
    assert f"The person decides what {name} may do" in response.content.decode()


@pytest.mark.threat("W3")
def test_only_a_page_with_something_under_way_has_what_makes_the_script_ask_again(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    question = connect(browser, reciprocal="profile playback")["Location"]
    path = f"/connections/links/{Link.objects.get().pk}/"
    assert 'id="ro-voice"' not in browser.get(path).content.decode()

    fill_in(browser, question, ALLOW_ALL)
    page = browser.get(path)

    assert Tags(page).named("script")
    assert only_our_script(Tags(page))
    assert 'id="ro-voice"' in page.content.decode()
    assert "Reload this page" in page.content.decode()


def test_the_steps_are_folded_away_until_the_person_opens_them(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)

    response = browser.get(f"/connections/links/{Link.objects.get().pk}/")

    [fold] = Tags(response).named("details")
    assert "open" not in fold
    assert heard(response, "summary") == ["What happened, step by step"]
    above, below = response.content.decode().split("<details")
    assert 'data-live="directions"' in above
    for technical in ("data-drawn", "data-step", "party A", 'data-precision="millisecond"'):
        assert technical not in above
        assert technical in below


def test_the_status_is_the_content_of_the_page_alone(browser: Client, peer: Peer) -> None:
    fill_in(browser, connect(browser)["Location"], {"scopes": ["profile"]})

    response = browser.get(f"/connections/links/{Link.objects.get().pk}/status/")

    assert "no-store" in response["Cache-Control"]
    assert "<html" not in response.content.decode()
    assert states(browser, "status/") == states(browser)
    assert Tags(response).named("div")[0]["data-under-way"] == "yes"


@pytest.mark.threat("L9")
def test_the_status_is_told_to_nobody_else(
    client: Client, link_as_a: Link, other_user: Any
) -> None:
    path = f"/connections/links/{link_as_a.pk}/status/"
    assert client.get(path)["Location"] == f"/accounts/login/?next={path}"

    client.force_login(other_user)
    assert client.get(path).status_code == 404


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_the_status_takes_nothing(browser: Client, link_as_a: Link, method: str) -> None:
    assert getattr(browser, method)(f"/connections/links/{link_as_a.pk}/status/").status_code == 405
