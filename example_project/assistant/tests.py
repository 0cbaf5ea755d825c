"""Tests of the assistant, with a fake music service. They show how a project tests its calls.

::

    DJANGO_DEBUG=1 python manage.py test example_project.assistant
"""

import json

from django.contrib.messages import get_messages
from django.test import TestCase
from django.urls import reverse

from reciprocal_oauth.testing import FakePeer, FakeResponse, linked_user

from .models import NowPlaying


class AssistantTest(TestCase):
    def setUp(self) -> None:
        self.music = self.enterContext(FakePeer(scope="playback history"))
        self.linked = linked_user(self.music)
        self.client.force_login(self.linked.user)

    def test_the_assistant_plays_a_track_at_the_music_service(self) -> None:
        track = {"title": "Clair de lune", "artist": "Claude Debussy"}
        player = self.music.protected(FakeResponse.json(playing=track))
        self.music.responses["/api/player/"] = player

        self.client.post(reverse("play"), {"mood": "calm"})

        self.assertContains(self.client.get(reverse("home")), "Clair de lune")
        (request,) = self.music.to("/api/player/")
        self.assertEqual(json.loads(request.body), {"mood": "calm"})

    def test_an_expired_access_token_is_refreshed(self) -> None:
        track = {"title": "Clair de lune", "artist": "Claude Debussy"}
        player = self.music.protected(FakeResponse.json(playing=track))
        self.music.responses["/api/player/"] = player
        self.music.expire_access_tokens()

        self.client.post(reverse("play"), {"mood": "calm"})

        self.assertContains(self.client.get(reverse("home")), "Clair de lune")

    def test_a_user_who_disconnected_at_the_music_service_is_told_so(self) -> None:
        self.music.responses["/api/player/"] = self.music.protected(FakeResponse())
        self.music.revoke_all()

        response = self.client.post(reverse("play"), {"mood": "calm"})

        (message,) = get_messages(response.wsgi_request)
        self.assertIn("Have a look at your connections", str(message))

    def test_the_music_service_reports_what_is_playing(self) -> None:
        response = self.client.post(
            "/api/now-playing/",
            {"title": "Träumerei", "artist": "Robert Schumann"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {self.linked.access_token}"},
        )

        self.assertEqual(response.status_code, 200)
        self.assertEqual(NowPlaying.objects.get(user=self.linked.user).title, "Träumerei")
