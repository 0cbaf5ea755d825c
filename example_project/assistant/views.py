"""The assistant's pages."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import View

from ..other_site import CallFailed, call
from ..views import SiteHomeView
from .models import NowPlaying

#: The moods that a user can choose. A key is the value that is sent to the music service. The first
#: text is the label of the choice, and the second text is what the user says to the assistant.
MOODS = {
    "calm": (_("something calm"), _("“Play something calm.”")),
    "lively": (_("something lively"), _("“Play something lively.”")),
    "any": (_("anything you like"), _("“Play anything you like.”")),
}
SESSION_KEY = "last_wish"


class HomeView(SiteHomeView):
    template_name = "assistant/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if self.request.user.is_authenticated:
            context["moods"] = {mood: name for mood, (name, _said) in MOODS.items()}
            if last := self.request.session.get(SESSION_KEY):
                context["last"] = {**last, "said": MOODS[last["mood"]][1]}
            context["heard"] = NowPlaying.objects.filter(user=self.request.user).first()
        return context


class PlayView(LoginRequiredMixin, View):
    """Asks the music service to play a track for the user."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        mood = request.POST.get("mood", "any")
        if mood not in MOODS:
            mood = "any"
        try:
            answer = call(request.user, "POST", "api/player/", {"mood": mood})
            playing = answer["playing"]
            track = {"title": playing["title"], "artist": playing["artist"]}
        except CallFailed as failed:
            messages.error(request, str(failed))
            return redirect("home")
        except (KeyError, TypeError):
            messages.error(
                request, gettext("The music service answered something that makes no sense.")
            )
            return redirect("home")
        request.session[SESSION_KEY] = {
            "mood": mood,
            **track,
            "at": timezone.now().isoformat(),
        }
        return redirect("home")
