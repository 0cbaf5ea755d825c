"""How long a peer asks us to wait: seconds or an HTTP date, and nothing that could hurt us."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from reciprocal_oauth.client import retry_after

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
A_DAY = 24 * 3600.0

TABLE = [
    ("120", 120.0),
    (" 120 ", 120.0),
    ("0", 0.0),
    ("0000000000120", 120.0),
    ("86401", A_DAY),
    ("9" * 400, A_DAY),
    ("9" * 5000, A_DAY),
    ("Mon, 23 Nov 2026 12:02:00 GMT", 120.0),
    ("Monday, 23-Nov-26 12:02:00 GMT", 120.0),
    ("Mon Nov 23 12:02:00 2026", 120.0),
    ("Mon, 23 Nov 2026 11:59:00 GMT", 0.0),
    ("Fri, 31 Dec 9999 23:59:59 GMT", A_DAY),
    ("Fri, 31 Dec 9999 23:59:59 -2359", A_DAY),
    (None, None),
    ("", None),
    ("-5", None),
    ("+120", None),
    ("1e3", None),
    ("1.5", None),
    ("soon", None),
    ("120 seconds", None),
    ("120, 130", None),
    ("²", None),
    ("١٢٠", None),
    ("Mon, 99 Foo 2026 99:99:99 GMT", None),
    ("Mon, 23 Nov 2026 12:02:00 +99999999", None),
]


@pytest.mark.rfc("9110", "10.2.3")
@pytest.mark.threat("R4")
@pytest.mark.parametrize(("header", "seconds"), TABLE)
def test_what_a_header_means(header: str | None, seconds: float | None) -> None:
    assert retry_after.seconds(header, NOON) == seconds


@pytest.mark.threat("R4")
@hypothesis_settings(deadline=None)
@given(st.text(st.characters(max_codepoint=255)))
def test_no_header_makes_us_fail_or_wait_for_more_than_a_day(header: str) -> None:
    seconds = retry_after.seconds(header, NOON)

    assert seconds is None or 0 <= seconds <= A_DAY


def test_a_date_is_understood_where_the_site_uses_local_times(settings: Settings) -> None:
    settings.USE_TZ = False
    settings.TIME_ZONE = "Europe/Berlin"
    one_o_clock_in_berlin = datetime(2026, 11, 23, 13, 0)  # noqa: DTZ001

    assert retry_after.seconds("Mon, 23 Nov 2026 12:02:00 GMT", one_o_clock_in_berlin) == 120.0
