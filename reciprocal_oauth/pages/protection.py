"""Headers that every page of this app carries, whatever middleware the site has."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect


# Also where the site has no middleware for it.
@method_decorator([never_cache, csrf_protect], name="dispatch")
class ProtectedPageMixin:
    """Never framed (RFC 9700, section 4.16), never cached, and no address of ours told to others.

    ``same-origin``, not ``no-referrer``: with that, browsers send ``Origin: null`` with a form, and
    Django's CSRF protection refuses it.
    """

    referrer_policy = "same-origin"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response: HttpResponse = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        _forbid_framing(request, response)
        response["Referrer-Policy"] = self.referrer_policy
        response["Cache-Control"] = "no-store"
        return response


def _forbid_framing(request: HttpRequest, response: HttpResponse) -> None:
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
