"""Sends a failed hand-over again."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import View

from ..party_a import resending
from .links import OwnLinksMixin


class RetryView(OwnLinksMixin, View):
    """Sends again, on POST, what the person allowed, and leads to the page of the link, which shows
    the result."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Redirect to the page of the link: GET never sends anything."""
        # After signing in, the browser comes here with GET, which starts nothing.
        return redirect("reciprocal_oauth:link", pk)

    def post(self, request: HttpRequest, pk: object) -> HttpResponse:
        """Send the hand-over again if that is possible, and redirect to the page of the link."""
        link = get_object_or_404(self.get_queryset(), pk=pk)
        with suppress(resending.NotPossible):
            resending.try_again(link)
        return redirect("reciprocal_oauth:link", link.pk)
