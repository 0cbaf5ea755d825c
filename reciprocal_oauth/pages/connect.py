"""Going to the peer and coming back: steps (A) to (D)."""

import logging

from django.contrib.auth.mixins import LoginRequiredMixin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import translation
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_variables
from django.views.generic import View

from ..compat import login_not_required
from ..core import site_address
from ..core.database import outside_transactions, tried_again
from ..exceptions import AuthorizationFailed
from ..models import AuthorizationRequest, Peer
from ..party_a import authorization, callback, consent, return_urls
from ..party_a.exchange import exchange
from ..redaction.error_reports import take_query
from . import same_site
from .headers import ProtectedPageMixin

logger = logging.getLogger("reciprocal_oauth.pages")


class SeeOther(HttpResponseRedirect):
    """303: what comes next is fetched with GET, and the address with the code is left behind."""

    status_code = 303


@method_decorator(login_not_required, name="dispatch")
class ConnectView(ProtectedPageMixin, LoginRequiredMixin, View):
    """Step (A): sends the person to the peer. With POST only: a link that someone else placed must
    not start it."""

    http_method_names = ["get", "head", "post", "options"]

    def handle_no_permission(self) -> HttpResponseRedirect:
        # Signing in leads on with GET, which starts nothing: so it leads to the list. The
        # middleware that asks for a login would not know that, and leaves it to this view.
        page = self.request.build_absolute_uri(reverse("reciprocal_oauth:list"))
        return redirect_to_login(page, self.get_login_url(), self.get_redirect_field_name())

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        # Somebody opens the address again, from the history of the browser or out of an error.
        return redirect("reciprocal_oauth:list")

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        peer = get_object_or_404(Peer, slug=slug, enabled=True)
        if site_address.cannot_come_back(request):
            page = "reciprocal_oauth:list"
            return SeeOther(site_address.url_of(page, base=site_address.base_url()))
        started = authorization.begin(request, peer)
        response = SeeOther(started.url.reveal())
        started.bind_to_browser(response)
        return response


# No transaction is open while a peer is asked, and a state that was spent stays spent.
@method_decorator([login_not_required, outside_transactions], name="dispatch")
class CallbackView(ProtectedPageMixin, View):
    """Steps (B) to (D): takes the peer's answer. This is the redirect URI that is registered there.

    Open to people who are not signed in: sending them to the login page would put the code into
    its address. They get a page that says what to do.
    """

    http_method_names = ["get", "options"]
    # The address holds state and code: no page that it leads to may learn them.
    referrer_policy = "no-referrer"

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        try:
            query = take_query(request)
        except SuspiciousOperation as unreadable:
            logger.warning("A callback could not be read: %s", type(unreadable).__name__)
            return _refuse(slug)
        if not query.keys() - {same_site.AGAIN}:
            # Where a refused answer leads to, or somebody has typed the address.
            peer = get_object_or_404(Peer, slug=slug, enabled=True)
            return render(
                request, "reciprocal_oauth/callback_refused.html", {"peer": peer}, status=400
            )
        if same_site.lacks_strict_session(request, query):
            # Before anything else: the first answer to a state spends it.
            return same_site.ask_again(query)
        try:
            peer = Peer.objects.get(slug=slug, enabled=True)
        except Peer.DoesNotExist:
            return _refuse(slug)
        try:
            visit, is_first = callback.claim_visit(query, peer=peer, request=request)
        except callback.StateRefused as refused:
            logger.warning("A callback for peer %s was refused: %s", peer.slug, refused)
            return _refuse(slug)
        if is_first:
            try:
                exchange(visit, callback.read_response(query, visit))
            except AuthorizationFailed as failed:
                is_choice = failed.reason == AuthorizationRequest.Problem.DENIED
                level = logging.INFO if is_choice else logging.WARNING
                logger.log(level, "Connecting to peer %s failed: %s", peer.slug, failed)
                visit.problem = failed.reason
                # Not save(): the visit may have been deleted with its user meanwhile.
                rows = AuthorizationRequest.objects.filter(pk=visit.pk)
                tried_again(rows.update)(problem=failed.reason)
        return SeeOther(return_urls.return_url(visit) or _page_after(visit))


def _refuse(slug: str) -> HttpResponse:
    """To the same address without code and state, where a page says that they were not taken: shown
    here, it would keep them in the address bar and in the history of the browser."""
    return SeeOther(reverse("reciprocal_oauth:callback", args=[slug]))


def _page_after(visit: AuthorizationRequest) -> str:
    """Where a person goes next: to the question, if there is one, else to the connection; where
    there is none, to the list, which says why."""
    with translation.override(visit.language or translation.get_language()):
        if visit.link:
            name = "consent" if consent.can_answer(visit.link) else "link"
            return reverse(f"reciprocal_oauth:{name}", args=[visit.link.pk])
        page = reverse("reciprocal_oauth:list")
        return f"{page}?attempt={visit.pk}" if visit.problem else page
