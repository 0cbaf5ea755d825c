"""The page that an invitation leads to when somebody opens it in a browser.

The invitation itself is in the fragment of the URL, which the browser does not send (RFC 9110,
section 7.1). The page only says what to do with the whole address.
"""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.decorators import method_decorator
from django.views import View

from ..compat import login_not_required
from ..core import site_address
from .headers import ProtectedPageMixin


@method_decorator(login_not_required, name="dispatch")
class PairView(ProtectedPageMixin, View):
    """Explains what an invitation is for. It shows nothing of this site but its host name."""

    http_method_names = ("get", "head", "options")
    # The address of this page contains the code, and the page has links to nowhere. Tell the
    # browser all the same to send no part of the address.
    referrer_policy = "no-referrer"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Return the page."""
        host = site_address.host_of(site_address.base_url(request))
        return render(request, "reciprocal_oauth/pair.html", {"host": host})
