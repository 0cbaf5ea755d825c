from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from oauth2_provider.decorators import protected_resource

from reciprocal_oauth.oauth2_urls import metadata_urlpatterns


@login_not_required
@protected_resource()
def whoami(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"username": request.resource_owner.get_username()})


@login_not_required
@protected_resource(scopes=["playback"])
def playback(request: HttpRequest) -> JsonResponse:
    return JsonResponse({"playing": True})


urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
    path("api/whoami/", whoami),
    path("api/playback/", playback),
    *metadata_urlpatterns,
]
