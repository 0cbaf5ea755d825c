"""The API of the assistant for other sites."""

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from .models import NowPlaying


class TrackSerializer(serializers.Serializer):
    title = serializers.CharField(max_length=200)
    artist = serializers.CharField(max_length=200)


class NowPlayingView(APIView):
    """``POST`` reports what is playing for the user; ``GET`` returns the last report."""

    required_scopes = ["now-playing"]
    schema = None

    def get(self, request: Request) -> Response:
        known = NowPlaying.objects.filter(user=request.user).first()
        return Response({"playing": TrackSerializer(known).data if known else None})

    def post(self, request: Request) -> Response:
        track = TrackSerializer(data=request.data)
        track.is_valid(raise_exception=True)
        heard, _created = NowPlaying.objects.update_or_create(
            user=request.user,
            defaults={**track.validated_data, "told_by": request.auth.application.name},
        )
        return Response({"heard": str(heard)})


class ProfileView(APIView):
    """Returns the name of the user."""

    required_scopes = ["profile"]
    schema = None

    def get(self, request: Request) -> Response:
        return Response({"name": request.user.get_full_name() or request.user.get_username()})
