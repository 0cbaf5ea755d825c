"""Headers and CSRF protection that each page has, whatever middleware the site has."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect

from ..core.database import outside_transactions, wants_another_try

logger = logging.getLogger("reciprocal_oauth.pages")

View = Callable[..., HttpResponseBase]

#: Not ``no-referrer``: with that, browsers send ``Origin: null`` with a form, and Django's CSRF
#: protection refuses it.
_REFERRER_POLICY = "same-origin"
#: Seconds after which a client may request the page again.
_RETRY_AFTER_SECONDS = 5


def protected(view: View) -> View:
    """Decorate a page: its forms need a CSRF token (RFC 6749, section 10.12), no page can frame it
    (RFC 9700, section 4.16), it is never cached, and other sites do not learn its address."""

    @csrf_protect
    @never_cache
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        _forbid_framing(request, response)
        # A view may have a stricter one.
        response.headers.setdefault("Referrer-Policy", _REFERRER_POLICY)
        response["Cache-Control"] = "no-store"
        return response

    return inner


# Each change is a transaction of its own, which can be tried again. A transaction around the whole
# request (``ATOMIC_REQUESTS``) could not.
@method_decorator([protected, outside_transactions], name="dispatch")
class ProtectedPageMixin:
    """A page that is :func:`protected`, as a class.

    If the database still asks to try again after several attempts, the response is a page with
    status 503.
    """

    referrer_policy = _REFERRER_POLICY

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Set the referrer policy of the response. If the database is too busy, respond 503.

        :raises DatabaseError: the error is not a temporary one.
        """
        try:
            response: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        except DatabaseError as error:
            if not wants_another_try(error):
                raise
            response = _come_again(request, error)
        response["Referrer-Policy"] = self.referrer_policy
        return response


def _come_again(request: HttpRequest, error: DatabaseError) -> HttpResponseBase:
    logger.warning("The database was too busy for a page: %s", type(error).__name__)
    response = render(request, "reciprocal_oauth/busy.html", status=503)
    response["Retry-After"] = str(_RETRY_AFTER_SECONDS)
    return response


def _forbid_framing(request: HttpRequest, response: HttpResponseBase) -> None:
    """Deny frames, and keep the rest of the site's own content security policy.

    A middleware that sets the policy skips responses that already have one. With a header from
    here, these pages would lose the policy of the site. So the middleware has to add the directive.
    """
    response["X-Frame-Options"] = "DENY"
    line = {"frame-ancestors": ["'none'"]}
    if hasattr(request, "csp_nonce"):  # The middleware of django-csp.
        response._csp_replace = line  # type: ignore[attr-defined]
    elif hasattr(request, "_csp_nonce"):  # Django's middleware, since 6.0.
        response._csp_config = {**settings.SECURE_CSP, **line}  # type: ignore[attr-defined]
    else:
        response["Content-Security-Policy"] = "frame-ancestors 'none'"
