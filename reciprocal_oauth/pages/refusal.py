"""The page that says that the rules of this site do not let the person give the peer access."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import Peer


def not_allowed(request: HttpRequest, peer: Peer, back: str = "") -> HttpResponse:
    """Return the page that says that this site does not allow the access, with status 403.

    :param back: if the peer has sent the person to this site and waits for a response, the URL of
        the button "Go back", which tells the peer that access was refused; otherwise empty.
    """
    context = {"peer": peer, "back": back}
    return render(request, "reciprocal_oauth/not_allowed.html", context, status=403)
