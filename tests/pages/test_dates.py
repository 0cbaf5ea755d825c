"""All times on the pages have one form, which names the time zone."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone, translation
from pytest_django import Settings

from reciprocal_oauth.models import Link, LinkEvent
from reciprocal_oauth.presentation.dates import exact_moment, moment

#: With the settings of the tests: the zone is Europe/Berlin.
AT = datetime(2026, 7, 14, 21, 5, 6, 789_000, tzinfo=UTC)
FORM = re.compile(
    r'<time class="ro-time" datetime="2026-07-14T23:05:06\.789\+02:00" '
    r'data-precision="(minute|millisecond)" dir="auto">'
    r"July 14, 2026, (11:05 p\.m\.|23:05:06\.789) CEST</time>"
)


def test_a_time_is_in_the_current_time_zone_and_names_it() -> None:
    assert str(moment(AT)) == (
        '<time class="ro-time" datetime="2026-07-14T23:05:06.789+02:00" data-precision="minute" '
        'dir="auto">July 14, 2026, 11:05 p.m. CEST</time>'
    )
    with timezone.override("UTC"):
        assert ">July 14, 2026, 9:05 p.m. UTC<" in moment(AT)
    with translation.override("de"):
        assert ">14. Juli 2026 23:05 CEST<" in moment(AT)


def test_the_steps_have_milliseconds() -> None:
    assert ">July 14, 2026, 23:05:06.789 CEST<" in exact_moment(AT)


@pytest.mark.parametrize(
    ("zone", "name"),
    [("America/Sao_Paulo", "UTC-03"), ("Asia/Kathmandu", "UTC+05:45"), ("Asia/Kolkata", "IST")],
)
def test_a_zone_that_has_only_a_number_is_told_as_a_difference_to_utc(zone: str, name: str) -> None:
    with timezone.override(zone):
        assert f" {name}</time>" in moment(AT)


def test_without_aware_times_the_zone_is_that_of_the_site(settings: Settings) -> None:
    settings.USE_TZ = False

    assert FORM.fullmatch(moment(timezone.localtime(AT).replace(tzinfo=None)))


@pytest.mark.parametrize(
    "page", ["", "links/{}/", "links/{}/consent/", "links/{}/scopes/", "links/{}/disconnect/"]
)
@pytest.mark.parametrize("incoming", [Link.Incoming.OFFERED, Link.Incoming.ACTIVE])
def test_every_page_has_the_same_form(
    browser: Client, link_as_a: Link, page: str, incoming: str
) -> None:
    known = {"created_at": AT, "linked_at": AT, "last_used_at": AT}
    both = {"incoming_state": incoming, "incoming_scope": "profile", "outgoing_state": "active"}
    Link.objects.update(**known, **both, generation=1, confirmed_generation=1)
    LinkEvent.objects.update(at=AT)

    response = browser.get("/connections/" + page.format(link_as_a.pk))

    if response.status_code == 302:  # Each of the two forms belongs to one of the two states.
        assert page in ("links/{}/consent/", "links/{}/scopes/")
        return
    times = re.findall("<time.*?</time>", response.content.decode())
    assert times
    assert all(FORM.fullmatch(each) for each in times), times


def test_a_link_that_was_never_used_says_so(
    browser: Client, token_of_a: Any, hand_over: Callable[..., Any]
) -> None:
    Link.objects.update(last_used_at=None, incoming_state=Link.Incoming.ACTIVE)
    assert "Music has not used it yet" in browser.get("/connections/").content.decode()

    Link.objects.update(last_used_at=AT if timezone.is_aware(timezone.now()) else None)
    page = browser.get("/connections/").content.decode()
    assert "Music has not used it yet" not in page
    assert f"Last used by Music on {moment(AT)}" in page
