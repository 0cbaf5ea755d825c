"""Rate limits for one person with one application: to read, to change and to connect.

A site can set other rates in ``DEFAULT_THROTTLE_RATES`` of Django REST framework; ``None`` there
means no limit.
"""

from typing import Any

from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import SimpleRateThrottle

from ..core.throttle import Throttle

READING, CHANGING, CONNECTING = "reciprocal-read", "reciprocal-write", "reciprocal-connect"
DEFAULT_RATES = {READING: "120/min", CHANGING: "30/min", CONNECTING: "10/min"}


class PersonThrottle(SimpleRateThrottle):
    """Count requests for each person and application, over all tokens and sessions. So an
    application with too many requests does not affect other applications of the person, or the
    pages of this site. If the cache is down, there is no limit."""

    def __init__(self) -> None:
        """Set no rate yet: it depends on the request, see :meth:`allow_request`."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request, and return whether it is within the limit."""
        scope = getattr(view, "throttle_scope", None) or (
            READING if request.method in SAFE_METHODS else CHANGING
        )
        rates: dict[str, Any] = {**DEFAULT_RATES, **api_settings.DEFAULT_THROTTLE_RATES}
        limit, self.seconds = self.parse_rate(rates[scope])
        if limit is None or self.seconds is None:
            return True
        token: Any = request.auth
        application = "session" if token is None else token.application_id
        return Throttle(scope, limit, self.seconds).count(f"{request.user.pk}:{application}")

    def wait(self) -> float | None:
        """Seconds after which the next request is allowed in any case."""
        return self.seconds
