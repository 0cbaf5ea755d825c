from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.contrib.rest_framework import OAuth2Authentication, TokenHasScope
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from reciprocal_oauth.oauth2_urls import metadata_urlpatterns

from .dot import protected_resource


@login_not_required
@protected_resource()
def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"username": request.resource_owner.get_username()})


class PlaybackView(APIView):
    """Django REST framework tells 401 from 403; the decorators of DOT do not."""

    authentication_classes = [OAuth2Authentication]
    permission_classes = [TokenHasScope]
    renderer_classes = [JSONRenderer]
    required_scopes = ["playback"]
    schema = None

    def get(self, request: Request) -> Response:
        return Response({"playing": True})


playback = PlaybackView.as_view()

urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
    path("api/whoami/", whoami),
    path("api/playback/", playback),
    *metadata_urlpatterns,
]
