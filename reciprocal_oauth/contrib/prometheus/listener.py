"""Turns what the app tells its listeners into metrics of ``prometheus_client``."""

from collections.abc import Mapping

from prometheus_client import REGISTRY, Counter, Histogram

from ...core.telemetry import Count, Duration, Listener
from .figures import FiguresCollector

#: The prefix of the names of all metrics.
PREFIX = "reciprocal_oauth_"

_COUNTERS: Mapping[Count, str] = {
    Count.HANDOVERS: "Steps E, F and G of hand-overs, as this site saw them.",
    Count.DELIVERY_ATTEMPTS: "Attempts of the workers at deliveries.",
    Count.DELIVERY_FAILURES: "Deliveries that failed and are not tried again.",
    Count.TOKEN_REFRESHES: "Refreshes of tokens that this site holds at peers.",
    Count.HANDOVER_REFUSALS: "Hand-overs of peers that this site refused.",
    Count.CLIENT_AUTHENTICATION_FAILURES: "Requests of clients that did not prove who they are.",
    Count.CONNECTIONS: "Links that began to work both ways, could not be made, or ended.",
}
_HISTOGRAMS: Mapping[Duration, tuple[str, tuple[float, ...]]] = {
    Duration.DELIVERY_AGE: (
        "Time from the moment at which a delivery was queued to its success.",
        (1, 5, 15, 60, 300, 1800, 7200, 21600, 86400, 259200),
    ),
    Duration.HTTP_REQUEST: (
        "Time of one HTTP request to a peer.",
        (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
    ),
}
_counters = {
    count: Counter(f"{PREFIX}{count.value}", text, count.labels)
    for count, text in _COUNTERS.items()
}
_histograms = {
    duration: Histogram(f"{PREFIX}{duration.value}_seconds", text, duration.labels, buckets=buckets)
    for duration, (text, buckets) in _HISTOGRAMS.items()
}
#: The names of all metrics, as Prometheus stores them.
METRICS = (
    *(f"{PREFIX}{count.value}_total" for count in _COUNTERS),
    *(f"{PREFIX}{duration.value}_seconds" for duration in _HISTOGRAMS),
    *FiguresCollector.names(),
)

# The default registry calls the collector when Prometheus scrapes it.
REGISTRY.register(FiguresCollector())


class PrometheusListener(Listener):
    """Counts and measures in the default registry of ``prometheus_client``."""

    def count(self, count: Count, labels: Mapping[str, str]) -> None:
        """Add one to the counter."""
        _counters[count].labels(**labels).inc()

    def observe(self, duration: Duration, seconds: float, labels: Mapping[str, str]) -> None:
        """Add a value to the histogram."""
        _histograms[duration].labels(**labels).observe(seconds)
