"""The page that says that the rules of the site do not allow what a person is about to do."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import Peer


def not_allowed(request: HttpRequest, peer: Peer, back: str = "") -> HttpResponse:
    """403. ``back``: where the peer learns that it got nothing, if it waits for an answer."""
    context = {"peer": peer, "back": back}
    return render(request, "reciprocal_oauth/not_allowed.html", context, status=403)
