"""The consent to the reverse direction, between steps (D) and (E)
(draft-ietf-oauth-reciprocal-04, section 2.2.1)."""

from typing import Any

from django.http import HttpRequest, HttpResponse

from ..party_a import consent
from .refusal import not_allowed
from .scope_form import ChoosingView


class ConsentView(ChoosingView):
    """Asks the person which scopes the peer may have here."""

    template_name = "reciprocal_oauth/consent.html"
    refused = consent.CannotGrant

    def is_open(self) -> bool:
        """Return whether the link has an open question."""
        return consent.can_answer(self.link)

    def choices(self) -> list[tuple[str, str]]:
        """Return the scopes of the question, with their words."""
        return consent.choices(self.link)

    def ticked(self) -> list[str]:
        """Return all scopes of the question."""
        return [token for token, _words in self.choices()]

    def shown(self) -> str:
        """Return the snapshot of the question."""
        return consent.snapshot_of(self.link)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the question (draft-ietf-oauth-reciprocal-04, section 2.2.1), or refuse if the site
        forbids the consent."""
        if self.is_open() and not consent.site_allows(self.link, request):
            return not_allowed(request, self.link.peer)
        return super().get(request, *args, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Record a refusal, or save the scopes that the person allows."""
        if request.POST.get("answer") == "deny" and self.is_open():
            consent.deny(self.link)
            return self.to_link()
        return super().post(request, *args, **kwargs)

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Allow the chosen scopes and start the hand-over (draft-ietf-oauth-reciprocal-04, section
        2.2.1).

        :raises CannotGrant: the question has changed, or is no longer open.
        :raises GrantForbidden: the site does not allow it.
        """
        consent.allow(self.link, chosen, snapshot=answers, request=self.request)
        return self.to_link()
