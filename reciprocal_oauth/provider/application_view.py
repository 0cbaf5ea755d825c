"""DOT's page that deletes an application, which says why a peer's is not deleted."""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpResponse
from django.shortcuts import render
from oauth2_provider.views import ApplicationDelete as DOTApplicationDelete


class ApplicationDelete(DOTApplicationDelete):
    """The registration of a peer is protected: nothing else limits and ends the peer's tokens."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except ProtectedError:
            context = {"peer": getattr(self.object, "reciprocal_peer", None)}
            template = "reciprocal_oauth/application_protected.html"
            return render(self.request, template, context, status=409)
        return response
