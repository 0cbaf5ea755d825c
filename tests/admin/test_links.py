"""Links in the admin: the page of one, and how they are ended."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from reciprocal_oauth.admin.links import LinkAdmin
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import InboxItem, Link, OutboxItem

from ..conftest import always_had
from .conftest import admin_url, text_of
from .peer_pages import messages_of


def test_it_draws_the_steps_of_the_link(admin: Client, full_link: Link) -> None:
    page = text_of(admin.get(admin_url(Link, "change", full_link.pk)))

    assert 'data-drawn="E" data-state="done"' in page
    assert 'data-drawn="F" data-state="failed"' in page
    assert "reciprocal_oauth/admin.css" in page


def test_its_page_leads_to_its_hand_overs_those_who_may_see_them(
    staff: Callable[..., Client], full_link: Link
) -> None:
    page = admin_url(Link, "change", full_link.pk)
    sent, received = (admin_url(each, "changelist") for each in (OutboxItem, InboxItem))

    text = text_of(staff("view_link", "view_outboxitem").get(page))

    assert f'href="{sent}?q={full_link.pk}"' in text
    assert received not in text


# Ending them


def disconnect(client: Client, *links: Link, **sent: str) -> Any:
    chosen = {"action": "disconnect", "_selected_action": [link.pk for link in links]}
    return client.post(admin_url(Link, "changelist"), {**chosen, **sent}, follow=True)


def is_active(link: Link) -> bool:
    return Link.objects.get(pk=link.pk).is_active


def test_a_link_is_ended_after_a_question(admin: Client, full_link: Link) -> None:
    question = disconnect(admin, full_link)

    assert "alice – Music" in text_of(question)
    assert f'<li><a href="{admin_url(Link, "changelist")}">Links</a></li>' in text_of(question)
    assert is_active(full_link)

    assert messages_of(disconnect(admin, full_link, sure="yes")) == ["1 link was ended."]
    assert not is_active(full_link)
    assert LogEntry.objects.get().get_change_message() == "Disconnected."
    assert OutboxItem.objects.filter(kind=OutboxItem.Kind.REVOCATION, link=full_link).count() == 2


@pytest.mark.parametrize("endpoint", ["https://music.example/revoke/", ""])
def test_the_question_says_where_nothing_will_be_revoked(
    admin: Client, full_link: Link, endpoint: str
) -> None:
    always_had(revocation_endpoint=endpoint)

    assert ("cannot be revoked" in text_of(disconnect(admin, full_link))) is (not endpoint)


def test_the_page_of_a_link_offers_it_until_it_has_ended(admin: Client, full_link: Link) -> None:
    page = admin_url(Link, "change", full_link.pk)
    assert "Disconnect</button>" in text_of(admin.get(page))

    disconnect(admin, full_link, sure="yes")

    assert "Disconnect</button>" not in text_of(admin.get(page))
    assert messages_of(disconnect(admin, full_link)) == ["The selected links have already ended."]


@pytest.mark.threat("W7")
def test_ending_needs_the_permission_and_post(
    staff: Callable[..., Client], admin: Client, full_link: Link
) -> None:
    looks_only = staff("view_link")
    page = admin_url(Link, "change", full_link.pk)

    assert "Disconnect</button>" not in text_of(looks_only.get(page))
    disconnect(looks_only, full_link, sure="yes")
    asked = {"action": "disconnect", "_selected_action": full_link.pk, "sure": "yes"}
    admin.get(admin_url(Link, "changelist"), asked)

    assert is_active(full_link)


def test_who_may_change_links_may_end_them(staff: Callable[..., Client], full_link: Link) -> None:
    disconnect(staff("view_link", "change_link"), full_link, sure="yes")

    assert not is_active(full_link)


def test_only_so_many_at_once(
    admin: Client, full_link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LinkAdmin, "max_rows", 0)

    said = messages_of(disconnect(admin, full_link, sure="yes"))

    assert said == ["Select at most 0 rows at once."]
    assert is_active(full_link)


def test_the_history_says_in_words_how_a_link_ended(admin: Client, full_link: Link) -> None:
    lifecycle.end_link(full_link, Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    page = admin.get(admin_url(Link, "change", full_link.pk)).content.decode()

    assert str(Link.Reason.REVOKED_HERE.label) in page
    assert "revoked_here" not in page
