"""DOT's pages on which the owner of an application deletes and changes it: they leave that of a
peer alone, and say why."""

from typing import Any

from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from oauth2_provider.views import ApplicationDelete as DOTApplicationDelete
from oauth2_provider.views import ApplicationUpdate as DOTApplicationUpdate

from ..links.incoming_access import peer_of


class ApplicationDelete(DOTApplicationDelete):
    """The registration of a peer is protected: nothing else limits and ends the peer's tokens."""

    def form_valid(self, form: Any) -> HttpResponse:
        try:
            response: HttpResponse = super().form_valid(form)
        except ProtectedError:
            return _left_alone(self.request, self.object)
        return response


class ApplicationUpdate(DOTApplicationUpdate):
    """Whoever registered a client that an administrator has made a peer since does not make it a
    public one, nor move its redirect URI: as for a client that was registered dynamically."""

    def form_valid(self, form: Any) -> HttpResponse:
        if peer_of(self.object) is not None:
            return _left_alone(self.request, self.object, was_to_change=True)
        response: HttpResponse = super().form_valid(form)
        return response


def _left_alone(
    request: HttpRequest, application: Any, *, was_to_change: bool = False
) -> HttpResponse:
    context = {"peer": peer_of(application), "was_to_change": was_to_change}
    return render(request, "reciprocal_oauth/application_protected.html", context, status=409)
