"""How often one person may ask by one application: budgets to read, to change and to connect.

A site that sets a rate for one of the scopes in Django REST framework's ``DEFAULT_THROTTLE_RATES``
has that one; ``None`` there is no limit.
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
    """Counts per person and application, whichever tokens and sessions the requests come with: an
    application that asks too much does not lock the person out of another, nor out of the site's
    own pages. Counted like everything here: in one step of the cache, and with no limit where the
    cache is down."""

    def __init__(self) -> None:
        """The rate depends on the request, see :meth:`allow_request`."""

    def allow_request(self, request: Request, view: Any) -> bool:
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
        """Seconds after which it is certain that the next request is let through."""
        return self.seconds
