"""Links, hand-overs, codes and history: found and looked at, never touched."""

import html
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reciprocal_oauth.models import (
    AuthorizationRequest,
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    ReciprocalCode,
)

from .conftest import LOOKED_AT, admin_url, text_of

ALL = pytest.mark.parametrize("model", LOOKED_AT)


@ALL
def test_the_pages(admin: Client, full_link: Link, model: Any) -> None:
    assert admin.get(admin_url(model, "changelist")).status_code == 200
    for row in model.objects.all():
        for page in ("change", "history"):
            assert admin.get(admin_url(model, page, row.pk)).status_code == 200


def test_the_page_of_a_link_is_named_after_the_user_and_the_peer(
    admin: Client, full_link: Link
) -> None:
    text = text_of(admin.get(admin_url(Link, "change", full_link.pk)))

    assert "<h2>alice – Music</h2>" in text
    assert "How many decisions of the user this site had to send to the peer" in text


def test_the_history_of_a_link_has_no_line_above_each_row(admin: Client, full_link: Link) -> None:
    text = text_of(admin.get(admin_url(Link, "change", full_link.pk)))

    assert '<fieldset class="module ro-read-only"' in text
    assert 'href="/static/reciprocal_oauth/admin.css"' in text
    assert finders.find("reciprocal_oauth/admin.css")


@ALL
@pytest.mark.threat("W7")
def test_nothing_can_be_added_changed_or_deleted(
    admin: Client, full_link: Link, model: Any
) -> None:
    row = model.objects.first()
    count = model.objects.count()

    assert admin.get(admin_url(model, "add")).status_code == 403
    assert admin.post(admin_url(model, "add"), {}).status_code == 403
    assert admin.post(admin_url(model, "change", row.pk), {"state": "done"}).status_code == 403
    assert admin.post(admin_url(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    admin.post(
        admin_url(model, "changelist"),
        {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"},
    )

    assert model.objects.count() == count
    text = text_of(admin.get(admin_url(model, "change", row.pk)))
    assert 'name="_save"' not in text
    assert "deletelink" not in text


@ALL
@pytest.mark.threat("W7")
def test_without_permission(staff: Callable[..., Client], full_link: Link, model: Any) -> None:
    row = model.objects.first()
    client = staff("view_user")

    assert client.get(admin_url(model, "changelist")).status_code == 403
    assert client.get(admin_url(model, "change", row.pk)).status_code == 403


def test_a_user_can_still_be_deleted(admin: Client, full_link: Link, user: Any) -> None:
    """Django asks every row that goes with the user."""
    url = reverse("admin:auth_user_delete", args=[user.pk])

    assert f'Link: <a href="{admin_url(Link, "change", full_link.pk)}">' in text_of(admin.get(url))
    assert admin.post(url, {"post": "yes"}).status_code == 302

    assert not get_user_model().objects.filter(pk=user.pk).exists()
    assert not Link.objects.exists()


def test_a_user_is_deleted_only_by_who_may_delete_links(
    staff: Callable[..., Client], full_link: Link, user: Any
) -> None:
    client = staff("view_user", "delete_user", "view_link")

    response = client.post(reverse("admin:auth_user_delete", args=[user.pk]), {"post": "yes"})

    assert response.status_code == 403
    assert Link.objects.exists()


@ALL
def test_no_query_per_row(
    admin: Client,
    make_full_link: Callable[..., Link],
    model: Any,
    django_assert_max_num_queries: Any,
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(20) as counted:
            text_of(admin.get(admin_url(model, "changelist")))
        return len(counted)

    def add(number: int) -> None:
        make_full_link(get_user_model().objects.create_user(f"user{number}"), f"subject{number}")

    add(0)
    admin.get(admin_url(model, "changelist"))
    before = queries()
    for number in range(1, 6):
        add(number)

    assert queries() == before


@ALL
@pytest.mark.threat("W7")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("alice", True),
        ("Music", True),
        ("music", True),
        ("{link}", True),
        ("bob", False),
        ("canary-access-token", False),
        ("canary-code", False),
        ("fernet2", False),
        ("{hash}", False),
    ],
)
def test_the_search(admin: Client, full_link: Link, model: Any, query: str, found: bool) -> None:
    code_hash = ReciprocalCode.objects.get().code_hash
    query = query.format(link=full_link.pk, hash=code_hash)

    # The list of attempts shows the failed ones at first, which have no link.
    shown = {"outcome": "all"} if model is AuthorizationRequest else {}
    response = admin.get(admin_url(model, "changelist"), {"q": query, **shown})

    assert (response.context["cl"].result_count > 0) is found


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (Link, "access_token__startswith"),
        (Link, "refresh_token__contains"),
        (OutboxItem, "token__startswith"),
        (OutboxItem, "live_key"),
        (InboxItem, "code__startswith"),
        (InboxItem, "code_hash__startswith"),
        (ReciprocalCode, "code_hash__startswith"),
        (AuthorizationRequest, "state_hash__startswith"),
        (AuthorizationRequest, "browser_hash__startswith"),
        (AuthorizationRequest, "code_verifier__startswith"),
        (AuthorizationRequest, "nonce__startswith"),
        (AuthorizationRequest, "return_to__startswith"),
        (AuthorizationRequest, "bound_to__startswith"),
    ],
)
@pytest.mark.threat("W7")
def test_no_secret_can_be_guessed_by_the_address_of_a_list(
    admin: Client, full_link: Link, model: Any, lookup: str
) -> None:
    assert admin.get(admin_url(model, "changelist"), {lookup: "f"}).status_code == 400


def test_the_page_of_a_link(admin: Client, full_link: Link) -> None:
    text = html.unescape(text_of(admin.get(admin_url(Link, "change", full_link.pk))))

    assert "broken: the other site refused the code" in text
    assert '<div class="readonly">stored</div>' in text
    assert "attempt 1: HTTP 503" in text  # Its history.
    assert f"{timezone.localtime(LinkEvent.objects.get().at):%Y-%m-%d}" in text


def test_a_link_without_tokens(admin: Client, full_link: Link) -> None:
    Link.objects.update(access_token="", refresh_token="", account_name="Alice at Music")

    text = text_of(admin.get(admin_url(Link, "change", full_link.pk)))

    assert text.count('<div class="readonly">none</div>') == 2
    assert "Alice at Music" in text_of(admin.get(admin_url(Link, "changelist")))


def test_a_revocation_whose_link_has_gone(admin: Client, full_link: Link) -> None:
    OutboxItem.objects.update(link=None)

    text_of(admin.get(admin_url(OutboxItem, "changelist")))
    for item in OutboxItem.objects.all():
        text_of(admin.get(admin_url(OutboxItem, "change", item.pk)))


@ALL
def test_without_time_zones(admin: Client, full_link: Link, model: Any, settings: Any) -> None:
    settings.USE_TZ = False

    assert admin.get(admin_url(model, "changelist")).status_code == 200
    assert admin.get(admin_url(model, "change", model.objects.first().pk)).status_code == 200


@ALL
def test_a_search_for_several_words_finds_what_matches_all(
    admin: Client, full_link: Link, model: Any
) -> None:
    def found(query: str) -> int:
        count: int = (
            admin.get(admin_url(model, "changelist"), {"q": query}).context["cl"].result_count
        )
        return count

    assert found("alice Music")
    assert not found("alice Television")


def test_a_search_among_more_people_than_are_put_into_a_query(
    admin: Client, full_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reciprocal_oauth.admin.read_only._MAX_KEYS", 0)

    response = admin.get(admin_url(LinkEvent, "changelist"), {"q": "alice"})

    assert response.context["cl"].result_count == LinkEvent.objects.count() > 0
