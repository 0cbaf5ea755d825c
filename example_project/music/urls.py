from django.urls import path

from .api import HistoryView, PlayerView
from .views import HomeView, NextView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("next/", NextView.as_view(), name="next"),
    path("api/player/", PlayerView.as_view()),
    path("api/history/", HistoryView.as_view()),
]
