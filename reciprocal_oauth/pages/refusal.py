"""The page that says that the rules of the site do not allow an action."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import Peer


def not_allowed(request: HttpRequest, peer: Peer, back: str = "") -> HttpResponse:
    """Return the page, with status 403.

    :param back: the address at which the peer learns of the refusal, if it waits for a response.
    """
    context = {"peer": peer, "back": back}
    return render(request, "reciprocal_oauth/not_allowed.html", context, status=403)
