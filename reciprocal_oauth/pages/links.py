"""The list of connections, one connection, and the question whether to allow the reverse."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.auth.mixins import LoginRequiredMixin
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import get_language_bidi
from django.utils.translation import gettext_lazy as _
from django.views.generic import DetailView, FormView, ListView

from .. import diagram, scopes
from ..models import AuthorizationRequest, Link, Peer
from ..party_a import consent
from .protection import ProtectedPageMixin

#: How long the list tells that the other side has ended a connection.
_NEWS = timedelta(days=30)


@dataclass(frozen=True)
class Offer:
    """A peer that can be connected.

    :ivar is_linked: whether it is connected already.
    :ivar ended_there_at: when it ended the last connection, if that is news.
    """

    peer: Peer
    is_linked: bool
    ended_there_at: datetime | None


class OwnLinksMixin(ProtectedPageMixin, LoginRequiredMixin):
    """Only the links of the person who asks; those of others do not exist for them."""

    def get_queryset(self) -> QuerySet[Link]:
        links = Link.objects.filter(user=self.request.user)  # type: ignore[attr-defined]
        return links.select_related("peer__application")


class LinkListView(OwnLinksMixin, ListView):
    """What is connected, and what can be."""

    template_name = "reciprocal_oauth/link_list.html"
    context_object_name = "links"

    def get_queryset(self) -> QuerySet[Link]:
        return super().get_queryset().filter(status=Link.Status.ACTIVE).order_by("peer__name")

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        linked = {link.peer_id for link in context["links"]}
        context["offers"] = list(self._offers(linked))
        context["linked_peers"] = linked
        context["any_linked"] = any(offer.is_linked for offer in context["offers"])
        context["all_linked"] = all(offer.is_linked for offer in context["offers"])
        context["failed_attempt"] = self._failed_attempt()
        context["just_ended"] = self._just_ended()
        return context

    def _offers(self, linked: set[Any]) -> Iterator[Offer]:
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        recent = ended.filter(ended_at__gte=timezone.now() - _NEWS).order_by("ended_at")
        last = {link.peer_id: link for link in recent}
        for peer in Peer.objects.filter(enabled=True):
            link = last.get(peer.pk)
            is_news = (
                link is not None
                and peer.pk not in linked
                and link.outgoing_reason == Link.Reason.REVOKED_THERE
            )
            yield Offer(peer, peer.pk in linked, link.ended_at if link and is_news else None)

    def _failed_attempt(self) -> AuthorizationRequest | None:
        """The person's visit to a peer that has just failed, to be explained on top."""
        return (
            AuthorizationRequest.objects.select_related("peer")
            .filter(pk__in=self._named("attempt"), user=self.request.user)  # type: ignore[misc]
            .exclude(problem="")
            .first()
        )

    def _just_ended(self) -> Link | None:
        """The link that the person has just ended, to be confirmed on top."""
        ended = super().get_queryset().filter(status=Link.Status.ENDED)
        return ended.filter(
            pk__in=self._named("ended"), outgoing_reason=Link.Reason.REVOKED_HERE
        ).first()

    def _named(self, parameter: str) -> list[UUID]:
        """The row that the address names, if it does."""
        try:
            return [UUID(self.request.GET.get(parameter, ""))]
        except ValueError:
            return []


class LinkView(OwnLinksMixin, DetailView):
    """One connection: both directions in words, and its history."""

    template_name = "reciprocal_oauth/link_detail.html"
    context_object_name = "link"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        described = scopes.described()
        context["can_answer"] = consent.can_answer(self.object)
        context["incoming_scopes"] = [
            described.get(token, token) for token in scopes.split(self.object.incoming_scope)
        ]
        context["outgoing_scopes"] = scopes.split(self.object.outgoing_scope)
        events = self.object.events.all()
        context["events"] = events
        context["diagram"] = diagram.of_link(self.object, events, mirrored=get_language_bidi())
        return context


class StatusView(LinkView):
    """The content of the same page alone, for the script that follows what is under way."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            reciprocal_oauth_base="reciprocal_oauth/_fragment.html", **kwargs
        )


class ConsentForm(forms.Form):
    """The scopes that the peer asks for; each can be unticked."""

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


class ConsentView(OwnLinksMixin, FormView):
    """The question: may the peer have this scope here?"""

    # PUT, which Django would take for a form without fields, is not an answer.
    http_method_names = ["get", "head", "options", "post"]
    template_name = "reciprocal_oauth/consent.html"
    form_class = ConsentForm

    def get(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not consent.can_answer(self.link):
            return redirect("reciprocal_oauth:link", self.link.pk)
        return super().get(request, *args, **kwargs)

    def post(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not consent.can_answer(self.link):
            return redirect("reciprocal_oauth:link", self.link.pk)
        if request.POST.get("answer") == "deny":
            consent.deny(self.link)
            return redirect("reciprocal_oauth:link", self.link.pk)
        return super().post(request, *args, **kwargs)

    @cached_property
    def link(self) -> Link:
        return get_object_or_404(self.get_queryset(), pk=self.kwargs["pk"])

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), "choices": consent.choices(self.link)}

    def form_valid(self, form: ConsentForm) -> HttpResponse:
        try:
            consent.allow(self.link, form.cleaned_data["scopes"])
        except consent.NothingToAllow:
            self.link.refresh_from_db()
            if not consent.can_answer(self.link):  # Answered in another tab meanwhile.
                return redirect("reciprocal_oauth:link", self.link.pk)
            form = self.get_form()  # With what may be asked for now.
            form.add_error(None, _("This has changed meanwhile. Please look again."))
            return self.form_invalid(form)
        return redirect("reciprocal_oauth:link", self.link.pk)

    def form_invalid(self, form: ConsentForm) -> HttpResponse:
        return self.render_to_response(self.get_context_data(form=form), status=400)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return {**super().get_context_data(**kwargs), "link": self.link, "peer": self.link.peer}
