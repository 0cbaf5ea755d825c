"""What every page has that asks a person something, whatever middleware the site has."""

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
#: Seconds after which a page may be asked for again.
_RETRY_AFTER_SECONDS = 5


def protected(view: View) -> View:
    """Decorate a page: its forms are taken from the page alone (RFC 6749, section 10.12), and it is
    never framed (RFC 9700, section 4.16), never cached, and tells its address to nobody else."""

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


# What a page changes is one transaction of its own, which can begin again; one around the whole
# request cannot (``ATOMIC_REQUESTS``).
@method_decorator([protected, outside_transactions], name="dispatch")
class ProtectedPageMixin:
    """A page that is :func:`protected`, as a class.

    A database that still says "try again" after a few times is answered with 503, and a page that
    says so.
    """

    referrer_policy = _REFERRER_POLICY

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
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
    """Deny frames, and leave the rest of the site's own content security policy in force.

    A middleware that writes the policy skips responses that have one: with a header of ours, our
    pages would be the ones without the site's policy. So it is told to add our line to its own.
    """
    response["X-Frame-Options"] = "DENY"
    line = {"frame-ancestors": ["'none'"]}
    if hasattr(request, "csp_nonce"):  # The middleware of django-csp.
        response._csp_replace = line  # type: ignore[attr-defined]
    elif hasattr(request, "_csp_nonce"):  # Django's middleware, since 6.0.
        response._csp_config = {**settings.SECURE_CSP, **line}  # type: ignore[attr-defined]
    else:
        response["Content-Security-Policy"] = "frame-ancestors 'none'"
