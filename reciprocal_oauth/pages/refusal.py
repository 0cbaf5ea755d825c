"""The page that says that the rules of this site do not let the person give the peer access."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..models import Peer


def not_allowed(request: HttpRequest, peer: Peer, back: str = "") -> HttpResponse:
    """Return the page that says that this site does not allow the access, with status 403.

    :param back: the URL of the button "Go back", if the peer has sent the person to this site;
        otherwise empty. The URL tells the peer that access was refused (RFC 6749, section 4.1.2.1).
    """
    context = {"peer": peer, "back": back}
    return render(request, "reciprocal_oauth/not_allowed.html", context, status=403)
