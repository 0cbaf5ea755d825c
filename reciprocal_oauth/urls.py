"""The routes of the pages on which users connect with peers and manage their links, and the
addresses at which vendors hand over their codes.

A site includes them with ``path("connections/", include("reciprocal_oauth.urls"))``.
"""

from django.urls import path

from .pages.back_to_app import BackToAppView
from .pages.connect import CallbackView, ConnectView
from .pages.consent import ConsentView
from .pages.disconnect import DisconnectView
from .pages.health import HealthView, LivenessView
from .pages.links import LinkListView, LinkView, StatusView
from .pages.logo import LogoView
from .pages.pair import PairView
from .pages.retry import RetryView
from .pages.scopes import ScopesView
from .pages.start import StartView
from .provider.own_address import HandoverView

app_name = "reciprocal_oauth"

urlpatterns = [
    # This is the first route, so that a peer can have the short name "connect". No peer can have
    # the short name "handover".
    path("handover/<slug:slug>/", HandoverView.as_view(), name="handover"),
    # Peers can have the short name "health": their routes have another second part.
    path("health/", HealthView.as_view(), name="health"),
    path("health/live/", LivenessView.as_view(), name="live"),
    path("pair/", PairView.as_view(), name="pair"),
    path("", LinkListView.as_view(), name="list"),
    path("links/<uuid:pk>/", LinkView.as_view(), name="link"),
    path("links/<uuid:pk>/status/", StatusView.as_view(), name="status"),
    path("links/<uuid:pk>/consent/", ConsentView.as_view(), name="consent"),
    path("links/<uuid:pk>/scopes/", ScopesView.as_view(), name="scopes"),
    path("links/<uuid:pk>/retry/", RetryView.as_view(), name="retry"),
    path("links/<uuid:pk>/disconnect/", DisconnectView.as_view(), name="disconnect"),
    path("visits/<uuid:pk>/back/", BackToAppView.as_view(), name="back_to_app"),
    path("<slug:slug>/start/", StartView.as_view(), name="start"),
    path("<slug:slug>/connect/", ConnectView.as_view(), name="connect"),
    path("<slug:slug>/callback/", CallbackView.as_view(), name="callback"),
    path("<slug:slug>/logo/", LogoView.as_view(), name="logo"),
]
