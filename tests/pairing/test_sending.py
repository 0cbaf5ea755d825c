"""This site registers at the other site: what fails, and what follows."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections, transaction
from django.db.models import Q
from django.utils import timezone
from oauth2_provider.models import get_application_model

from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import accepting, check_number, due, inviting, sending

from ..fakes import Received, Reply
from .other_site import METADATA, REGISTER, OtherSite, register, terms

pytestmark = pytest.mark.django_db

State = Pairing.State
InState = Callable[[str], tuple[Pairing, str]]


@pytest.fixture(params=["accepter draft", "inviter confirmed"])
def to_send(request: pytest.FixtureRequest, in_state: InState) -> Pairing:
    """A pairing in which this site has to register at the other one."""
    return in_state(request.param)[0]


def is_sent(pairing: Pairing) -> bool:
    return pairing.state in (State.REGISTERED, State.COMPLETE)


def pause() -> float:
    """The seconds until something is due. They vary by a fifth, so that many sites do not come at
    the same moment."""
    at = due.next_due_at()
    assert at is not None
    return (at - timezone.now()).total_seconds()


@pytest.mark.rfc("7591", "3.1")
def test_this_site_sends_what_was_decided(accepted: Pairing, other: OtherSite) -> None:
    code = accepted.code.reveal()
    sending.send(accepted)

    (sent,) = other.received
    assert sent.headers["Authorization"] == f"Bearer {code}"
    body = json.loads(sent.body)
    assert len(body.pop("reciprocal_registration_token")) == 43
    assert body == {
        "client_name": "testserver",
        "client_uri": "https://testserver/",
        "redirect_uris": ["https://testserver/connections/other/callback/"],
        "grant_types": [
            "authorization_code",
            "refresh_token",
            "urn:ietf:params:oauth:grant-type:reciprocal",
        ],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "play queue",
        "reciprocal_issuer": "https://testserver/o",
        "reciprocal_allowed_scope": "playback history",
    }
    assert (accepted.state, accepted.name) == (State.REGISTERED, "Other")
    assert not accepted.code


def test_the_reverse_registration_has_the_token_of_the_other_site_and_none_of_its_own(
    complete: Pairing, other: OtherSite
) -> None:
    (sent,) = other.received

    assert sent.headers["Authorization"] == f"Bearer {other.reverse_token}"
    assert "reciprocal_registration_token" not in json.loads(sent.body)
    peer = Peer.objects.select_related("application").get()
    assert (peer.issuer, peer.client_id) == (other.issuer, "us-there")
    assert peer.client_secret.reveal() == "our-secret-at-the-other-site"
    assert peer.application.client_id == complete.issued_client_id
    assert peer.application.redirect_uris == f"{other.url}/connections/us/callback/"


def test_nothing_is_left_of_the_secrets_when_both_are_registered(complete: Pairing) -> None:
    left = {name for name in Pairing.without_secrets() if getattr(complete, name) not in ("", None)}
    assert {name for name in left if getattr(complete, name)} == {
        "code_hash",
        "answer",
        "our_token",
        "issued_token_hash",
    }


PASSING: dict[str, Any] = {
    "busy": Reply(503, b'{"error": "temporarily_unavailable"}'),
    "too many requests": Reply(429, b'{"error": "temporarily_unavailable"}'),
    "a fault": Reply(500, b"<h1>Server Error</h1>"),
    "a gateway": Reply(502, b"<h1>Bad Gateway</h1>"),
    "not there yet": Reply(404, b"<h1>Not Found</h1>"),
    "a proxy that asks for a password": Reply(
        401, b"<h1>Unauthorized</h1>", {"Content-Type": "text/html"}
    ),
    "a proxy that refuses": Reply(403, b"<h1>Forbidden</h1>", {"Content-Type": "text/html"}),
    "a success that is none": Reply(201, b"<h1>Hello</h1>"),
    "a success without a client": Reply(201, b"{}"),
}


@pytest.mark.parametrize("reply", PASSING.values(), ids=PASSING)
def test_what_may_pass_is_tried_again_with_the_same_bytes(
    to_send: Pairing, other: OtherSite, reply: Reply
) -> None:
    answer = other.answers[REGISTER]
    other.answers[REGISTER] = reply
    state = to_send.state
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sending.send(to_send)
        assert (to_send.state, bool(to_send.last_error)) == (state, True)
        assert 1 < pause() < 3
        due.run()
        assert len(other.received) == 1, "not before it is due"

        other.answers[REGISTER] = answer
        clock.shift(timedelta(seconds=3))
        due.run()

    to_send.refresh_from_db()
    assert is_sent(to_send)
    assert to_send.last_error == ""
    first, second = other.received
    assert first.body == second.body
    assert first.headers["Authorization"] == second.headers["Authorization"]


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.parametrize(("asked", "waits"), [("90", 90), ("1", 2)])
def test_a_site_is_not_asked_before_it_wants_to_be(
    to_send: Pairing, other: OtherSite, asked: str, waits: int
) -> None:
    other.answers[REGISTER] = Reply(503, b"{}", {"Retry-After": asked})

    with time_machine.travel(timezone.now(), tick=False):
        sending.send(to_send)

        assert waits - 1 < pause() < waits * 1.25 + 1


def test_the_pauses_become_longer_until_the_pairing_expires(
    accepted: Pairing, other: OtherSite
) -> None:
    begun, pauses = timezone.now(), []
    other.answers[REGISTER] = Reply(503, b"{}")
    with time_machine.travel(begun, tick=False) as clock:
        while accepted.state == State.DRAFT:
            due.run()
            accepted.refresh_from_db()
            if accepted.next_attempt_at is not None:
                pauses.append(pause())
                clock.move_to(accepted.next_attempt_at)

    assert pauses[:8] == pytest.approx([2, 5, 15, 60, 300, 600, 600, 600], rel=0.25)
    assert accepted.state == State.EXPIRED
    assert accepted.last_error, "why it did not succeed"
    assert not any(getattr(accepted, name) for name in Pairing.without_secrets())
    assert due.next_due_at() is None


def test_a_site_that_cannot_be_reached_is_called_again(accepted: Pairing, other: OtherSite) -> None:
    other.stop()

    sending.send(accepted)

    assert (accepted.state, bool(accepted.last_error)) == (State.DRAFT, True)
    assert accepted.next_attempt_at is not None


def test_a_site_whose_metadata_is_away_is_asked_again(to_send: Pairing, other: OtherSite) -> None:
    state = to_send.state
    other.answers[METADATA] = Reply(503, b"")

    sending.send(to_send)

    assert (to_send.state, other.received) == (state, [])
    assert "No metadata" in to_send.last_error


@pytest.mark.rfc("7591", "3.2.2")
def test_a_refusal_ends_the_pairing_and_says_why(to_send: Pairing, other: OtherSite) -> None:
    text = "redirect_uris: it is not at the address of reciprocal_issuer."
    other.answers[REGISTER] = Reply.json(400, error="invalid_redirect_uri", error_description=text)

    sending.send(to_send)

    assert to_send.state == State.FAILED
    assert text in to_send.last_error
    assert not any(getattr(to_send, name) for name in Pairing.without_secrets())


def test_an_invitation_that_is_over_is_told_to_the_one_who_accepts(
    accepted: Pairing, other: OtherSite
) -> None:
    other.answers[REGISTER] = Reply.json(401, error="invalid_token")

    sending.send(accepted)

    assert accepted.state == State.FAILED
    assert "Ask for a new one" in accepted.last_error


def test_an_invitation_is_accepted_once_and_again_when_it_has_failed(
    accepted: Pairing, other: OtherSite
) -> None:
    text = other.invitation(code=accepted.code.reveal())
    with pytest.raises(PairingError, match="already accepted"):
        accepting.accept(accepting.look_up(text), terms("again"))

    inviting.withdraw(accepted)

    assert accepting.accept(accepting.look_up(text), terms("again")).state == State.DRAFT


@pytest.mark.usefixtures("shared_database")
def test_what_was_withdrawn_meanwhile_stays_withdrawn(to_send: Pairing, other: OtherSite) -> None:
    answer = other.answer

    def withdraw_first(received: Received) -> Reply:
        inviting.withdraw(Pairing.objects.get(pk=to_send.pk))
        connections.close_all()
        return Reply.json(201, **answer)

    other.answers[REGISTER] = withdraw_first

    sending.send(to_send)

    assert to_send.state == State.WITHDRAWN
    assert not to_send.our_client_secret
    assert not Peer.objects.exists()
    assert was_given_back(other)


def was_given_back(other: OtherSite) -> bool:
    """Whether this site has deleted its registration there (RFC 7592, section 2.3)."""
    (call,) = other.to(f"{REGISTER}us-there/")
    token = other.answer["registration_access_token"]
    return (call.method, call.headers["Authorization"]) == ("DELETE", f"Bearer {token}")


@pytest.mark.rfc("7592", "2.3")
def test_a_registration_that_cannot_be_used_is_given_back(
    to_send: Pairing, other: OtherSite
) -> None:
    other.answer["client_secret"] = None

    sending.send(to_send)

    assert to_send.state == State.FAILED
    assert was_given_back(other)


def test_nothing_is_sent_after_the_end_of_the_lifetime(to_send: Pairing, other: OtherSite) -> None:
    with time_machine.travel(to_send.expires_at, tick=False):
        sending.send(to_send)

    assert other.received == []


def test_what_has_expired_cannot_be_confirmed(in_state: InState, other: OtherSite) -> None:
    pairing, _token = in_state("inviter accepted")

    with (
        time_machine.travel(pairing.expires_at, tick=False),
        pytest.raises(PairingError, match="has expired"),
    ):
        inviting.confirm(pairing)

    pairing.refresh_from_db()
    assert pairing.state == State.ACCEPTED


@pytest.mark.parametrize("words", ["inviter open", "inviter accepted", "accepter registered"])
def test_nothing_is_sent_when_it_is_not_this_sites_turn(
    in_state: InState, other: OtherSite, words: str
) -> None:
    pairing, _token = in_state(words)
    other.requests.clear()

    sending.send(pairing)
    due.run()

    assert other.requests == []


@pytest.mark.usefixtures("shared_database")
def test_two_processes_do_not_send_at_once(to_send: Pairing, other: OtherSite) -> None:
    seen = []

    def look(received: Received) -> Reply:
        sending.send(Pairing.objects.get(pk=to_send.pk))
        connections.close_all()
        seen.append(received)
        return Reply.json(201, **other.answer)

    other.answers[REGISTER] = look

    sending.send(to_send)

    assert len(seen) == 1
    assert is_sent(to_send)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_in_a_transaction(accepted: Pairing, other: OtherSite) -> None:
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic():
        sending.send(accepted)

    assert other.received == []


def test_a_process_that_died_leaves_its_work_to_the_next_one(
    to_send: Pairing, other: OtherSite
) -> None:
    Pairing.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    sending.claim(to_send, Q())
    sending.send(to_send)
    assert not is_sent(to_send)
    assert due.run() == 0
    assert pause() > 60, "not before the reservation ends"

    Pairing.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sending.send(to_send)

    assert is_sent(to_send)


# The test of the new peer


def test_a_new_peer_is_tested_when_the_other_site_is_ready(
    complete: Pairing, other: OtherSite
) -> None:
    path = f"{REGISTER}us-there/"
    ready = other.answers[path]
    other.answers[path] = Reply.json(200, **other.answer)
    due.attempt(complete)
    assert complete.findings == []
    assert complete.task == Pairing.Task.TEST

    other.answers[path] = ready
    due.attempt(complete)

    assert complete.task == Pairing.Task.NONE
    assert complete.findings


def test_a_peer_that_was_deleted_is_not_tested_for_ever(complete: Pairing) -> None:
    Peer.objects.all().delete()

    due.run()

    complete.refresh_from_db()
    assert complete.task == Pairing.Task.NONE
    assert complete.next_attempt_at == complete.expires_at


def test_the_check_number_covers_what_both_see(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    number = check_number.check_number(registered)

    assert len(number.replace(" ", "")) == 12
    registered.our_client_id = "somebody-else"
    assert check_number.check_number(registered) != number
    register(reverse_token, other.registration())
    registered.refresh_from_db()
    assert check_number.check_number(registered) == number
    assert get_application_model().objects.count() == 1


@pytest.mark.usefixtures("shared_database")
def test_of_very_many_scopes_those_are_kept_that_this_site_asks_for(
    accepted: Pairing, other: OtherSite
) -> None:
    other.answer["reciprocal_allowed_scope"] = " ".join(f"scope-{n}" for n in range(200)) + " play"

    sending.send(accepted)

    assert (accepted.state, accepted.offered_scope) == (State.REGISTERED, "play")
