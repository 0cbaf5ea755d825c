"""Sends a person to the peer and takes the response: steps (A) to (D) of
draft-ietf-oauth-reciprocal-04, section 2, which are those of RFC 6749, section 4.1."""

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
    """303: the browser opens the next page with GET (RFC 9110, section 15.4.4; RFC 9700,
    section 4.12)."""

    status_code = 303


@method_decorator(login_not_required, name="dispatch")
class ConnectView(ProtectedPageMixin, LoginRequiredMixin, View):
    """Step (A): sends the person to the peer (RFC 6749, section 4.1.1). Only POST does so: a link
    on another site must not start it."""

    http_method_names = ["get", "head", "post", "options"]

    def handle_no_permission(self) -> HttpResponseRedirect:
        """Redirect to the login page, and from there to the list."""
        # After signing in, the browser uses GET, which starts nothing: so this leads to the list.
        # Django's LoginRequiredMiddleware cannot know that, and leaves it to this view.
        page = self.request.build_absolute_uri(reverse("reciprocal_oauth:list"))
        return redirect_to_login(page, self.get_login_url(), self.get_redirect_field_name())

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Redirect to the list: GET never starts a connection."""
        # A person opens the address again, from the history of the browser or after an error.
        return redirect("reciprocal_oauth:list")

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Redirect to the authorization endpoint of the peer (RFC 6749, section 4.1.1).

        :raises Http404: there is no such enabled peer.
        """
        peer = get_object_or_404(Peer, slug=slug, enabled=True)
        if site_address.cannot_come_back(request):
            page = "reciprocal_oauth:list"
            return SeeOther(site_address.url_of(page, base=site_address.base_url()))
        started = authorization.begin(request, peer)
        response = SeeOther(started.url.reveal())
        started.bind_to_browser(response)
        return response


# No transaction is open while a peer is called, and a state that was used stays used.
@method_decorator([login_not_required, outside_transactions], name="dispatch")
class CallbackView(ProtectedPageMixin, View):
    """Steps (B) to (D): takes the authorization response at the redirect URI (RFC 6749, section
    4.1.2).

    Open to people who are not signed in: redirecting them to the login page would put the code into
    the address of that page. They get a page that says what to do.
    """

    http_method_names = ["get", "options"]
    # The address holds state and code: no other page may learn them (RFC 9700, section 4.2.4).
    referrer_policy = "no-referrer"

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Exchange the code of the response for tokens (RFC 6749, section 4.1.3), and redirect to
        the next page.

        :raises Http404: the address has no parameters, and there is no such enabled peer.
        """
        try:
            query = take_query(request)
        except SuspiciousOperation as unreadable:
            logger.warning("A callback could not be read: %s", type(unreadable).__name__)
            return _refuse(slug)
        if not query.keys() - {same_site.AGAIN}:
            # The browser comes from _refuse, or a person has typed the address.
            peer = get_object_or_404(Peer, slug=slug, enabled=True)
            return render(
                request, "reciprocal_oauth/callback_refused.html", {"peer": peer}, status=400
            )
        if same_site.lacks_strict_session(request, query):
            # Before anything else: the first response with a state uses it up.
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
    """Redirect to the same address without code and state, where a page says that the response was
    not used. Shown here, the page would keep both in the history of the browser."""
    return SeeOther(reverse("reciprocal_oauth:callback", args=[slug]))


def _page_after(visit: AuthorizationRequest) -> str:
    """Return the page to show next: the consent if there is something to answer, else the link;
    without a link, the list, which says why."""
    with translation.override(visit.language or translation.get_language()):
        if visit.link:
            name = "consent" if consent.can_answer(visit.link) else "link"
            return reverse(f"reciprocal_oauth:{name}", args=[visit.link.pk])
        page = reverse("reciprocal_oauth:list")
        return f"{page}?attempt={visit.pk}" if visit.problem else page
