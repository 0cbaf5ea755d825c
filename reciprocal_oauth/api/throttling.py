"""Limits how many API requests a person can make with one application.

Reading, changing links and starting connections have different limits. A site can change them in
``DEFAULT_THROTTLE_RATES`` of Django REST framework. The value ``None`` removes a limit.
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
    """Limits the requests of each person with each application.

    All tokens of the person for one application share one limit, and all sessions of the person
    share another limit. If the cache does not work, there is no limit.
    """

    def __init__(self) -> None:
        """Do nothing. The base class looks up the rate here. In this class, the rate depends on the
        request, so :meth:`allow_request` looks it up."""

    def allow_request(self, request: Request, view: Any) -> bool:
        """Count the request, and return whether it is within the limit. If not, the response has
        status 429 (RFC 6585, section 4)."""
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
        """Return the seconds for the header ``Retry-After`` (RFC 9110, section 10.2.3): the whole
        period in which requests are counted. After this time, requests are allowed again."""
        return self.seconds
