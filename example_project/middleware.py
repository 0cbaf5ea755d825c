"""The content security policy of the site."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class ContentSecurityPolicy:
    """Sends a content security policy with every page. The policy forbids inline scripts, inline
    styles, and all content from other sites.

    The policy does not contain ``form-action``. Chromium would apply it also to the redirect after
    a form was sent, and some forms of this site redirect users to the other site.

    Django has a similar middleware since version 6.0. This class also works with Django 5.2. If a
    view has set a policy of its own, this class adds it to the general policy.
    """

    policy = "default-src 'self'; base-uri 'none'; object-src 'none'"

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if settings.DEBUG and response.status_code in (404, 500):
            return response  # The debug pages of Django contain inline styles.
        present = response.get("Content-Security-Policy", "")
        report = f"report-uri {settings.CSP_REPORT_URI}" if settings.CSP_REPORT_URI else ""
        lines = [line for line in (self.policy, present, report) if line]
        response["Content-Security-Policy"] = "; ".join(lines)
        return response
