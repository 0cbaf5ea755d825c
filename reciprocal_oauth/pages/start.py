"""The page that an app opens in the browser of the system to connect a peer (RFC 8252, section 6).

The page asks whether the person wants to connect the peer with the account that they are signed in
to here. After the visit to the peer and the consent page, the person returns to the app.
"""

import logging
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from django.views.generic import View

from ..compat import login_not_required
from ..core import reauthentication
from ..models import Peer
from ..party_a import app_starts, authorization, return_urls
from ..party_a.app_starts import AppStart, StartRefused, StartTooLate, StartUsed
from ..redaction.error_reports import holding_secrets
from . import same_site
from .connect import SeeOther
from .headers import ProtectedPageMixin

logger = logging.getLogger("reciprocal_oauth.pages")


class _OtherAccount(StartRefused):
    """The browser is signed in with another account than the app."""

    def __init__(self, start: AppStart) -> None:
        super().__init__("the browser is signed in with another account")
        self.start = start


@method_decorator([login_not_required, holding_secrets], name="dispatch")
class StartView(ProtectedPageMixin, View):
    """Asks whether to connect the peer (GET), and redirects the person to the peer (POST; RFC 6749,
    section 4.1.1).

    Only POST starts a connection, as on the list of connections. A page of another site can open
    the URL, but cannot press the button.

    This view sends persons who are not signed in to the login page itself, because the session
    cookie can be missing in the first request (:mod:`.same_site`).
    """

    http_method_names = ["get", "head", "post", "options"]

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Ask whether to connect the peer.

        :raises Http404: there is no enabled peer with this short name.
        """
        if same_site.lacks_strict_session(request, request.GET):
            return same_site.ask_again(request.GET)
        peer = get_object_or_404(Peer, slug=slug, enabled=True)
        text = request.GET.get("start", "")
        try:
            start = _read(text, peer)
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            _require_same_account(start, request)
        except StartRefused as refused:
            return _refuse(request, peer, refused)
        if question := reauthentication.ask(request, request.get_full_path()):
            return question
        context = {
            "peer": peer,
            "application": start.application,
            "start": text,
            "cancel": _url_back(start, peer, result="denied"),
        }
        return render(request, "reciprocal_oauth/start.html", context)

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Redirect to the authorization endpoint of the peer (RFC 6749, section 4.1.1).

        :raises Http404: there is no enabled peer with this short name.
        """
        peer = get_object_or_404(Peer, slug=slug, enabled=True)
        try:
            start = _read(request.POST.get("start", ""), peer, while_on_page=True)
            page = f"{request.path}?{urlencode({'start': request.POST['start']})}"
            if not request.user.is_authenticated:  # The session has ended meanwhile.
                return redirect_to_login(page)
            _require_same_account(start, request)
            if question := reauthentication.ask(request, page):
                return question
            started = authorization.begin(request, peer, start=start)
        except StartRefused as refused:
            return _refuse(request, peer, refused)
        response = SeeOther(started.url.reveal())
        started.bind_to_browser(response)
        return response


@sensitive_variables()
def _read(text: str, peer: Peer, *, while_on_page: bool = False) -> AppStart:
    start = app_starts.read(text, while_on_page=while_on_page)
    if start.peer != str(peer.pk):
        raise StartRefused("the start is for another peer")
    if not peer.can_start:
        raise StartRefused("people start at the peer, not at this site")
    return start


def _require_same_account(start: AppStart, request: HttpRequest) -> None:
    """Check that the browser is signed in with the account of the app. Otherwise the account at the
    peer of the person at the browser would be linked to the account of somebody else (RFC 6749,
    section 10.12).

    :raises StartRefused: another account is signed in, or none.
    """
    if start.user != str(request.user.pk):
        raise _OtherAccount(start)


def _refuse(request: HttpRequest, peer: Peer, refused: StartRefused) -> HttpResponse:
    """Return the page that says why nothing was started. It does not name the account of the
    app, because another person may be at the browser."""
    logger.info("A start of an app for peer %s was refused: %s", peer.slug, refused)
    context: dict[str, Any] = {"peer": peer, "reason": "invalid"}
    status = 400
    match refused:
        case StartTooLate():
            context["reason"], status = "too_late", 410
            context["back"] = _url_back(refused.start, peer, result="failed", problem="too_late")
        case _OtherAccount():
            context["reason"], status = "other_account", 403
            context["back"] = _url_back(
                refused.start, peer, result="failed", problem="other_account"
            )
        case StartUsed():
            context["reason"], status = "used", 409
    return render(request, "reciprocal_oauth/start_refused.html", context, status=status)


def _url_back(start: AppStart, peer: Peer, **result: str) -> str:
    return return_urls.with_result(start.return_to, peer.slug, start.state, **result)
