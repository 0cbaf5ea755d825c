"""The form to choose the scopes that a peer may have here, for a consent and for a later change."""

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from ..links.grant_policy import ForbiddenBySite
from ..models import Link
from ..party_a import snapshot
from .links import OwnLinksMixin
from .refusal import not_allowed


class ScopesForm(forms.Form):
    """Scopes that the peer may have; each can be unticked."""

    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple, required=False
    )
    #: The state that the page shows (:mod:`~reciprocal_oauth.party_a.snapshot`).
    shown = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]

    def clean_scopes(self) -> list[str]:
        """Return the chosen scopes.

        :raises ValidationError: a scope was sent twice.
        """
        chosen = self.cleaned_data["scopes"]
        if len(chosen) != len(set(chosen)):
            raise forms.ValidationError(_("A permission was sent twice."), code="repeated")
        return chosen


class ChoosingView(OwnLinksMixin, FormView):
    """A page with a :class:`ScopesForm`; without anything to choose, it leads to the link.

    :cvar refused: what :meth:`decide` raises if the choice no longer exists.
    """

    # Not PUT: Django would read it as a form without fields.
    http_method_names = ["get", "head", "options", "post"]
    form_class = ScopesForm
    refused: ClassVar[type[Exception]]

    def is_open(self) -> bool:
        """Whether there is something to choose.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def choices(self) -> list[tuple[str, str]]:
        """The scopes with their words.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def ticked(self) -> list[str]:
        """The scopes that are ticked when the page opens.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def shown(self) -> str:
        """The current state of what the page shows.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Save the choice of the person.

        :raises Exception: of the type ``refused``, if the choice no longer exists.
        """
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form, or redirect to the link if there is nothing to choose."""
        return super().get(request, *args, **kwargs) if self.is_open() else self.to_link()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save the choice, unless the form shows an old state or there is nothing to choose."""
        if not self.is_open():
            return self.to_link()
        if not snapshot.is_same(request.POST.get("shown", ""), self.shown()):
            return self.ask_again()
        return super().post(request, *args, **kwargs)

    @cached_property
    def link(self) -> Link:
        """The link of the signed-in person.

        :raises Http404: the person has no such link.
        """
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def to_link(self) -> HttpResponse:
        """Redirect to the page of the link."""
        return redirect("reciprocal_oauth:link", self.link.pk)

    def get_initial(self) -> dict[str, Any]:
        """Return the scopes to tick and the state that the page shows."""
        return {"scopes": self.ticked(), "shown": self.shown()}

    def get_form_kwargs(self) -> dict[str, Any]:
        """Add the scopes to choose from."""
        return {**super().get_form_kwargs(), "choices": self.choices()}

    def form_valid(self, form: ScopesForm) -> HttpResponse:
        """Save the choice, or say that the site forbids it or that the choice no longer exists."""
        try:
            return self.decide(form.cleaned_data["scopes"], form.cleaned_data["shown"])
        except ForbiddenBySite:
            return not_allowed(self.request, self.link.peer)
        except self.refused:
            self.link.refresh_from_db()
            # The person has decided in another tab.
            return self.ask_again() if self.is_open() else self.to_link()

    def ask_again(self) -> HttpResponse:
        """Show the current page with status 409: the form that was sent is outdated."""
        form = self.form_class(data=self.get_initial(), choices=self.choices())
        form.add_error(None, _("This has changed in the meantime. Please check it again."))
        return self.render_to_response(self.get_context_data(form=form), status=409)

    def form_invalid(self, form: ScopesForm) -> HttpResponse:
        """Show the form with its errors and status 400."""
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the link and the peer."""
        return {**super().get_context_data(**kwargs), "link": self.link, "peer": self.link.peer}
