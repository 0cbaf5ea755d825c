"""Sends a hand-over (the delivery of a reciprocal code to the peer) again after it has failed."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import View

from ..party_a import resending
from .links import OwnLinksMixin


class RetryView(OwnLinksMixin, View):
    """The target of the button "Try again" on the page of a link.

    POST sends the peer a reciprocal code again for the access that the person allowed. The earlier
    code did not reach the peer, or the peer did not use it.
    """

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Redirect to the page of the link without sending a code, because only POST sends one."""
        # GET happens if the session expired before the person pressed the button: the person is
        # asked to log in, and the login page then redirects to this address.
        return redirect("reciprocal_oauth:link", pk)

    def post(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Send a code again if that is possible, and redirect to the page of the link."""
        link = get_object_or_404(self.get_queryset(), pk=pk)
        with suppress(resending.NotPossible):
            resending.try_again(link)
        return redirect("reciprocal_oauth:link", link.pk)
