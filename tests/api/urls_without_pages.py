from django.urls import include, path

urlpatterns = [
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("api/reciprocal/", include("reciprocal_oauth.api.urls")),
]
