"""The page on which the person decides what the peer may do at this site.

This consent (draft-ietf-oauth-reciprocal-04, section 2.2.1) comes between the steps (D) and (E) of
the figure in section 2 of the draft.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from ..party_a import consent
from . import back_to_app
from .refusal import not_allowed
from .scope_form import ChoosingView


class ConsentView(ChoosingView):
    """Asks the consent question: which scopes may the peer have at this site?"""

    template_name = "reciprocal_oauth/consent.html"
    refused = consent.CannotGrant

    def is_open(self) -> bool:
        """Return whether the person can answer the consent question now."""
        return consent.can_answer(self.link)

    def choices(self) -> list[tuple[str, str]]:
        """Return the scopes that the peer asks for, each with its description."""
        return consent.choices(self.link)

    def ticked(self) -> list[str]:
        """Return all scopes that the peer asks for: all boxes are ticked at first."""
        return [token for token, _words in self.choices()]

    def shown(self) -> str:
        """Return a snapshot: a text that identifies the scopes and the link state on the page."""
        return consent.snapshot_of(self.link)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the consent question (draft-ietf-oauth-reciprocal-04, section 2.2.1). If the rules
        of this site do not allow any of the scopes, show a page that says so."""
        if self.is_open() and not consent.site_allows(self.link, request):
            return not_allowed(request, self.link.peer)
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save the answer of the person: a refusal, or the scopes that the person allows."""
        if request.POST.get("answer") == "deny" and self.is_open():
            consent.deny(self.link)
            return self.to_link()
        return super().post(request, *args, **kwargs)

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Allow the peer the chosen scopes, and queue the delivery of a reciprocal code to the peer
        (draft-ietf-oauth-reciprocal-04, section 2.2.1). If ``chosen`` is empty, deny access.

        :param answers: the snapshot that was sent with the form.
        :raises CannotGrant: the page is outdated, or the person can no longer answer.
        :raises GrantForbidden: the rules of this site do not allow the person to give this access.
        """
        consent.allow(self.link, chosen, snapshot=answers, request=self.request)
        return self.to_link()

    def to_link(self) -> HttpResponse:
        """Redirect to the page from which the person returns to the app that has started the visit.
        If no app has started it, redirect to the page of the link."""
        visit = back_to_app.visit_in_query(self.request, self.link)
        return redirect(back_to_app.path_of(visit)) if visit else super().to_link()
