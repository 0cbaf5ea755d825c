"""The assistant's pages."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.generic import View

from ..other_site import CallFailed, call
from ..views import SiteHomeView
from .models import NowPlaying

#: What a person can ask for: the word that the music service understands, and how one says it.
MOODS = {"calm": "something calm", "lively": "something lively", "any": "anything you like"}
SESSION_KEY = "last_request"


class HomeView(SiteHomeView):
    template_name = "assistant/home.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        if self.request.user.is_authenticated:
            context["moods"] = MOODS
            context["last"] = self.request.session.get(SESSION_KEY)
            context["heard"] = NowPlaying.objects.filter(user=self.request.user).first()
        return context


class PlayView(LoginRequiredMixin, View):
    """The person asks for music: the assistant calls the music service in their name."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        mood = request.POST.get("mood", "any")
        said = MOODS.get(mood, MOODS["any"])
        try:
            answer = call(request.user, "POST", "api/player/", {"mood": mood})
            playing = answer["playing"]
            text = f"Playing “{playing['title']}” by {playing['artist']}."
        except CallFailed as failed:
            messages.error(request, str(failed))
            return redirect("home")
        except (KeyError, TypeError):
            messages.error(request, "The music service answered something that makes no sense.")
            return redirect("home")
        request.session[SESSION_KEY] = {
            "said": said,
            "answer": text,
            "at": timezone.now().isoformat(),
        }
        return redirect("home")
