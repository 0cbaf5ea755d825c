"""The page on which the person changes the scopes that the peer has at this site
(draft-ietf-oauth-reciprocal-04, section 3)."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from ..core import scopes
from ..party_a import scope_changes
from ..presentation.permissions import in_scope_words
from .scope_form import ChoosingView


class ScopesView(ChoosingView):
    """Shows the scopes that the peer has at this site, and saves changes.

    If the person unticks all scopes, the page redirects to the page that ends the link.
    """

    template_name = "reciprocal_oauth/scopes.html"
    refused = scope_changes.CannotChange

    def is_open(self) -> bool:
        """Return whether the person can change the scopes that the peer has at this site."""
        return scope_changes.is_changeable(self.link)

    def choices(self) -> list[tuple[str, str]]:
        """Return the scopes that the person can give the peer, each with its description."""
        return scope_changes.choices(self.link)

    def ticked(self) -> list[str]:
        """Return the scopes that the person allows the peer at the moment."""
        return sorted(scope_changes.chosen_now(self.link))

    def shown(self) -> str:
        """Return a snapshot: a text that identifies the scopes that the page shows."""
        return scope_changes.snapshot_of(self.link)

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Change the scopes of the peer to ``chosen``. If ``chosen`` is empty, redirect to the page
        that ends the link.

        :param answers: the snapshot that was sent with the form.
        :raises CannotChange: the page is outdated, or the scopes cannot be changed any more.
        :raises ChangeForbidden: the rules of this site do not let the person give more access.
        """
        if not chosen:
            page = reverse("reciprocal_oauth:disconnect", args=[self.link.pk])
            return redirect(f"{page}?nothing-ticked")
        if set(chosen) != scope_changes.chosen_now(self.link):
            scope_changes.change(self.link, chosen, snapshot=answers, request=self.request)
        return self.to_link()

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the scopes that the peer has now, but that the form does not offer. The page says
        that the peer loses these scopes when the person saves a change. Also add whether the person
        can add scopes."""
        asked_about = {token for token, _described in self.choices()}
        works = scopes.split(self.link.incoming_limit)
        lost = scopes.join(token for token in works if token not in asked_about)
        lost_in_words = in_scope_words(lost, scopes.described())
        more = {"lost": lost_in_words, "can_add": scope_changes.can_deliver(self.link)}
        return {**super().get_context_data(**kwargs), **more}
