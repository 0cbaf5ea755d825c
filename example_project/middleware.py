"""The content security policy of the site."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class ContentSecurityPolicy:
    """Allows no inline content and no content of other sites, on every page.

    ``form-action`` is left out on purpose, and ``default-src`` does not cover it: Chromium applies
    it also to the redirect after a form, and that redirect sends users to the other site.

    Django has such a middleware since 6.0. This one also works with 5.2, and extends the policy of
    a page that has its own.
    """

    policy = "default-src 'self'; base-uri 'none'; object-src 'none'"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if settings.DEBUG and response.status_code in (404, 500):
            return response  # Django's own debug pages have their style inline.
        present = response.get("Content-Security-Policy", "")
        report = f"report-uri {settings.CSP_REPORT_URI}" if settings.CSP_REPORT_URI else ""
        lines = [line for line in (self.policy, present, report) if line]
        response["Content-Security-Policy"] = "; ".join(lines)
        return response
