"""Changing what the peer may do here (draft, "Authorization Update Flow")."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from .. import scopes
from ..party_a import updates
from .choosing import ChoosingView


class ScopesView(ChoosingView):
    """What the peer may do, ticked as it is now. Nothing ticked leads on to the question whether to
    disconnect, since that is what it comes to."""

    template_name = "reciprocal_oauth/scopes.html"
    refused = updates.CannotChange

    def is_open(self) -> bool:
        return updates.is_changeable(self.link)

    def choices(self) -> list[tuple[str, str]]:
        return updates.choices(self.link)

    def get_initial(self) -> dict[str, Any]:
        return {"scopes": scopes.split(self.link.incoming_scope)}

    def decide(self, chosen: list[str]) -> HttpResponse:
        if not chosen:
            page = reverse("reciprocal_oauth:disconnect", args=[self.link.pk])
            return redirect(f"{page}?nothing-ticked")
        # The link may hold more than is asked about: openid, or what the site has withdrawn.
        if set(chosen) != self._ticked():
            updates.change(self.link, chosen)
        return self.to_link()

    def _ticked(self) -> set[str]:
        """What a person sees ticked who has changed nothing."""
        offered = {token for token, _described in self.choices()}
        return offered & set(scopes.split(self.link.incoming_scope))
