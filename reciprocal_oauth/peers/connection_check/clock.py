"""Compares the clock of the peer with the clock of this site.

The time of the peer is in the header ``Date`` of its responses (RFC 9110, section 6.6.1), in whole
seconds. No request is sent only for this check.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from django.utils import timezone
from django.utils.translation import gettext

from ...client.id_token import CLOCK_SKEW_SECONDS
from ...core import scopes
from ...core.local_time import local_time
from ...core.protocol import OPENID
from ...models import Peer
from ..findings import Result, State

#: A smaller difference, in seconds, is no problem anywhere.
_HARMLESS = 30


class Clock:
    """Reads the time of the peer from its responses."""

    def __init__(self) -> None:
        self._ahead: float | None = None

    def read(self, headers: Mapping[str, str], sent_at: datetime) -> None:
        """Read the time in the headers of a response that arrived just now.

        The peer wrote the time between the request and the response. So only a time before or after
        that shows a difference. A response from a cache (with ``Age``) shows nothing.

        :param sent_at: when this site sent the request.
        """
        try:
            there = parsedate_to_datetime(headers.get("Date", ""))
        except (TypeError, ValueError, OverflowError):
            return
        if "Age" in headers:
            return
        if there.tzinfo is None:
            there = there.replace(tzinfo=UTC)
        here = (local_time(sent_at) - timedelta(seconds=1), local_time(timezone.now()))
        ahead = max(there - here[1], timedelta()) - max(here[0] - there, timedelta())
        seconds = ahead.total_seconds()
        if self._ahead is None or abs(seconds) < abs(self._ahead):
            self._ahead = seconds

    def check(self, peer: Peer) -> Result:
        """Return the result of the check that the clocks agree. If they do not, signed values are
        refused: assertions (RFC 7523, section 3) and ID tokens (OpenID Connect Core 1.0, section
        3.1.3.7)."""
        if self._ahead is None:
            return State.UNKNOWN, gettext("No response of the peer says what time it is there.")
        seconds = round(abs(self._ahead))
        if seconds <= _HARMLESS:
            text = gettext("They differ by at most %(seconds)d seconds.")
            return State.PASSED, text % {"seconds": _HARMLESS}
        if self._ahead > 0:
            text = gettext("The clock of the peer is %(seconds)d seconds ahead of the clock here.")
        else:
            text = gettext("The clock of the peer is %(seconds)d seconds behind the clock here.")
        reason = text % {"seconds": seconds}
        signs = peer.signs_assertions or peer.uses_key_here
        reads = OPENID in scopes.split(peer.scope) and seconds > CLOCK_SKEW_SECONDS
        if signs or reads:
            return State.FAILED, reason + " " + gettext(
                "So what one site signs is refused by the other. Set the clocks of both sites by "
                "NTP."
            )
        return State.ADVICE, reason + " " + gettext("Set the clocks of both sites by NTP.")
