"""The pages of the music service."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.generic import View

from ..views import SiteHomeView
from .models import Play
from .player import play


class HomeView(SiteHomeView):
    template_name = "music/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if self.request.user.is_authenticated:
            context["plays"] = Play.objects.filter(user=self.request.user)[:5]
        return context


class NextView(LoginRequiredMixin, View):
    """Plays the next track for the user, and reports it to the assistant."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        played = play(request.user, "any", asked_by="")
        if not played.was_reported:
            said = _("Playing “%(title)s” by %(artist)s, but the assistant was not told.")
            messages.warning(request, said % {"title": played.title, "artist": played.artist})
        return redirect("home")
