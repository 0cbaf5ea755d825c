"""Choosing the scopes that a peer may have here: what consent and a later change have in common."""

from typing import Any, ClassVar

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from ..models import Link
from .links import OwnLinksMixin


class ScopesForm(forms.Form):
    """Scopes that the peer may have; each can be unticked."""

    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple, required=False
    )

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]
        self.fields["scopes"].initial = [value for value, _label in choices]

    def clean_scopes(self) -> list[str]:
        chosen = self.cleaned_data["scopes"]
        if len(chosen) != len(set(chosen)):
            raise forms.ValidationError(_("A permission was sent twice."), code="repeated")
        return chosen


class ChoosingView(OwnLinksMixin, FormView):
    """A page with such a form, while there is something to choose; else it leads to the link.

    :cvar refused: what :meth:`decide` raises where the choice is no longer there.
    """

    # PUT, which Django would take for a form without fields, is not an answer.
    http_method_names = ["get", "head", "options", "post"]
    form_class = ScopesForm
    refused: ClassVar[type[Exception]]

    def is_open(self) -> bool:
        """Whether there is something to choose."""
        raise NotImplementedError

    def choices(self) -> list[tuple[str, str]]:
        """The scopes with their words."""
        raise NotImplementedError

    def decide(self, chosen: list[str]) -> HttpResponse:
        """Do what the person wants. :raises Exception: of the type ``refused``."""
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().get(request, *args, **kwargs) if self.is_open() else self.to_link()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return super().post(request, *args, **kwargs) if self.is_open() else self.to_link()

    @cached_property
    def link(self) -> Link:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def to_link(self) -> HttpResponse:
        return redirect("reciprocal_oauth:link", self.link.pk)

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "choices": self.choices()}

    def form_valid(self, form: ScopesForm) -> HttpResponse:
        try:
            return self.decide(form.cleaned_data["scopes"])
        except self.refused:
            self.link.refresh_from_db()
            if not self.is_open():  # Decided in another tab meanwhile.
                return self.to_link()
            form = self.form_again()
            form.add_error(None, _("This has changed meanwhile. Please look again."))
            return self.form_invalid(form)

    def form_again(self) -> ScopesForm:
        """The form for another try, with what may be chosen now."""
        return self.get_form()

    def form_invalid(self, form: ScopesForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "link": self.link, "peer": self.link.peer}
