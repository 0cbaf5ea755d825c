"""The URLs of the API. A site includes them with
``path("api/reciprocal/", include("reciprocal_oauth.api.urls"))``.
"""

import importlib.util

from django.urls import path, re_path

from .start_view import StartView
from .views import (
    ConnectView,
    ConsentView,
    LinksView,
    LinkView,
    PeersView,
    RetryView,
    ScopesView,
    UnknownView,
)

if importlib.util.find_spec("drf_spectacular"):
    from . import openapi  # noqa: F401  The import registers the descriptions.

app_name = "reciprocal_oauth_api"

urlpatterns = [
    path("peers/", PeersView.as_view(), name="peers"),
    path("peers/<slug:slug>/connect/", ConnectView.as_view(), name="connect"),
    path("peers/<slug:slug>/start/", StartView.as_view(), name="start"),
    path("links/", LinksView.as_view(), name="links"),
    path("links/<uuid:pk>/", LinkView.as_view(), name="link"),
    path("links/<uuid:pk>/consent/", ConsentView.as_view(), name="consent"),
    path("links/<uuid:pk>/scopes/", ScopesView.as_view(), name="scopes"),
    path("links/<uuid:pk>/retry/", RetryView.as_view(), name="retry"),
    re_path("", UnknownView.as_view()),
]
