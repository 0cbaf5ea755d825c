"""The account key of a link, and the largest scope that it allows."""

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import Link, LinkEvent, Peer, Step
from reciprocal_oauth.models.events import record_event
from reciprocal_oauth.models.links import key_of_family, key_of_subject
from reciprocal_oauth.secret import Secret


@pytest.mark.threat("R16")
def test_one_account_at_one_peer_is_linked_to_a_user_once(
    link_as_a: Link, user: Any, peer: Peer
) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Link.objects.create(user=user, peer=peer, account_key=link_as_a.account_key)


def test_several_accounts_may_be_linked_to_one_user(user: Any, peer: Peer) -> None:
    for subject in ("alice", "Alice", "álice", "alice "):
        Link.objects.create(user=user, peer=peer, account_key=key_of_subject(subject))

    assert Link.objects.count() == 4


def test_a_subject_of_any_length_makes_a_key_that_fits() -> None:
    limit = Link._meta.get_field("account_key").max_length
    assert limit is not None

    assert len(key_of_subject("x" * 255)) <= limit
    assert len(key_of_family(uuid.uuid4())) <= limit


def test_a_token_without_family_gets_a_key_of_its_own() -> None:
    family = uuid.uuid4()

    assert key_of_family(family) == key_of_family(family)
    assert key_of_family(None) != key_of_family(None)


@pytest.mark.threat("S1", "S4")
@pytest.mark.parametrize(
    ("granted", "allowed", "limit"),
    [
        ("playback profile", "profile playback", "playback profile"),
        ("playback profile", "profile", "profile"),
        ("playback gone", "playback gone", "playback"),
        ("", "profile", ""),
        ("playback", "", ""),
    ],
)
def test_a_peer_may_have_scopes_that_user_peer_and_site_all_allow(
    granted: str, allowed: str, limit: str, link_as_a: Link
) -> None:
    link_as_a.incoming_scope = granted
    link_as_a.peer.allowed_scope = allowed

    assert link_as_a.incoming_limit == limit


@pytest.mark.parametrize(
    ("values", "both"),
    [
        ({}, True),
        ({"status": Link.Status.ENDED}, False),
        ({"outgoing_state": Link.Outgoing.WAITING}, False),
        ({"outgoing_state": Link.Outgoing.BROKEN}, False),
        ({"incoming_state": Link.Incoming.GRANTED}, False),
        ({"incoming_state": Link.Incoming.DENIED}, False),
    ],
)
def test_a_link_is_two_way_when_both_directions_work(values: dict[str, str], both: bool) -> None:
    working = {"outgoing_state": Link.Outgoing.ACTIVE, "incoming_state": Link.Incoming.ACTIVE}

    assert Link(**working | values).is_two_way == both


@pytest.mark.threat("X2")
def test_the_text_of_a_link_shows_no_token_and_no_person(link_as_a: Link) -> None:
    shown = f"{link_as_a} {link_as_a!r}"

    assert "token-of-the-peer" not in shown
    assert "alice" not in shown


def test_a_line_of_the_history_is_cut_to_what_fits(link_as_a: Link) -> None:
    record_event(link_as_a, Step.E, detail="x" * 1000)

    assert len(LinkEvent.objects.get().detail) == 300


def test_the_history_carries_the_generation_it_belongs_to(link_as_a: Link) -> None:
    link_as_a.generation = 7

    assert record_event(link_as_a, Step.E).generation == 7


@pytest.mark.threat("F11", "F21")
def test_the_hash_of_a_code_depends_on_its_exact_bytes() -> None:
    codes = ["Resume", "resume", "Résumé", "Resume ", "\ud800", "\udc00", ""]

    assert len({hash_of(code) for code in codes}) == len(codes)
    assert hash_of("Resume") == hash_of("Resume")


def test_a_secret_in_a_link_is_not_shown_by_its_form_value(link_as_a: Link) -> None:
    shown = Link._meta.get_field("access_token").value_from_object(link_as_a)

    assert isinstance(shown, Secret)
    assert str(shown) == "***"
