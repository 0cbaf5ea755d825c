"""Changing what the peer may do here (draft, "Authorization Update Flow")."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from .. import scopes
from ..models import Link
from ..party_a import updates
from .links import ConsentForm, OwnLinksMixin


class ScopesView(OwnLinksMixin, FormView):
    """What the peer may do, ticked as it is now. Nothing ticked leads on to the question whether to
    disconnect, since that is what it comes to."""

    http_method_names = ["get", "head", "options", "post"]
    template_name = "reciprocal_oauth/scopes.html"
    form_class = ConsentForm

    def get(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not updates.is_changeable(self.link):
            return redirect("reciprocal_oauth:link", self.link.pk)
        return super().get(request, *args, **kwargs)

    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not updates.is_changeable(self.link):
            return redirect("reciprocal_oauth:link", self.link.pk)
        return super().post(request, *args, **kwargs)

    @cached_property
    def link(self) -> Link:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "choices": updates.choices(self.link)}

    def get_initial(self) -> dict[str, Any]:
        return {"scopes": scopes.split(self.link.incoming_scope)}

    def form_valid(self, form: ConsentForm) -> HttpResponse:
        chosen = form.cleaned_data["scopes"]
        if not chosen:
            page = reverse("reciprocal_oauth:disconnect", args=[self.link.pk])
            return redirect(f"{page}?nothing-ticked")
        if set(chosen) == self._ticked():
            # The link may hold more than is asked about: openid, or what the site has withdrawn.
            return redirect("reciprocal_oauth:link", self.link.pk)
        try:
            updates.change(self.link, chosen)
        except updates.CannotChange:
            self.link.refresh_from_db()
            if not updates.is_changeable(self.link):  # Ended in another tab meanwhile.
                return redirect("reciprocal_oauth:link", self.link.pk)
            form = self.get_form()  # With what may be chosen now.
            form.add_error(None, _("This has changed meanwhile. Please look again."))
            return self.form_invalid(form)
        return redirect("reciprocal_oauth:link", self.link.pk)

    def _ticked(self) -> set[str]:
        """What a person sees ticked who has changed nothing."""
        offered = {token for token, _described in updates.choices(self.link)}
        return offered & set(scopes.split(self.link.incoming_scope))

    def form_invalid(self, form: ConsentForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "link": self.link, "peer": self.link.peer}
