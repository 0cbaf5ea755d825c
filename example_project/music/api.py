"""The API of the music service for other sites."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import Play
from .player import play


class PlaySerializer(serializers.ModelSerializer):
    class Meta:
        model = Play
        fields = ["title", "artist", "asked_by", "at"]


class WishSerializer(serializers.Serializer):
    mood = serializers.CharField(max_length=20, default="any")


class PlayerView(APIView):
    """``POST`` plays a track; ``GET`` returns what is playing."""

    required_scopes = ["playback"]
    schema = None

    def get(self, request: Request) -> Response:
        playing = request.user.plays.first()
        return Response({"playing": PlaySerializer(playing).data if playing else None})

    def post(self, request: Request) -> Response:
        wish = WishSerializer(data=request.data)
        wish.is_valid(raise_exception=True)
        played = play(
            request.user, wish.validated_data["mood"], asked_by=request.auth.application.name
        )
        return Response({"playing": PlaySerializer(played).data})


class HistoryView(APIView):
    """Returns what the user has listened to, newest first."""

    required_scopes = ["history"]
    schema = None

    def get(self, request: Request) -> Response:
        return Response({"played": PlaySerializer(request.user.plays.all()[:20], many=True).data})
