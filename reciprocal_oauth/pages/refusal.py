"""The page that says that the rules of this site do not let the person give the peer access."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import Peer


def not_allowed(request: HttpRequest, peer: Peer, back: str = "") -> HttpResponse:
    """Return the page that says that this site does not allow the access, with status 403.

    :param back: the URL at the peer to which the person can return, if the peer waits for a
        response; it tells the peer that access was refused. Otherwise empty.
    """
    context = {"peer": peer, "back": back}
    return render(request, "reciprocal_oauth/not_allowed.html", context, status=403)
