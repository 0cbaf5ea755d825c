"""A person changes what the peer may do here."""

from typing import Any

import pytest
from django.test import Client
from oauth2_provider.models import get_refresh_token_model
from pytest_django import Settings

from reciprocal_oauth.models import Link, OutboxItem, Peer

from ..columns import columns_of
from ..fakes import FakePeer
from ..party_a.visits import call_api, fill_in, link_both_ways
from .looks import Tags


@pytest.fixture
def link(browser: Client, fake_peer: FakePeer, application: Any) -> Link:
    """A link that works both ways; the peer has all scopes that it can have."""
    link_both_ways(browser, fake_peer, application)
    return Link.objects.get()


def page_of(link: Link) -> str:
    return f"/connections/links/{link.pk}/scopes/"


def boxes(response: Any) -> dict[str | None, bool]:
    """Return each checkbox of the page, and whether it is ticked."""
    inputs = Tags(response).named("input")
    return {i["value"]: "checked" in i for i in inputs if i["type"] == "checkbox"}


def form_of(browser: Client, link: Link) -> dict[str, Any]:
    """Return the hidden field of the form on the page."""
    inputs = Tags(browser.get(page_of(link))).named("input")
    return {str(i["name"]): i["value"] for i in inputs if i["type"] == "hidden"}


def save(browser: Client, link: Link, *ticked: str) -> Any:
    """Open the page, tick only these boxes, and save."""
    return browser.post(page_of(link), {**form_of(browser, link), "scopes": ticked})


def test_all_that_the_peer_may_hold_is_shown_and_ticked_as_it_is_now(
    browser: Client, link: Link
) -> None:
    Link.objects.update(incoming_scope="profile")

    response = browser.get(page_of(link))

    assert boxes(response) == {"profile": True, "playback": False}
    assert "Control what is playing" in response.content.decode()


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S4")
def test_an_unticked_scope_ends_and_the_peer_is_told(browser: Client, link: Link) -> None:
    response = save(browser, link, "profile")

    assert response["Location"] == f"/connections/links/{link.pk}/"
    link.refresh_from_db()
    assert (link.incoming_scope, link.incoming_state) == ("profile", Link.Incoming.GRANTED)
    assert link.outbox.filter(state=OutboxItem.State.PENDING).count() == 1


def test_saving_without_a_change_changes_nothing(browser: Client, link: Link) -> None:
    """This includes scopes that the page does not offer."""
    Link.objects.update(incoming_scope="openid profile")
    before = Link.objects.get().generation

    save(browser, link, "profile")

    link.refresh_from_db()
    assert (link.incoming_scope, link.generation) == ("openid profile", before)


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S8")
def test_nothing_ticked_asks_before_the_connection_ends(
    browser: Client, fake_peer: FakePeer, application: Any
) -> None:
    token = link_both_ways(browser, fake_peer, application)["access_token"]
    link = Link.objects.get()

    question = save(browser, link)["Location"]

    assert call_api(token) == 200
    assert "Nothing has been changed yet." in browser.get(question).content.decode()
    browser.post(question)
    assert call_api(token) == 403  # As DOT says "no valid token".
    link.refresh_from_db()
    assert not link.is_active


@pytest.mark.threat("L10")
@pytest.mark.parametrize("sent", [["history"], ["profile", "unknown"], ["profile", "profile"]])
def test_what_was_not_on_the_page_is_refused_and_the_error_has_the_focus(
    browser: Client, link: Link, sent: list[str]
) -> None:
    before = columns_of(Link.objects.get())

    response = browser.post(page_of(link), {**form_of(browser, link), "scopes": sent})

    assert response.status_code == 400
    [error] = [tag for tag in Tags(response).named("div") if tag.get("role") == "alert"]
    assert "autofocus" in error
    assert error["tabindex"] == "-1"
    assert columns_of(Link.objects.get()) == before


@pytest.mark.threat("S4")
def test_a_page_that_is_out_of_date_allows_nothing_again(browser: Client, link: Link) -> None:
    old = form_of(browser, link)
    Link.objects.update(incoming_scope="profile")
    before = columns_of(Link.objects.get())

    response = browser.post(page_of(link), {**old, "scopes": ["profile", "playback"]})

    assert response.status_code == 409
    assert "This has changed in the meantime. Please check it again." in response.content.decode()
    assert boxes(response) == {"profile": True, "playback": False}
    assert columns_of(Link.objects.get()) == before
    hidden = {i["name"]: i["value"] for i in Tags(response).named("input") if i["type"] == "hidden"}
    assert browser.post(page_of(link), {**hidden, "scopes": ["playback"]}).status_code == 302
    link.refresh_from_db()
    assert link.incoming_scope == "playback"


@pytest.mark.threat("S4")
@pytest.mark.django_db(transaction=True)
def test_who_has_revoked_the_tokens_gives_none_back_by_unticking(
    browser: Client, link: Link
) -> None:
    old = form_of(browser, link)
    for token in get_refresh_token_model().objects.all():
        token.revoke()

    response = browser.post(page_of(link), {**old, "scopes": ["profile"]})

    assert response["Location"] == f"/connections/links/{link.pk}/"
    assert "Allow it again" in browser.get(response["Location"]).content.decode()
    link.refresh_from_db()
    assert (link.incoming_state, link.incoming_reason) == ("broken", Link.Reason.REVOKED_HERE)
    assert not link.outbox.filter(state__in=OutboxItem.LIVE_STATES).exists()

    fill_in(browser, f"/connections/links/{link.pk}/consent/", {"scopes": ["profile"]})
    link.refresh_from_db()
    assert (link.incoming_scope, link.incoming_state) == ("profile", Link.Incoming.GRANTED)


@pytest.mark.threat("S4")
@pytest.mark.parametrize("made_up", [{}, {"shown": ""}, {"shown": "0" * 64}, {"shown": "é"}])
def test_what_was_shown_is_not_for_the_browser_to_make_up(
    browser: Client, link: Link, made_up: dict[str, str]
) -> None:
    response = browser.post(page_of(link), {**made_up, "scopes": ["profile"]})

    assert response.status_code == 409
    link.refresh_from_db()
    assert set(link.incoming_scope.split()) == {"profile", "playback"}


def test_what_a_change_cannot_keep_is_said_before(
    browser: Client, link: Link, settings: Settings
) -> None:
    scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], "openid": "Know which account this is"}
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": scopes}
    words = "You cannot choose it here, and it ends with the first change that you save"
    assert words not in browser.get(page_of(link)).content.decode()
    Peer.objects.update(allowed_scope="openid profile playback")
    Link.objects.update(incoming_scope="openid profile")

    page = browser.get(page_of(link)).content.decode()

    assert words in page
    assert "<li>Know which account this is</li>" in page
    save(browser, link, "profile", "playback")
    link.refresh_from_db()
    assert "openid" not in link.incoming_scope


@pytest.mark.parametrize(
    "values",
    [
        {"status": "ended", "incoming_state": "ended"},
        {"incoming_state": "offered"},
        {"incoming_state": "denied"},
        {"incoming_state": "broken", "incoming_reason": "revoked_here"},
        {"incoming_state": "broken", "incoming_reason": "expired"},
    ],
)
def test_where_nothing_can_be_changed_the_page_leads_back_and_nothing_leads_to_it(
    browser: Client, link: Link, values: dict[str, str]
) -> None:
    Link.objects.update(**values)
    shown = f"/connections/links/{link.pk}/"

    for response in (browser.get(page_of(link)), browser.post(page_of(link))):
        assert response["Location"] == shown
    for page in (shown, "/connections/"):
        assert page_of(link) not in browser.get(page).content.decode()


def test_list_and_link_lead_to_the_page(browser: Client, link: Link) -> None:
    for page in ("/connections/", f"/connections/links/{link.pk}/"):
        assert page_of(link) in browser.get(page).content.decode()


@pytest.mark.threat("L9")
def test_the_page_of_another_person_does_not_exist(link: Link, other_user: Any) -> None:
    stranger = Client()
    stranger.force_login(other_user)

    assert stranger.get(page_of(link)).status_code == 404
    assert stranger.post(page_of(link), {"scopes": ["profile"]}).status_code == 404
    link.refresh_from_db()
    assert set(link.incoming_scope.split()) == {"profile", "playback"}


@pytest.mark.threat("L13")
@pytest.mark.parametrize("method", ["get", "head", "put", "patch", "delete"])
def test_only_a_post_from_the_page_changes_anything(user: Any, link: Link, method: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(user)
    before = columns_of(Link.objects.get())

    getattr(strict, method)(f"{page_of(link)}?scopes=profile")
    assert strict.post(page_of(link), {"scopes": ["profile"]}).status_code == 403

    assert columns_of(Link.objects.get()) == before
