"""Answers to the question of consent that are not taken: from others, forged, or overtaken."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import Link, OutboxItem, Peer

from .visits import ALLOW_ALL


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

    responses = [browser.get(question), browser.post(question, answer)]

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
    response = browser.post(question, {"answer": "allow", "scopes": scopes})

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

    response = browser.post(question, {"answer": "allow", "scopes": ["history"]})

    assert response.status_code == 400
    assert_untouched()


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

    browser.get(question)
    token = browser.cookies["csrftoken"].value
    browser.post(question, {**ALLOW_ALL, "csrfmiddlewaretoken": token})
    assert Link.objects.get().incoming_state == "granted"


def test_a_peer_that_was_switched_off_meanwhile_gets_nothing(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    Peer.objects.update(enabled=False)

    for response in (browser.get(question), browser.post(question, ALLOW_ALL)):
        assert response.status_code == 302
    assert_untouched()


@pytest.mark.draft("User Consent")
@pytest.mark.threat("S1")
def test_a_peer_that_may_hold_less_meanwhile_is_granted_no_more_than_that(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    browser.get(question)
    Peer.objects.update(allowed_scope="profile")

    refused = browser.post(question, ALLOW_ALL)

    assert refused.status_code == 400
    assert refused.content.decode().count('type="checkbox"') == 1
    assert_untouched()
    browser.post(question, {"answer": "allow", "scopes": ["profile"]})
    assert Link.objects.get().incoming_scope == "profile"


@pytest.mark.threat("S1")
def test_a_scope_that_the_site_gave_up_meanwhile_is_not_granted(
    browser: Client, question: str, settings: Settings, assert_untouched: Callable[[], None]
) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"history": "History"}}

    assert browser.get(question).status_code == 302
    assert browser.post(question, ALLOW_ALL).status_code == 302
    assert_untouched()


def test_a_link_that_has_ended_cannot_be_granted_anything(browser: Client, question: str) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    browser.post(question, ALLOW_ALL)

    assert Link.objects.get().incoming_scope == ""
    assert not OutboxItem.objects.exists()


def test_without_working_access_there_is_no_way_to_deliver_and_no_question(
    browser: Client, question: str, assert_untouched: Callable[[], None]
) -> None:
    Link.objects.update(outgoing_state=Link.Outgoing.BROKEN)
    browser.post(question, ALLOW_ALL)
    Link.objects.update(outgoing_state=Link.Outgoing.ACTIVE)

    assert_untouched()
