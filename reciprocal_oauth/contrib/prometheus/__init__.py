"""Metrics for Prometheus. It needs the package ``prometheus_client`` (the extra ``prometheus``).

Name ``prometheus`` in the setting ``TELEMETRY``. The metrics are then in the default registry of
``prometheus_client``, which django-prometheus exports too.
"""

from .listener import METRICS, PrometheusListener
from .view import metrics_view

__all__ = ["METRICS", "PrometheusListener", "metrics_view"]
