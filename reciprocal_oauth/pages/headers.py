"""Adds security headers and CSRF protection to all pages, even without Django's middleware."""

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

#: Do not use ``no-referrer`` here: browsers would send the header ``Origin: null`` with a form, and
#: Django's CSRF protection would refuse the form.
_REFERRER_POLICY = "same-origin"
#: The seconds after which the browser can request the page again (RFC 9110, section 10.2.3).
_RETRY_AFTER_SECONDS = 5


def protected(view: View) -> View:
    """Decorate a view to protect its page.

    - The forms of the page need a CSRF token (RFC 6749, section 10.12).
    - No other page can show the page in a frame (RFC 9700, section 4.16).
    - The page is never cached (RFC 9111, section 5.2.2.5).
    - Browsers do not send the address of the page to other sites (RFC 9700, section 4.2.4).
    """

    @csrf_protect
    @never_cache
    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        _forbid_framing(request, response)
        # Keep a stricter policy that the view has set.
        response.headers.setdefault("Referrer-Policy", _REFERRER_POLICY)
        response["Cache-Control"] = "no-store"
        return response

    return inner


# Exempt these views from ATOMIC_REQUESTS: after a temporary error of the database, this app repeats
# a transaction. This works only if each change has its own transaction. With ATOMIC_REQUESTS, the
# whole request would be one transaction.
@method_decorator([protected, outside_transactions], name="dispatch")
class ProtectedPageMixin:
    """Base class for the views of pages: applies :func:`protected`.

    If a temporary error of the database remains after several attempts, the response is a page with
    status 503.
    """

    referrer_policy = _REFERRER_POLICY

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Call the view and set the referrer policy of its response. If the database is too busy,
        return a page with status 503.

        :raises DatabaseError: the error of the database is not temporary.
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
    """Forbid browsers to show the page in a frame, and keep the site's Content Security Policy.

    If a middleware sets that policy, tell the middleware to add ``frame-ancestors``, and do not set
    the header here. The middleware skips a response that already has the header, so the page would
    lose the rest of the policy.
    """
    response["X-Frame-Options"] = "DENY"
    line = {"frame-ancestors": ["'none'"]}
    if hasattr(request, "csp_nonce"):  # The middleware of django-csp.
        response._csp_replace = line  # type: ignore[attr-defined]
    elif hasattr(request, "_csp_nonce"):  # Django's middleware, since 6.0.
        response._csp_config = {**settings.SECURE_CSP, **line}  # type: ignore[attr-defined]
    else:
        response["Content-Security-Policy"] = "frame-ancestors 'none'"
