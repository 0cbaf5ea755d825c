"""Ending a connection, after a question that says what will stop."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.generic import DetailView

from .. import lifecycle
from ..models import Link
from .links import OwnLinksMixin


class DisconnectView(OwnLinksMixin, DetailView):
    """Asks on GET; ends the link on POST. Here it takes effect at once, at the peer as soon as it
    can be told (RFC 7009)."""

    template_name = "reciprocal_oauth/disconnect.html"
    context_object_name = "link"

    def get(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        if not (link := self.get_object()).is_active:
            return redirect("reciprocal_oauth:link", link.pk)
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        nothing_ticked = "nothing-ticked" in self.request.GET
        return {**super().get_context_data(**kwargs), "nothing_ticked": nothing_ticked}

    def post(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        link = self.get_object()
        lifecycle.end(link, Link.Reason.REVOKED_HERE, revoke_there=True)
        return redirect(f"{reverse('reciprocal_oauth:list')}?ended={link.pk}")
