from django.urls import path

from .api import NowPlayingView, ProfileView
from .views import HomeView, PlayView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("play/", PlayView.as_view(), name="play"),
    path("api/now-playing/", NowPlayingView.as_view()),
    path("api/profile/", ProfileView.as_view()),
]
