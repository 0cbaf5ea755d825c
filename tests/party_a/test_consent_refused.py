"""Answers to the question of consent that are not taken: from others, forged, or overtaken."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.links.outgoing_access import fresh_access_token
from reciprocal_oauth.models import Link, OutboxItem, Peer

from .visits import ALLOW_ALL, connect, fill_in, hidden_fields


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L9")
@pytest.mark.parametrize("answer", [ALLOW_ALL, {"answer": "allow"}, {"answer": "deny"}])
@pytest.mark.parametrize("who", ["another user", "staff", "nobody"])
def test_nobody_else_can_see_or_answer_the_question(
    question: str,
    other_user: Any,
    who: str,
    answer: dict[str, Any],
    assert_untouched: Callable[[], None],
) -> None:
    browser = Client()
    if who == "staff":
        browser.force_login(get_user_model().objects.create_superuser("admin", password="admin"))
    elif who == "another user":
        browser.force_login(other_user)

    responses = [browser.get(question), fill_in(browser, question, answer)]

    for response in responses:
        if who == "nobody":
            assert response["Location"].startswith("/accounts/login/?next=")
        else:
            assert response.status_code == 404
    assert_untouched()


@pytest.mark.threat("L9")
def test_a_link_that_does_not_exist_looks_like_that_of_somebody_else(browser: Client) -> None:
    assert browser.post(f"/connections/links/{uuid4()}/consent/", ALLOW_ALL).status_code == 404


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L10")
@pytest.mark.parametrize(
    "scopes",
    [
        ["history"],
        ["profile", "history"],
        ["no-such-scope"],
        ["openid"],
        ["profile", "profile"],
        ["profile playback"],
        ["profile", ""],
        ["profile\x00"],
        ["PROFILE"],
        ["<script>alert(1)</script>"],
    ],
    ids=lambda scopes: "+".join(scopes),
)
def test_a_form_with_a_scope_that_was_not_on_the_page_grants_nothing(
    browser: Client, question: str, scopes: list[str], assert_untouched: Callable[[], None]
) -> None:
    response = fill_in(browser, question, {"answer": "allow", "scopes": scopes})

    assert response.status_code == 400
    page = response.content.decode()
    assert 'role="alert"' in page
    assert "<script>" not in page
    assert_untouched()


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L10")
def test_a_scope_of_another_peer_grants_nothing(
    browser: Client,
    question: str,
    make_peer: Callable[..., Peer],
    assert_untouched: Callable[[], None],
) -> None:
    make_peer("heating", allowed_scope="profile history")

    response = fill_in(browser, question, {"answer": "allow", "scopes": ["history"]})

    assert response.status_code == 400
    assert_untouched()


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L40")
def test_an_answer_counts_for_the_account_that_was_connected_when_it_was_asked(
    browser: Client, question: str
) -> None:
    """A peer that does not say whose account it is: alice connects one, opens the question, and
    connects another one in a second window."""
    first = hidden_fields(browser.get(question))
    assert connect(browser, reciprocal="profile playback")["Location"] == question

    refused = browser.post(question, {**first, **ALLOW_ALL})

    assert refused.status_code == 409
    page = refused.content.decode()
    assert "This has changed in the meantime. Please check it again." in page
    assert 'role="alert"' in page
    assert page.count('type="checkbox"') == page.count("checked") == 2
    link = Link.objects.get()
    assert (link.incoming_state, link.incoming_scope, link.generation) == ("offered", "", 0)
    assert not link.outbox.filter(kind=OutboxItem.Kind.HANDOVER).exists()
    assert browser.post(question, {**hidden_fields(refused), **ALLOW_ALL}).status_code == 302
    assert Link.objects.get().incoming_state == "granted"


@pytest.mark.threat("L40")
def test_a_refreshed_token_is_still_of_the_account_that_was_connected(
    browser: Client, question: str
) -> None:
    page = hidden_fields(browser.get(question))
    Link.objects.update(access_token_expires_at=timezone.now())
    fresh_access_token(Link.objects.get())

    assert browser.post(question, {**page, **ALLOW_ALL}).status_code == 302
    assert Link.objects.get().incoming_state == "granted"


@pytest.mark.threat("L40")
@pytest.mark.parametrize("decision", [{"answer": "deny"}, {"answer": "allow"}])
def test_a_page_that_was_left_open_does_not_undo_a_no(
    browser: Client, question: str, decision: dict[str, str]
) -> None:
    old = hidden_fields(browser.get(question))
    fill_in(browser, question, decision)

    assert browser.post(question, {**old, **ALLOW_ALL}).status_code == 409

    assert Link.objects.get().incoming_state == "denied"


@pytest.mark.threat("L41")
def test_a_scope_that_was_not_shown_is_not_granted_although_it_is_asked_for_by_now(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    Peer.objects.update(allowed_scope="profile")
    old = hidden_fields(browser.get(question))
    Peer.objects.update(allowed_scope="profile playback")

    refused = browser.post(question, {**old, **ALLOW_ALL})

    assert refused.status_code == 409
    assert "Control what is playing" in refused.content.decode()
    assert_untouched()


@pytest.mark.threat("L40")
@pytest.mark.parametrize("made_up", [{}, {"shown": ""}, {"shown": "0" * 64}, {"shown": "é"}])
def test_an_answer_without_what_the_person_was_shown_grants_nothing(
    browser: Client, question: str, made_up: dict[str, str], assert_untouched: Callable[[], None]
) -> None:
    assert browser.post(question, {**made_up, **ALLOW_ALL}).status_code == 409

    assert_untouched()


def test_a_no_needs_no_page(browser: Client, question: str) -> None:
    browser.post(question, {"answer": "deny"})

    assert Link.objects.get().incoming_state == "denied"


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_only_a_post_answers_the_question(
    browser: Client, question: str, method: str, assert_untouched: Callable[[], None]
) -> None:
    path = f"{question}?answer=allow&scopes=profile"

    assert getattr(browser, method)(path).status_code in (200, 405)

    assert_untouched()


@pytest.mark.draft("User Consent")
@pytest.mark.threat("L13")
def test_another_site_cannot_answer_for_a_person(
    user: Any, question: str, assert_untouched: Callable[[], None]
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    for answer in (ALLOW_ALL, {"answer": "deny"}):
        assert browser.post(question, answer).status_code == 403
    assert_untouched()

    fill_in(browser, question, ALLOW_ALL)
    assert Link.objects.get().incoming_state == "granted"


def test_a_peer_that_was_switched_off_meanwhile_gets_nothing(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    Peer.objects.update(enabled=False)

    for response in (browser.get(question), fill_in(browser, question, ALLOW_ALL)):
        assert response.status_code == 302
    assert_untouched()


@pytest.mark.draft("User Consent")
@pytest.mark.threat("S1")
def test_a_peer_that_may_hold_less_meanwhile_is_granted_no_more_than_that(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    page = browser.get(question)
    Peer.objects.update(allowed_scope="profile")

    refused = browser.post(question, {**hidden_fields(page), **ALLOW_ALL})

    assert refused.status_code == 409
    assert refused.content.decode().count('type="checkbox"') == 1
    assert_untouched()
    fill_in(browser, question, {"answer": "allow", "scopes": ["profile"]})
    assert Link.objects.get().incoming_scope == "profile"


@pytest.mark.threat("S1")
def test_a_scope_that_the_site_gave_up_meanwhile_is_not_granted(
    browser: Client, question: str, settings: Settings, assert_untouched: Callable[[], None]
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"history": "History"}}

    assert browser.get(question).status_code == 302
    assert fill_in(browser, question, ALLOW_ALL).status_code == 302
    assert_untouched()


def test_a_link_that_has_ended_cannot_be_granted_anything(browser: Client, question: str) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    fill_in(browser, question, ALLOW_ALL)

    assert Link.objects.get().incoming_scope == ""
    assert not OutboxItem.objects.exists()


def test_without_working_access_there_is_no_way_to_deliver_and_no_question(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    Link.objects.update(outgoing_state=Link.Outgoing.BROKEN)
    fill_in(browser, question, ALLOW_ALL)
    Link.objects.update(outgoing_state=Link.Outgoing.ACTIVE)

    assert_untouched()
