"""The overview page of the admin. It has charts about links and hand-overs (a hand-over sends one
reciprocal code to a peer). Next to each chart is a table with the numbers."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.formats import date_format, number_format
from django.utils.translation import get_language_bidi, gettext

from ..presentation import attempt_remedies
from . import attempt_statistics, bar_charts, statistics
from .bar_charts import Chart
from .peer_states import PeerState, state_in_words
from .statistics import DURATIONS, Overview

#: The chart of peers shows at most this number of peers: the peers with the most pending and failed
#: hand-overs. The table next to the chart shows all peers.
_MAX_PEERS_IN_CHART = 10


class OverviewMixin(admin.ModelAdmin):
    """Adds the overview page to the admin of peers, and a link to this page above the list of
    peers."""

    change_list_template = "reciprocal_oauth/admin/peer_change_list.html"

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the overview page."""
        view = self.admin_site.admin_view(self.overview_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_overview"
        return [path("overview/", view, name=name), *super().get_urls()]

    def has_overview_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may view the overview page. This needs the permission to view
        peers and the permission to view links."""
        return self.has_view_permission(request) and request.user.has_perm(
            "reciprocal_oauth.view_link"
        )

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Render the list of peers. If the user may view the overview page, add a link to it."""
        may_see = {"has_overview_permission": self.has_overview_permission(request)}
        response: HttpResponse = super().changelist_view(
            request, {**may_see, **(extra_context or {})}
        )
        return response

    def overview_view(self, request: HttpRequest) -> HttpResponse:
        """Render the overview page.

        :raises PermissionDenied: the user may not view the overview page.
        """
        if not self.has_overview_permission(request):
            raise PermissionDenied
        found = statistics.overview_of_site()
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Overview"),
            "opts": self.opts,
            "media": self.media,
            "overview": found,
            "count_of_days": statistics.DAYS,
            "success": _percent(found.success),
            "median": _in_words(found.median),
            "p95": _in_words(found.p95),
            "failures": _failures(found),
            "peer_states": _states(found),
            "days_of_peer": attempt_statistics.DAYS_OF_PEER,
            "durations": list(zip(_duration_labels(), found.durations, strict=True)),
            **_charts(found),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "reciprocal_oauth/admin/overview.html", context)


def _charts(found: Overview) -> dict[str, Chart | None]:
    mirrored = get_language_bidi()
    dates = [date_format(day.date, "SHORT_DATE_FORMAT") for day in found.days]
    redeemed, failed = gettext("redeemed"), gettext("failed")
    handovers = [
        (redeemed, [day.done for day in found.days]),
        (failed, [day.failed for day in found.days]),
    ]
    links = [("", [day.active for day in found.days])]
    busy = [each for each in found.peers if each.unfinished]
    peers = sorted(busy, key=_unfinished, reverse=True)[:_MAX_PEERS_IN_CHART]
    queues = [
        (gettext("pending"), [each.sent_waiting + each.received_waiting for each in peers]),
        (failed, [each.sent_failed + each.received_failed for each in peers]),
    ]
    return {
        "links_chart": bar_charts.column_chart(dates, links, mirrored=mirrored),
        "handovers_chart": bar_charts.column_chart(dates, handovers, mirrored=mirrored),
        "durations_chart": bar_charts.row_chart(
            _duration_labels(), [("", found.durations)], mirrored=mirrored
        ),
        "attempts_chart": bar_charts.row_chart(
            [name for _outcome, name, _n in _failures(found)],
            [("", [n for _outcome, _name, n in _failures(found)])],
            mirrored=mirrored,
        ),
        "peers_chart": bar_charts.row_chart(
            [str(each.peer) for each in peers], queues, mirrored=mirrored
        ),
    }


def _unfinished(each: PeerState) -> int:
    return each.unfinished


def _failures(found: Overview) -> list[tuple[str, str, int]]:
    """Return the failed attempts: the outcome, its name and the number of attempts."""
    in_words = attempt_remedies.outcome_in_words
    return [(outcome, in_words(outcome), n) for outcome, n in found.attempts.failures]


def _states(found: Overview) -> list[tuple[PeerState, str]]:
    """Return the peers, each with its state in words."""
    missing = found.is_worker_missing
    return [(each, state_in_words(each, is_worker_missing=missing)) for each in found.peers]


def _duration_labels() -> list[str]:
    """Return a text for each range of durations, such as “1 min to 10 min”. The bounds of the
    ranges are :data:`DURATIONS`."""
    bounds = [_in_words(bound) for bound in DURATIONS]
    between = [
        gettext("%(from)s to %(to)s") % {"from": start, "to": end}
        for start, end in pairwise(bounds)
    ]
    first, last = gettext("less than %s") % bounds[0], gettext("%s or longer") % bounds[-1]
    return [first, *between, last]


def _percent(value: float | None) -> str:
    if value is None:
        return "–"
    # Round down, so that the page says 100 % only if no hand-over has failed.
    return gettext("%s %%") % number_format(int(value * 10) / 10, 1)


def _in_words(duration: timedelta | None) -> str:
    """Return the duration as text, for example “1.5 h”, or a dash for ``None``. The unit is the
    largest one that is not longer than the duration. Durations below 1 s are also in seconds."""
    if duration is None:
        return "–"
    seconds = duration.total_seconds()
    for size, unit in (
        (86400, gettext("%s d")),
        (3600, gettext("%s h")),
        (60, gettext("%s min")),
        (1, gettext("%s s")),
    ):
        if seconds >= size or size == 1:
            value = seconds / size
            is_whole = value >= 10 or value == int(value)
            return unit % number_format(value, 0 if is_whole else 1)
    raise AssertionError("unreachable")
