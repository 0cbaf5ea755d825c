"""The routes of the test suite, with the API beside them."""

from django.urls import include, path

from .. import urls

urlpatterns = [
    *urls.urlpatterns,
    path("api/reciprocal/", include("reciprocal_oauth.api.urls")),
]
