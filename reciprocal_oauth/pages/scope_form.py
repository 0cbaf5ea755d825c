"""The form for choosing the scopes that a peer may have at this site.

The consent page and the page for changing the scopes later both use it.
"""

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
    """A form with one checkbox for each scope that the person can give the peer."""

    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple, required=False
    )
    #: The snapshot: a text that identifies what the page shows. The form sends it back, so that
    #: this site can refuse an answer to an outdated page
    #: (:mod:`~reciprocal_oauth.party_a.snapshot`).
    shown = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["scopes"].choices = choices  # type: ignore[attr-defined]

    def clean_scopes(self) -> list[str]:
        """Return the scopes that the person has chosen.

        :raises ValidationError: a scope was sent twice.
        """
        chosen = self.cleaned_data["scopes"]
        if len(chosen) != len(set(chosen)):
            raise forms.ValidationError(_("A permission was sent twice."), code="repeated")
        return chosen


class ChoosingView(OwnLinksMixin, FormView):
    """Base class for pages with a :class:`ScopesForm`. If there is nothing to choose, the page
    redirects to the page of the link.

    :cvar refused: the exception that :meth:`decide` raises if the chosen scopes cannot be saved any
        more, for example because the link has changed.
    """

    # Do not allow PUT: Django parses form data only in POST requests, so the form would be empty.
    http_method_names = ["get", "head", "options", "post"]
    form_class = ScopesForm
    refused: ClassVar[type[Exception]]

    def is_open(self) -> bool:
        """Return whether the person can choose scopes now.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def choices(self) -> list[tuple[str, str]]:
        """Return the scopes that the person can choose, each with its description.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def ticked(self) -> list[str]:
        """Return the scopes whose boxes are ticked when the page opens.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def shown(self) -> str:
        """Return the current snapshot: a text that identifies what the page shows now.

        :raises NotImplementedError: the subclass does not implement it.
        """
        raise NotImplementedError

    def decide(self, chosen: list[str], answers: str) -> HttpResponse:
        """Save the scopes that the person has chosen.

        :param answers: the snapshot (see :meth:`shown`) of the page on which the person decided.
        :raises Exception: of the type ``refused``, if the scopes cannot be saved any more.
        """
        raise NotImplementedError

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show the form. If there is nothing to choose, redirect to the page of the link."""
        return super().get(request, *args, **kwargs) if self.is_open() else self.to_link()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Save the scopes that the person has chosen.

        If there is nothing to choose, redirect to the page of the link. If the form is outdated,
        show a new form instead of saving.
        """
        if not self.is_open():
            return self.to_link()
        if not snapshot.is_same(request.POST.get("shown", ""), self.shown()):
            return self.ask_again()
        return super().post(request, *args, **kwargs)

    @cached_property
    def link(self) -> Link:
        """Return the link whose key is in the address.

        :raises Http404: the signed-in person has no link with this key.
        """
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def to_link(self) -> HttpResponse:
        """Redirect to the page of the link."""
        return redirect("reciprocal_oauth:link", self.link.pk)

    def get_initial(self) -> dict[str, Any]:
        """Return the scopes whose boxes are ticked when the page opens, and the snapshot of the
        page (see :meth:`shown`)."""
        return {"scopes": self.ticked(), "shown": self.shown()}

    def get_form_kwargs(self) -> dict[str, Any]:
        """Add the scopes that the person can choose."""
        return {**super().get_form_kwargs(), "choices": self.choices()}

    def form_valid(self, form: ScopesForm) -> HttpResponse:
        """Save the scopes that the person has chosen.

        If the rules of this site forbid that, show a page that says so. If the scopes cannot be
        saved any more, show a new form, or redirect to the page of the link if there is nothing to
        choose.
        """
        try:
            return self.decide(form.cleaned_data["scopes"], form.cleaned_data["shown"])
        except ForbiddenBySite:
            return not_allowed(self.request, self.link.peer)
        except self.refused:
            self.link.refresh_from_db()
            # The link has changed: for example, the person has decided in another browser tab.
            return self.ask_again() if self.is_open() else self.to_link()

    def ask_again(self) -> HttpResponse:
        """Show a new form with status 409, because the form that the person sent is outdated."""
        form = self.form_class(data=self.get_initial(), choices=self.choices())
        form.add_error(None, _("This has changed in the meantime. Please check it again."))
        return self.render_to_response(self.get_context_data(form=form), status=409)

    def form_invalid(self, form: ScopesForm) -> HttpResponse:
        """Show the form again with its errors, with status 400."""
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Add the link and its peer to the template context."""
        return {**super().get_context_data(**kwargs), "link": self.link, "peer": self.link.peer}
