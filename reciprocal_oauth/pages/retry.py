"""Trying again what was given up."""

from contextlib import suppress

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.generic import View

from ..party_a import resending
from .links import OwnLinksMixin


class RetryView(OwnLinksMixin, View):
    """Sends on POST what the person allowed once more. The page of the link, to which it leads,
    says what came of it, or that there is nothing to try again."""

    http_method_names = ["get", "head", "post", "options"]

    def get(self, request: HttpRequest, pk: object) -> HttpResponse:
        # Signing in leads here with GET, which starts nothing.
        return redirect("reciprocal_oauth:link", pk)

    def post(self, request: HttpRequest, pk: object) -> HttpResponse:
        link = get_object_or_404(self.get_queryset(), pk=pk)
        with suppress(resending.NotPossible):
            resending.try_again(link)
        return redirect("reciprocal_oauth:link", link.pk)
