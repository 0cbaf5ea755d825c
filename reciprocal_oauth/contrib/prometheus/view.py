"""A view for sites that do not use django-prometheus."""

import os

from django.http import HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe
from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector

from ...compat import login_not_required
from ...conf import settings
from ...core.database import outside_transactions
from .figures import FiguresCollector


# With ATOMIC_REQUESTS, Django would open a transaction before the view runs, and the response would
# be 500 while the database is down.
@outside_transactions
@csrf_exempt
@login_not_required
@never_cache
@require_safe
@sensitive_variables()
def metrics_view(request: HttpRequest) -> HttpResponse:
    """Return the metrics of this site to who sends the bearer token in ``METRICS_TOKEN`` (RFC 6750,
    section 2.1). The metrics tell how much this site does with which peer, so they are not public.

    If ``PROMETHEUS_MULTIPROC_DIR`` is set, the response has the sum of all processes that share
    this directory.
    """
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    expected = settings.METRICS_TOKEN
    if not expected:
        return _refusal(403, "Set RECIPROCAL_OAUTH['METRICS_TOKEN'] to let Prometheus in.")
    if scheme.lower() != "bearer" or not constant_time_compare(token.strip(), expected):
        response = _refusal(401, "Send the token of METRICS_TOKEN as a bearer token.")
        response["WWW-Authenticate"] = 'Bearer realm="metrics"'
        return response
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return HttpResponse(encode(_registry()), content_type=content_type)


def _registry() -> CollectorRegistry:
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    registry.register(FiguresCollector())
    return registry


def _refusal(status: int, text: str) -> HttpResponse:
    return HttpResponse(f"{text}\n", status=status, content_type="text/plain; charset=utf-8")
