"""This site gets a new secret at the other site, or ends the pairing (RFC 7592, sections 2.2 and
2.3)."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import DatabaseError, connections, transaction
from django.utils import timezone

from reciprocal_oauth.delivery import chores, pausing
from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.models import Link, Pairing, Peer, Reason
from reciprocal_oauth.pairing import inviting, renewing, sending
from reciprocal_oauth.peers import connection_check
from tests.fakes import Received, Reply, Script

from .other_site import REGISTER, OtherSite, code_in, register, terms

pytestmark = pytest.mark.django_db

US = f"{REGISTER}us-there/"
NEW_SECRET, NEW_TOKEN = "our-new-secret", "our-new-registration-token"


@pytest.fixture
def pairing(complete: Pairing, other: OtherSite) -> Pairing:
    """A complete pairing that was tested. The other site can issue a new secret."""
    other.answers["/o/token/"] = Reply.json(400, error="invalid_grant")
    chores.run()
    complete.refresh_from_db()
    assert complete.task == ""
    other.requests.clear()
    answers(other, PUT=new_secret(other), DELETE=Reply(204, b""))
    return complete


def answers(other: OtherSite, **methods: Script) -> None:
    """Let the other site answer the requests to the client configuration endpoint of this site."""
    before = other.answers[US]

    def answer(received: Received) -> Reply:
        script = methods.get(received.method, before)
        assert not isinstance(script, list)
        return script(received) if callable(script) else script

    other.answers[US] = answer


def new_secret(other: OtherSite, **changes: Any) -> Reply:
    members = {
        **other.answer,
        "client_secret": NEW_SECRET,
        "registration_access_token": NEW_TOKEN,
        **changes,
    }
    return Reply.json(200, **{n: v for n, v in members.items() if v is not ...})


def calls(other: OtherSite) -> list[tuple[str, str]]:
    """The methods and the tokens of the requests about the registration of this site."""
    return [
        (received.method, received.headers["Authorization"].removeprefix("Bearer "))
        for received in other.to(US)
    ]


def peer_of(pairing: Pairing) -> Peer:
    return Peer.objects.get(pairing=pairing)


@pytest.mark.rfc("7592", "2.2")
def test_a_new_secret_is_asked_for_with_the_metadata_unchanged(
    pairing: Pairing, other: OtherSite
) -> None:
    renewing.rotate(pairing)

    (received,) = other.to(US)
    assert (received.method, received.headers["Content-Type"]) == ("PUT", "application/json")
    sent = json.loads(received.body)
    assert sent.pop("reciprocal_new_secret") is True
    assert sent.pop("client_id") == "us-there"
    assert sent == {
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
        "scope": "play",
        "reciprocal_issuer": "https://testserver/o",
        "reciprocal_allowed_scope": "playback history",
    }
    assert peer_of(pairing).client_secret.reveal() == NEW_SECRET
    assert (pairing.our_token.reveal(), pairing.task) == (NEW_TOKEN, "test")


@pytest.mark.rfc("7592", "2.2")
def test_the_new_token_is_used_at_once_which_ends_the_one_before(
    pairing: Pairing, other: OtherSite
) -> None:
    renewing.rotate(pairing)
    chores.run()

    before = other.answer["registration_access_token"]
    assert calls(other)[:2] == [("PUT", before), ("GET", NEW_TOKEN)]
    pairing.refresh_from_db()
    assert (pairing.task, pairing.last_error) == ("", "")
    assert {finding["check"] for finding in pairing.findings} >= {"credentials", "grant"}


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.parametrize("lost", [Reply.json(503), Reply(200, b"<html>"), Reply.json(429)])
def test_a_lost_response_is_mended_by_the_next_attempt(
    pairing: Pairing, other: OtherSite, lost: Reply
) -> None:
    answers(other, PUT=lost)
    renewing.rotate(pairing)
    assert pairing.task == "rotate"
    assert pairing.last_error
    assert peer_of(pairing).client_secret.reveal() == other.answer["client_secret"]
    answers(other, PUT=new_secret(other))

    with time_machine.travel(pairing.next_attempt_at, tick=False):
        chores.run()

    assert peer_of(pairing).client_secret.reveal() == NEW_SECRET


def test_a_process_that_was_killed_is_followed_by_the_next_one(
    pairing: Pairing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*arguments: Any) -> str:
        raise DatabaseError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(renewing, "_store", die)
        with pytest.raises(DatabaseError):
            renewing.rotate(pairing)
    chores.run()
    assert Pairing.objects.get().task == "rotate", "its lease is not over"

    Pairing.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    chores.run()

    assert peer_of(pairing).client_secret.reveal() == NEW_SECRET


def test_what_was_paused_meanwhile_goes_on(
    pairing: Pairing, other: OtherSite, django_capture_on_commit_callbacks: Any
) -> None:
    def refuse_the_old_secret_first(received: Received) -> Reply:
        assert pausing.pause(peer_of(pairing), Reason.CREDENTIALS_REFUSED)
        return new_secret(other)

    answers(other, PUT=refuse_the_old_secret_first)

    with django_capture_on_commit_callbacks(execute=True):
        renewing.rotate(pairing)

    assert peer_of(pairing).paused_at is None


def test_a_peer_that_is_gone_stays_paused(
    pairing: Pairing, django_capture_on_commit_callbacks: Any
) -> None:
    pausing.pause(peer_of(pairing), Reason.GONE)

    with django_capture_on_commit_callbacks(execute=True):
        renewing.rotate(pairing)

    assert peer_of(pairing).paused_reason == Reason.GONE


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.parametrize("changes", [{"client_secret": ...}, {"client_secret": None}, {}])
def test_a_site_that_issues_no_new_secret_is_told_of(
    pairing: Pairing, other: OtherSite, changes: dict[str, Any]
) -> None:
    same = {"client_secret": other.answer["client_secret"], **changes}
    answers(other, PUT=new_secret(other, **same))

    with pytest.raises(PairingError, match="issued no new secret"):
        renewing.rotate(pairing)

    assert peer_of(pairing).client_secret.reveal() == other.answer["client_secret"]
    assert pairing.our_token.reveal() == NEW_TOKEN
    assert (pairing.task, "issued no new secret" in pairing.last_error) == ("", True)


def test_a_foreign_server_gets_back_what_it_has_registered(
    pairing: Pairing, other: OtherSite
) -> None:
    Pairing.objects.update(role=Pairing.Role.REGISTRANT)
    answers(other, GET=Reply.json(200, **{**other.answer, "logo_uri": "https://x.example/"}))

    renewing.rotate(pairing)

    sent = json.loads(other.to(US)[-1].body)
    assert sent["logo_uri"] == "https://x.example/"
    assert "registration_access_token" not in sent
    assert peer_of(pairing).client_secret.reveal() == NEW_SECRET


@pytest.mark.rfc("7592", "2.1")
def test_a_token_that_a_server_replaces_when_it_is_read_is_stored_before_the_update(
    pairing: Pairing, other: OtherSite
) -> None:
    Pairing.objects.update(role=Pairing.Role.REGISTRANT)
    before, read = other.answer["registration_access_token"], "token-of-the-read"
    answers(
        other,
        GET=Reply.json(200, **{**other.answer, "registration_access_token": read}),
        PUT=Reply.json(503),
    )

    renewing.rotate(pairing)

    assert calls(other) == [("GET", before), ("PUT", read)]
    assert (pairing.task, pairing.our_token.reveal()) == ("rotate", read)


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.parametrize("role", ["inviter", "registrant"])
def test_a_token_that_is_replaced_when_the_peer_is_tested_is_stored(
    pairing: Pairing, other: OtherSite, role: str
) -> None:
    Pairing.objects.update(role=role, task=Pairing.Task.TEST, next_attempt_at=timezone.now())
    moved = f"{other.url}{US}moved/"
    other.answers[f"{US}moved/"] = Reply.json(
        200, reciprocal_state="complete", client_id="us-there"
    )
    answers(
        other,
        GET=Reply.json(
            200,
            client_id="us-there",
            registration_access_token=NEW_TOKEN,
            registration_client_uri=moved,
        ),
    )

    chores.run()

    pairing.refresh_from_db()
    assert pairing.task == ""
    assert (pairing.our_token.reveal(), pairing.our_management_uri) == (NEW_TOKEN, moved)


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.usefixtures("shared_database")
def test_a_pairing_that_is_ended_during_an_update_is_ended_with_the_new_token(
    pairing: Pairing, other: OtherSite
) -> None:
    other_process = Pairing.objects.get()

    def end_first(received: Received) -> Reply:
        answers(other, DELETE=Reply.json(503))
        renewing.end(other_process)
        connections.close_all()
        return new_secret(other)

    answers(other, PUT=end_first)
    renewing.rotate(pairing)
    answers(other, DELETE=Reply(204, b""))

    with time_machine.travel(Pairing.objects.get().next_attempt_at, tick=False):
        chores.run()

    assert calls(other)[-1] == ("DELETE", NEW_TOKEN)
    assert Pairing.objects.get().task == ""


def test_a_peer_whose_token_cannot_be_decrypted_is_tested_once(
    pairing: Pairing, settings: Any
) -> None:
    Pairing.objects.update(task=Pairing.Task.TEST, next_attempt_at=timezone.now())
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another", []

    chores.run()

    pairing.refresh_from_db()
    assert pairing.task == ""
    assert {finding["state"] for finding in pairing.findings} >= {"failed"}


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply.json(401, error="invalid_token"), "the pairing was ended there"),
        (
            Reply.json(400, error="invalid_client_metadata", error_description="Pair again."),
            "The other site refused: Pair again",
        ),
        (new_secret, "changed the client ID"),
    ],
)
def test_a_refusal_is_told_and_nothing_is_tried_again(
    pairing: Pairing, other: OtherSite, reply: Any, text: str
) -> None:
    answers(other, PUT=reply(other, client_id="else") if callable(reply) else reply)

    with pytest.raises(PairingError, match=text):
        renewing.rotate(pairing)

    assert pairing.task == ""
    chores.run()
    assert len(calls(other)) == 1


def test_a_key_is_no_secret_that_could_be_replaced(pairing: Pairing, other: OtherSite) -> None:
    pairing.auth_method = Peer.AuthMethod.PRIVATE_KEY_JWT
    pairing.save()

    with pytest.raises(PairingError, match="reciprocal_keys rotate"):
        renewing.rotate(pairing)

    assert other.requests == []


@pytest.mark.parametrize("state", ["registered", "ended", "replaced"])
def test_only_a_complete_pairing_can_be_changed(
    pairing: Pairing, other: OtherSite, state: str
) -> None:
    Pairing.objects.update(state=state)

    for change in (renewing.rotate, renewing.end):
        with pytest.raises(PairingError, match="is not complete"):
            change(pairing)

    assert other.requests == []


def test_a_client_id_that_was_changed_by_hand_is_not_the_one_of_the_pairing(
    pairing: Pairing, other: OtherSite
) -> None:
    Peer.objects.update(client_id="by-hand")

    with pytest.raises(PairingError, match="changed by hand"):
        renewing.rotate(pairing)

    assert other.requests == []


@pytest.mark.rfc("7592", "2.2")
def test_this_site_begins_to_sign(pairing: Pairing, other: OtherSite) -> None:
    with pytest.raises(PairingError, match="cannot check signatures"):
        renewing.use_key(pairing)
    other.metadata["token_endpoint_auth_methods_supported"].append("private_key_jwt")
    key = {"token_endpoint_auth_method": "private_key_jwt", "client_secret": ...}
    answers(other, PUT=new_secret(other, **key))

    renewing.use_key(pairing)

    sent = json.loads(other.to(US)[-1].body)
    assert sent["jwks_uri"] == "https://testserver/o/reciprocal/jwks.json"
    assert "reciprocal_new_secret" not in sent
    peer = peer_of(pairing)
    assert peer.token_endpoint_auth_method == pairing.auth_method == "private_key_jwt"
    assert not peer.client_secret
    peer.full_clean()


def test_a_site_that_does_not_take_the_key_keeps_the_secret(
    pairing: Pairing, other: OtherSite
) -> None:
    other.metadata["token_endpoint_auth_methods_supported"].append("private_key_jwt")
    answers(other, PUT=new_secret(other))

    with pytest.raises(PairingError, match="did not change the authentication"):
        renewing.use_key(pairing)

    peer = peer_of(pairing)
    assert peer.token_endpoint_auth_method == pairing.auth_method == "client_secret_basic"
    assert peer.client_secret.reveal() == other.answer["client_secret"]


def test_a_peer_gets_another_short_name_by_ending_the_pairing_and_pairing_again(
    pairing: Pairing, other: OtherSite
) -> None:
    renewing.end(pairing)

    again, text = inviting.invite(terms("music"), partner=inviting.look_up(other.issuer))
    assert register(code_in(text), other.registration()).status_code == 201
    sending.send(again)

    assert again.state == "complete", again.last_error
    former, new = Peer.objects.order_by("pk")
    assert (former.slug, former.enabled) == ("other", False)
    assert (new.slug, new.issuer) == ("music", former.issuer)
    sent = json.loads(other.to(REGISTER)[-1].body)
    assert sent["redirect_uris"] == ["https://testserver/connections/music/callback/"]


@pytest.mark.rfc("7592", "2.3")
def test_the_end_disables_the_peer_ends_its_links_and_tells_the_other_site(
    pairing: Pairing, other: OtherSite, user: Any, make_token_of_a: Callable[..., Any]
) -> None:
    make_token_of_a(peer_of(pairing), user)
    assert renewing.count_links(pairing) == 1

    renewing.end(pairing)

    assert calls(other) == [("DELETE", other.answer["registration_access_token"])]
    assert not peer_of(pairing).enabled
    link = Link.objects.get()
    assert (link.is_active, link.incoming_reason) == (False, "revoked_here")
    assert (pairing.state, pairing.task, pairing.last_error) == ("ended", "", "")
    assert not pairing.our_token
    assert pairing.issued_token_hash == ""


@pytest.mark.rfc("7592", "2.3")
def test_the_other_site_is_told_later_if_it_is_away(pairing: Pairing, other: OtherSite) -> None:
    answers(other, DELETE=Reply.json(503))
    renewing.end(pairing)
    assert (pairing.state, pairing.task) == ("ended", "end")
    assert pairing.our_token
    assert not peer_of(pairing).enabled
    answers(other, DELETE=Reply(204, b""))

    with time_machine.travel(pairing.next_attempt_at, tick=False):
        chores.run()

    pairing.refresh_from_db()
    assert (pairing.task, bool(pairing.our_token)) == ("", False)


@pytest.mark.rfc("7592", "2.3")
def test_after_three_days_nobody_is_told_any_more(pairing: Pairing, other: OtherSite) -> None:
    answers(other, DELETE=Reply.json(503))
    renewing.end(pairing)

    with time_machine.travel(timezone.now() + renewing.KEEP_TRYING, tick=False):
        chores.run()
        pairing.refresh_from_db()
        assert (pairing.task, bool(pairing.our_token)) == ("", False)
        assert "503" in pairing.last_error


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.parametrize("status", [401, 404, 410])
def test_a_registration_that_does_not_exist_there_any_more_needs_no_end(
    pairing: Pairing, other: OtherSite, status: int
) -> None:
    answers(other, DELETE=Reply.json(status, error="invalid_token"))

    renewing.end(pairing)

    assert (pairing.task, pairing.last_error) == ("", "")


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.parametrize("role", ["inviter", "registrant"])
def test_who_deletes_a_peer_ends_its_pairing(pairing: Pairing, other: OtherSite, role: str) -> None:
    Pairing.objects.update(role=role)
    token = other.answer["registration_access_token"]

    Peer.objects.all().delete()

    pairing.refresh_from_db()
    assert (pairing.state, pairing.task, pairing.peer_id) == ("ended", "end", None)
    assert {str(getattr(pairing, name)) for name in Pairing.without_secrets()} <= {
        "",
        "None",
        "***",
    }
    assert pairing.issued_token_hash == ""
    assert other.requests == []
    chores.run()
    assert calls(other) == [("DELETE", token)]
    pairing.refresh_from_db()
    assert (pairing.task, bool(pairing.our_token)) == ("", False)


def test_a_peer_that_could_not_be_deleted_keeps_its_pairing(pairing: Pairing) -> None:
    with transaction.atomic():
        Peer.objects.all().delete()
        transaction.set_rollback(True)

    pairing.refresh_from_db()
    assert (pairing.state, bool(pairing.our_token)) == ("complete", True)


def found(pairing: Pairing) -> dict[str, tuple[str, str]]:
    findings = connection_check.run(peer_of(pairing))
    return {str(each.check): (str(each.state), each.reason) for each in findings}


@pytest.mark.parametrize(
    ("there", "state", "reason"),
    [
        ({"reciprocal_enabled": False}, "unknown", "has not enabled this one yet"),
        ({"reciprocal_enabled": True}, "failed", "does not allow this site"),
        ({"reciprocal_state": "waiting"}, "unknown", "has not completed the pairing"),
        ({"reciprocal_state": "ended"}, "failed", "was ended at the other site"),
        (None, "failed", "was ended at the other site"),
    ],
)
def test_a_refusal_that_the_pairing_explains(
    pairing: Pairing, other: OtherSite, there: dict[str, Any] | None, state: str, reason: str
) -> None:
    members = {**other.answer, "reciprocal_state": "complete", **(there or {})}
    answers(other, GET=Reply.json(200, **members) if there else Reply.json(401))
    other.answers["/o/token/"] = lambda received: Reply.json(
        400, error="unauthorized_client" if "access_token" in received.form else "invalid_grant"
    )

    result = found(pairing)

    assert result["credentials"][0] == "passed"
    assert (result["grant"][0], reason in result["grant"][1]) == (state, True)
