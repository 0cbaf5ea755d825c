"""Gauges that are read from the database when Prometheus scrapes this site.

All processes of the site would tell the same, so these values need no memory that processes share.
"""

import logging
from collections.abc import Iterator, Sequence

from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, InterfaceError
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from ...status import figures

logger = logging.getLogger("reciprocal_oauth.telemetry")

_UP = "reciprocal_oauth_figures_up"
#: Name, description and labels of the gauges.
_GAUGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "reciprocal_oauth_deliveries_due": ("Deliveries that are due now.", ("queue",)),
    "reciprocal_oauth_oldest_due_seconds": (
        "How long the delivery that is due for the longest time has been due; 0 if none is.",
        ("queue",),
    ),
    "reciprocal_oauth_deliveries_failed": (
        "Deliveries that failed in the last 24 hours.",
        ("queue",),
    ),
    "reciprocal_oauth_peer_paused": ("1 for each peer to which nothing is delivered.", ("peer",)),
    "reciprocal_oauth_worker_last_seen_timestamp_seconds": (
        "When a worker gave its last sign of life, as a Unix time; 0 if none ever has.",
        (),
    ),
    "reciprocal_oauth_worker_missing": ("1 if no worker runs, so that nothing is delivered.", ()),
    "reciprocal_oauth_links_broken": (
        "Active links of which a direction is broken.",
        ("direction",),
    ),
}


class FiguresCollector(Collector):
    """Collects the figures of this site."""

    @staticmethod
    def names() -> tuple[str, ...]:
        """Return the names of the gauges."""
        return (_UP, *_GAUGES)

    def describe(self) -> Sequence[GaugeMetricFamily]:
        """Return the gauges without values. Otherwise the registry would read the database when
        Django starts."""
        return list(_families().values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges. If the database does not answer or a setting is wrong, yield only that,
        because an error would hide the other metrics of the site too."""
        try:
            found = figures.collect()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("The figures for Prometheus cannot be read: %s", type(error).__name__)
            yield GaugeMetricFamily(_UP, "1 if the figures could be read.", value=0)
            return
        except (ImproperlyConfigured, TypeError, ValueError) as error:
            logger.warning(
                "The figures for Prometheus cannot be read: a setting is wrong: %s", error
            )
            yield GaugeMetricFamily(_UP, "1 if the figures could be read.", value=0)
            return
        yield GaugeMetricFamily(_UP, "1 if the figures could be read.", value=1)
        yield from _filled(found)


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        name: GaugeMetricFamily(name, text, labels=labels)
        for name, (text, labels) in _GAUGES.items()
    }


def _filled(found: figures.Figures) -> Iterator[GaugeMetricFamily]:
    families = _families()

    def add(name: str, value: float, *labels: str) -> None:
        families[f"reciprocal_oauth_{name}"].add_metric(labels, value)

    for queue in found.queues:
        add("deliveries_due", queue.due, queue.name)
        add("oldest_due_seconds", queue.oldest_due_seconds or 0, queue.name)
        add("deliveries_failed", queue.failed, queue.name)
    for peer in found.paused_peers:
        add("peer_paused", 1, peer.slug)
    seen_at = found.worker_seen_at
    add("worker_last_seen_timestamp_seconds", seen_at.timestamp() if seen_at else 0)
    add("worker_missing", found.worker_missing)
    add("links_broken", found.broken_outgoing, "outgoing")
    add("links_broken", found.broken_incoming, "incoming")
    yield from families.values()
