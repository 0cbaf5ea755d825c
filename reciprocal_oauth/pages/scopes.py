"""Changes what the peer may do here (draft-ietf-oauth-reciprocal-04, section 3)."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from ..core import scopes
from ..party_a import scope_changes
from ..presentation.link_status import in_scope_words
from .scope_form import ChoosingView


class ScopesView(ChoosingView):
    """Shows what the peer may do here, to be changed. Without any scope the link would end, so the
    page then leads to the question whether to disconnect."""

    template_name = "reciprocal_oauth/scopes.html"
    refused = scope_changes.CannotChange

    def is_open(self) -> bool:
        """Return whether the scopes of the link can be changed."""
        return scope_changes.is_changeable(self.link)

    def choices(self) -> list[tuple[str, str]]:
        """Return the scopes that the peer may have here, with their words."""
        return scope_changes.choices(self.link)

    def ticked(self) -> list[str]:
        """Return the scopes that the person allows at present."""
        return sorted(scope_changes.chosen_now(self.link))

    def shown(self) -> str:
        """Return the snapshot of the scopes that can be changed."""
        return scope_changes.snapshot_of(self.link)

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Change the scopes, or redirect to the page that disconnects if none is left.

        :raises CannotChange: the link has changed, or the scopes cannot be changed.
        :raises ChangeForbidden: the site does not allow it.
        """
        if not chosen:
            page = reverse("reciprocal_oauth:disconnect", args=[self.link.pk])
            return redirect(f"{page}?nothing-ticked")
        if set(chosen) != scope_changes.chosen_now(self.link):
            scope_changes.change(self.link, chosen, snapshot=answers, request=self.request)
        return self.to_link()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the scopes that the peer has now and would lose."""
        asked_about = {token for token, _described in self.choices()}
        works = scopes.split(self.link.incoming_limit)
        lost = scopes.join(token for token in works if token not in asked_about)
        lost_in_words = in_scope_words(lost, scopes.described())
        return {**super().get_context_data(**kwargs), "lost": lost_in_words}
