"""People read no word of the protocol, except where they have opened the steps."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.shortcuts import render
from django.test import Client, RequestFactory

from reciprocal_oauth.models import Link, Peer

from ..party_a.visits import connect, link_both_ways
from .looks import HTML_PAGES, text_for_people
from .states import CASES, make

PROTOCOL = re.compile(
    r"\b(scopes?|peers?|part(?:y|ies)|grant\w*|hand-?over\w*|hand(?:s|ed)? over|authori[sz]\w*"
    r"|tokens?|codes?|redeem\w*|reverse|clients?|endpoints?)\b",
    re.IGNORECASE,
)


def protocol_words_in(response: Any) -> list[str]:
    return PROTOCOL.findall(text_for_people(response))


@pytest.mark.parametrize("name", CASES)
def test_no_state_of_a_link_is_said_in_words_of_the_protocol(
    browser: Client, user: Any, peer: Peer, name: str
) -> None:
    link = make(CASES[name], user, peer)

    for address in ("", f"links/{link.pk}/", f"links/{link.pk}/disconnect/"):
        assert protocol_words_in(browser.get(f"/connections/{address}")) == [], address


@pytest.mark.parametrize("reason", [reason for reason in Link.Reason.values if reason])
def test_no_reason_is_said_in_words_of_the_protocol(
    browser: Client, user: Any, peer: Peer, reason: str
) -> None:
    link = make(CASES["both ways"], user, peer)
    for broken in ({"incoming": "broken"}, {"outgoing": "broken"}):
        [(side, state)] = broken.items()
        Link.objects.update(**{f"{side}_state": state, f"{side}_reason": reason})

        page = browser.get(f"/connections/links/{link.pk}/")

        assert protocol_words_in(page) == [], side


@pytest.mark.parametrize("name", HTML_PAGES)
def test_no_page_speaks_in_words_of_the_protocol(page: Callable[[str], Any], name: str) -> None:
    assert protocol_words_in(page(name)) == []


def test_the_form_for_changes_speaks_in_plain_words(
    browser: Client, fake_peer: Any, application: Any
) -> None:
    link_both_ways(browser, fake_peer, application)

    assert (
        protocol_words_in(browser.get(f"/connections/links/{Link.objects.get().pk}/scopes/")) == []
    )


@pytest.mark.parametrize(
    "template", ["busy", "not_allowed", "start_there", "callback_refused", "application_protected"]
)
@pytest.mark.parametrize("was_to_change", [True, False])
def test_no_page_about_an_error_speaks_in_words_of_the_protocol(
    peer: Peer, user: Any, rf: RequestFactory, template: str, was_to_change: bool
) -> None:
    request = rf.get("/")
    request.user = user
    context = {"peer": peer, "back": "/back/", "was_to_change": was_to_change}

    response = render(request, f"reciprocal_oauth/{template}.html", context)

    assert protocol_words_in(response) == []


def test_the_words_are_found_where_they_stand(browser: Client, peer: Peer) -> None:
    """Else the tests above would prove nothing."""
    connect(browser)
    response = browser.get(f"/connections/links/{Link.objects.get().pk}/")
    folded = re.search("<details.*</details>", response.content.decode(), re.DOTALL)

    assert folded
    assert {"party", "code"} <= set(PROTOCOL.findall(folded[0]))
