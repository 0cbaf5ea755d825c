from django.urls import path

from . import smart_home
from .api import HistoryView, PlayerView
from .views import HomeView, NextView

urlpatterns = [
    path("", HomeView.as_view(), name="home"),
    path("next/", NextView.as_view(), name="next"),
    path("api/player/", PlayerView.as_view()),
    path("api/history/", HistoryView.as_view()),
    path("smart-home/smartthings/", smart_home.smartthings),
    path("smart-home/google/", smart_home.google),
]
