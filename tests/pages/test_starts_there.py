"""Peers at which people start: Google, and vendors that send no codes. This site offers no
"Connect" for them, and says what is true about their links."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.models import AuthorizationRequest, InboxItem, Link, Peer
from reciprocal_oauth.models.binding import binding_of
from reciprocal_oauth.party_a import consent, scope_changes
from reciprocal_oauth.party_b.link_opening import open_link
from reciprocal_oauth.presentation import flow_diagram
from reciprocal_oauth.presentation.link_status import LinkStatus
from reciprocal_oauth.presentation.next_step import NextStep
from reciprocal_oauth.secret import Secret

pytestmark = pytest.mark.django_db

NO_CLIENT: dict[str, Any] = {
    "authorization_endpoint": "",
    "token_endpoint": "",
    "client_id": "",
    "client_secret": Secret(""),
    "homepage": "https://vendor.example/",
}


@pytest.fixture
def google(make_peer: Callable[..., Peer]) -> Peer:
    """Google, which sends codes."""
    values = {"authorization_endpoint": "", "homepage": "https://vendor.example/"}
    return make_peer("google", dialect="google", **values)


@pytest.fixture
def yandex(make_peer: Callable[..., Peer]) -> Peer:
    return make_peer("yandex", dialect="yandex", **NO_CLIENT)


@pytest.fixture(params=["google", "yandex"])
def vendor(request: pytest.FixtureRequest) -> Peer:
    found: Peer = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def open_for(user: Any, make_token: Callable[..., Any]) -> Callable[[Peer], Link]:
    """Alice links her account at the vendor, where she starts."""

    def link(peer: Peer) -> Link:
        token = make_token(peer.application, user, "profile playback")
        return open_link(peer, user.pk, "profile playback", token.family)

    return link


def give_access(link: Link) -> Link:
    """As if the vendor's code was redeemed."""
    link.outgoing_state, link.access_token = Link.Outgoing.ACTIVE, Secret("token-of-google")
    link.bound_to = binding_of(link.peer)
    link.save()
    return link


def text_of(response: Any) -> str:
    return str(response.content.decode())


# Connect


def test_the_list_does_not_offer_it(browser: Client, vendor: Peer) -> None:
    page = text_of(browser.get("/connections/"))

    assert f'data-peer="{vendor.slug}"' not in page
    assert f"/connections/{vendor.slug}/connect/" not in page


def test_a_post_to_connect_is_refused_with_a_page(browser: Client, vendor: Peer) -> None:
    response = browser.post(f"/connections/{vendor.slug}/connect/")

    assert response.status_code == 409
    assert f"{vendor.name} cannot be connected from this site" in text_of(response)
    assert 'href="https://vendor.example/"' in text_of(response)
    assert not AuthorizationRequest.objects.exists()


def test_a_visit_that_failed_earlier_offers_no_second_try(
    browser: Client, user: Any, google: Peer
) -> None:
    visit = AuthorizationRequest.objects.create(
        user=user, peer=google, problem="denied", redirect_uri="https://x.example/", state_hash="x"
    )

    page = text_of(browser.get(f"/connections/?attempt={visit.pk}"))

    assert "Google was not connected" in page
    assert "/google/connect/" not in page


# What is said about a link


def test_a_link_that_gets_no_access_waits_for_nothing(
    browser: Client, yandex: Peer, open_for: Callable[[Peer], Link]
) -> None:
    link = open_for(yandex)

    status = LinkStatus(link)
    page = text_of(browser.get(f"/connections/links/{link.pk}/"))

    assert (status.tone, status.state) == ("good", "Connected one way")
    assert status.outgoing.tone == "off"
    assert status.outgoing.state == "Nothing: Yandex does not give this site access"
    assert status.next_step == NextStep.NOTHING
    assert "aiting for" not in page
    assert 'data-under-way="no"' in page


def test_google_without_a_client_id_of_this_site_sends_no_codes(
    make_peer: Callable[..., Peer], open_for: Callable[[Peer], Link]
) -> None:
    link = open_for(make_peer("google", dialect="google", **NO_CLIENT))

    assert LinkStatus(link).state == "Connected one way"


def test_the_diagram_of_such_a_link_has_no_reverse_direction(
    yandex: Peer, open_for: Callable[[Peer], Link]
) -> None:
    diagram = flow_diagram.of_link(open_for(yandex))

    assert diagram is not None
    assert [step.letter for step in diagram.steps] == ["A", "B", "C", "D"]
    assert {step.state for step in diagram.steps} == {"done"}
    assert not diagram.is_under_way


def test_google_may_still_send_its_code(google: Peer, open_for: Callable[[Peer], Link]) -> None:
    link = open_for(google)

    status = LinkStatus(link)
    diagram = flow_diagram.of_link(link)

    assert status.outgoing.state == "Nothing yet: waiting for your approval at Google"
    assert status.next_step == NextStep.VISIT
    assert diagram is not None
    assert diagram.is_under_way


def test_a_google_link_works_both_ways(
    browser: Client, google: Peer, open_for: Callable[[Peer], Link], admin_client: Client
) -> None:
    link = give_access(open_for(google))

    assert LinkStatus(link).state == "Connected both ways"
    assert "Connected both ways" in text_of(browser.get("/connections/"))
    assert "one way only" not in text_of(admin_client.get("/admin/reciprocal_oauth/peer/"))
    change = admin_client.get(f"/admin/reciprocal_oauth/peer/{google.pk}/change/")
    assert not list(change.context["messages"])


def test_the_admin_says_that_a_vendor_gives_no_access(
    yandex: Peer, open_for: Callable[[Peer], Link], admin_client: Client
) -> None:
    link = open_for(yandex)

    for page in ("", f"{link.pk}/change/"):
        shown = text_of(admin_client.get(f"/admin/reciprocal_oauth/link/{page}"))
        assert "none: this kind of peer gives no access" in shown
    assert "one way only" in text_of(admin_client.get("/admin/reciprocal_oauth/peer/"))


BROKEN: list[dict[str, Any]] = [
    {"outgoing_state": "broken", "outgoing_reason": "refresh_refused"},
    {"incoming_state": "broken", "incoming_reason": "expired"},
    {"status": "ended", "outgoing_state": "ended", "incoming_state": "ended"},
]


@pytest.mark.parametrize("homepage", ["https://vendor.example/", ""], ids=["homepage", "none"])
@pytest.mark.parametrize("state", BROKEN, ids=lambda state: "-".join(state.values()))
def test_nothing_tells_to_connect_again_here(
    browser: Client,
    google: Peer,
    open_for: Callable[[Peer], Link],
    state: dict[str, Any],
    homepage: str,
) -> None:
    Peer.objects.update(homepage=homepage)
    link = give_access(open_for(google))
    Link.objects.update(account_key="unknown", **state)
    link = Link.objects.get()

    status = LinkStatus(link)
    pages = text_of(browser.get("/connections/")) + text_of(
        browser.get(f"/connections/links/{link.pk}/")
    )

    assert status.next_step == NextStep.VISIT
    assert ("Go to Google and connect again there." in pages) == link.is_active
    assert ('class="ro-button" href="https://vendor.example/"' in pages) == bool(homepage)
    assert "/google/connect/" not in pages
    assert "start-over" not in pages
    assert 'href=""' not in pages


def test_the_page_that_ends_the_link_says_where_to_start_again(
    browser: Client, google: Peer, open_for: Callable[[Peer], Link]
) -> None:
    link = open_for(google)
    page = f"/connections/links/{link.pk}/disconnect/?start-over"

    asked = text_of(browser.get(page))
    ended = text_of(browser.post(page, follow=True))

    assert "You can connect again at any time, starting at Google." in asked
    assert "Google is disconnected" in ended
    assert "/google/connect/" not in ended


# Consent and changes of scopes


def test_the_person_can_take_scopes_back_and_not_add_any(
    browser: Client, google: Peer, open_for: Callable[[Peer], Link]
) -> None:
    link = give_access(open_for(google))

    page = browser.get(f"/connections/links/{link.pk}/scopes/")
    assert "To allow more,</strong> connect again at Google." in text_of(page)
    assert "What you tick" not in text_of(page)
    scope_changes.change(link, ["profile"])

    link.refresh_from_db()
    assert (link.incoming_scope, link.incoming_state) == ("profile", "active")
    assert LinkStatus(link).in_force == "profile"
    assert [name for name, _words in scope_changes.choices(link)] == ["profile"]
    with pytest.raises(scope_changes.CannotChange):
        scope_changes.change(link, ["profile", "playback"])
    assert not link.outbox.exists()


def test_google_is_never_asked_about(google: Peer, open_for: Callable[[Peer], Link]) -> None:
    link = give_access(open_for(google))
    Link.objects.update(incoming_state="offered", offered_scope="profile")
    link.refresh_from_db()

    assert not consent.can_answer(link)


def test_a_code_of_google_that_failed_is_told(
    google: Peer, open_for: Callable[[Peer], Link]
) -> None:
    link = open_for(google)
    InboxItem.objects.create(
        peer=google, link=link, code=Secret("c"), code_hash="c", state="failed",
        reason="code_refused", finished_at=timezone.now(),
    )  # fmt: skip

    assert LinkStatus(link).outgoing.state == "Not working"
