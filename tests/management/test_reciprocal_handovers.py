"""``reciprocal_handovers``: list, send again, cancel."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret

State = OutboxItem.State


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("reciprocal_handovers", *arguments, stdout=out, stderr=err, no_color=True)
    return out.getvalue(), err.getvalue()


def make(link: Link, **values: Any) -> OutboxItem:
    return OutboxItem.objects.create(
        **{
            "kind": OutboxItem.Kind.REVOCATION,
            "peer": link.peer,
            "link": link,
            "token": Secret("canary-token"),
            **values,
        }
    )


def test_the_list_shows_what_became_of_each_and_no_token(link_as_a: Link) -> None:
    failed = make(link_as_a, state=State.FAILED, reason="unreachable", last_error="HTTP 503")
    OutboxItem.objects.create(kind=OutboxItem.Kind.REVOCATION, peer=link_as_a.peer)

    text, _ = run("list")

    first, second = text.splitlines()
    assert "(link deleted)" in first
    assert "pending" in first
    assert second.startswith(f"{failed.pk} ")
    for word in ("revocation", "music", "alice", "failed (unreachable)", "0 attempts", "HTTP 503"):
        assert word in second
    assert "canary" not in text


@pytest.mark.parametrize(
    ("attempts", "words"), [(0, " 0 attempts "), (1, " 1 attempt "), (2, " 2 attempts ")]
)
def test_the_list_counts_the_attempts(link_as_a: Link, attempts: int, words: str) -> None:
    make(link_as_a, attempts=attempts)

    assert words in run("list")[0]


def test_the_list_as_json_by_state_and_peer(link_as_a: Link) -> None:
    failed = make(link_as_a, state=State.FAILED)
    make(link_as_a)

    text, _ = run("list", "--state", "failed", "--peer", "music", "--json")

    (document,) = json.loads(text)
    assert (document["number"], document["state"]) == (failed.pk, "failed")
    assert document["link"] == str(link_as_a.pk)
    assert "canary" not in text


def test_what_peers_handed_over_here_has_a_list_of_its_own(link_as_a: Link) -> None:
    make(link_as_a)
    incoming = InboxItem.objects.create(
        peer=link_as_a.peer,
        link=link_as_a,
        code=Secret("canary-code"),
        state=State.FAILED,
        reason="code_refused",
    )

    text, _ = run("list", "--incoming")
    (document,) = json.loads(run("list", "--incoming", "--state", "failed", "--json")[0])

    assert text.startswith(f"{incoming.pk} ")
    for word in ("redemption", "music", "alice", "failed (code_refused)"):
        assert word in text
    assert "canary" not in text
    assert (document["number"], document["reason"]) == (incoming.pk, "code_refused")
    assert not {"kind", "code", "code_hash"} & set(document)


def test_an_empty_list_says_so(link_as_a: Link) -> None:
    assert run("list")[0] == "There are no hand-overs or revocations.\n"


def test_what_was_given_up_is_sent_again_by_number_or_all_of_a_peer(link_as_a: Link) -> None:
    first, second = (make(link_as_a, state=State.FAILED) for _ in range(2))

    assert run("resend", str(first.pk))[0] == "Sent again: 1.\n"
    second.refresh_from_db()
    assert second.state == State.FAILED

    text, _ = run("resend", "--failed", "--peer", "music", "--json")
    assert json.loads(text) == {"sent_again": [second.pk], "refused": {}}
    assert set(OutboxItem.objects.values_list("state", flat=True)) == {State.PENDING}


def test_what_is_sent_again_to_a_paused_peer_goes_once_it_is_resumed(link_as_a: Link) -> None:
    Peer.objects.update(paused_at=timezone.now(), paused_reason="gone")
    make(link_as_a, state=State.FAILED)

    text, warning = run("resend", "--failed")

    assert text == "Sent again: 1.\n"
    assert "Nothing is delivered to Music until it is resumed" in warning


def test_what_cannot_be_sent_again_is_named_with_the_reason(link_as_a: Link) -> None:
    done = make(link_as_a, state=State.DONE)

    with pytest.raises(CommandError, match=rf"^Number {done.pk}: The delivery has not failed\.$"):
        run("resend", str(done.pk))


def test_of_all_that_was_given_up_what_has_moved_on_is_left_and_named(link_as_a: Link) -> None:
    make(link_as_a, state=State.FAILED)
    moved_on = make(link_as_a, state=State.FAILED, kind=OutboxItem.Kind.HANDOVER)

    text, complaint = run("resend", "--failed")

    assert text == "Sent again: 1.\n"
    assert complaint.startswith(f"Number {moved_on.pk}: The person has made a newer decision")


def test_a_pending_hand_over_is_cancelled(link_as_a: Link) -> None:
    row = make(link_as_a)

    assert run("cancel", str(row.pk))[0] == "Cancelled: 1.\n"

    row.refresh_from_db()
    assert row.state == State.CANCELLED


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("resend",), "or --failed for all"),
        (("resend", "1", "--failed"), "or --failed for all"),
        (("resend", "999999"), "These numbers do not exist: 999999. Nothing was done."),
        (("cancel",), "Give the numbers"),
        (("list", "--peer", "nobody"), "There is no peer “nobody”"),
        (("list", "--state", "odd"), "invalid choice"),
    ],
)
def test_a_bad_request_says_what_was_expected(
    arguments: tuple[str, ...], complaint: str, link_as_a: Link
) -> None:
    with pytest.raises(CommandError, match=complaint):
        run(*arguments)
