"""A site whose pages have the language in their address."""

from django.conf.urls.i18n import i18n_patterns
from django.urls import include, path

urlpatterns = [
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    *i18n_patterns(path("connections/", include("reciprocal_oauth.urls"))),
]
