"""Redirects a person to the peer for authorization, and receives the response of the peer.

These are the steps (A) to (D) of the figure in draft-ietf-oauth-reciprocal-04, section 2. Together,
they are the authorization code grant of RFC 6749, section 4.1.
"""

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
from ..core import reauthentication, site_address
from ..core.database import outside_transactions
from ..exceptions import AuthorizationFailed
from ..models import AuthorizationRequest, Peer
from ..party_a import attempts, authorization, callback, consent, return_urls
from ..party_a.exchange import exchange
from ..presentation import attempt_remedies
from ..redaction.error_reports import take_query
from . import back_to_app, same_site
from .headers import ProtectedPageMixin

logger = logging.getLogger("reciprocal_oauth.pages")


class SeeOther(HttpResponseRedirect):
    """A redirect with status 303, after which the browser requests the next page with GET
    (RFC 9110, section 15.4.4; RFC 9700, section 4.12)."""

    status_code = 303


@method_decorator(login_not_required, name="dispatch")
class ConnectView(ProtectedPageMixin, LoginRequiredMixin, View):
    """Redirects the person to the peer (RFC 6749, section 4.1.1). This is step (A) of the figure in
    draft-ietf-oauth-reciprocal-04, section 2.

    Only POST does this. If GET did it too, a hyperlink on another site could do so.
    """

    http_method_names = ["get", "head", "post", "options"]

    def handle_no_permission(self) -> HttpResponseRedirect:
        """Redirect to the login page, which redirects to the list of connections afterwards."""
        # The login page redirects with GET, but only POST starts a connection. So the next page is
        # the list, where the person can press the button again. LoginRequiredMiddleware would use
        # this view as the next page, so ``login_not_required`` exempts this view.
        page = self.request.build_absolute_uri(reverse("reciprocal_oauth:list"))
        return redirect_to_login(page, self.get_login_url(), self.get_redirect_field_name())

    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Redirect to the list of connections, because only POST starts a connection."""
        # GET happens if a person opens this address again, for example from the browser history.
        return redirect("reciprocal_oauth:list")

    @method_decorator(sensitive_variables())
    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Redirect to the authorization endpoint of the peer (RFC 6749, section 4.1.1).

        The peer sends the browser back to the main host of this site. If the browser now uses
        another host and would have no session at the main host, redirect to the list of connections
        at the main host instead. The person can log in and start the connection at the main host.

        If people cannot start at this site to connect with the peer, the response is a page with
        status 409 that says so (RFC 9110, section 15.5.10).

        :raises Http404: there is no enabled peer with this short name.
        """
        peer = get_object_or_404(Peer, slug=slug, enabled=True)
        if not peer.can_start:
            return render(request, "reciprocal_oauth/start_there.html", {"peer": peer}, status=409)
        if site_address.cannot_come_back(request):
            page = "reciprocal_oauth:list"
            return SeeOther(site_address.url_of(page, base=site_address.base_url()))
        if question := reauthentication.ask(request, reverse("reciprocal_oauth:list")):
            return question
        started = authorization.begin(request, peer)
        response = SeeOther(started.url.reveal())
        started.bind_to_browser(response)
        return response


# Exempt this view from ATOMIC_REQUESTS for two reasons. The view waits for responses of the peer,
# and no transaction should be open during this time. And if the view fails later, the database must
# still know that ``state`` was used.
@method_decorator([login_not_required, outside_transactions], name="dispatch")
class CallbackView(ProtectedPageMixin, View):
    """Receives the authorization response at the redirect URI (RFC 6749, section 4.1.2), and gets
    the tokens. These are the steps (B) to (D) of the figure in draft-ietf-oauth-reciprocal-04,
    section 2.

    A person who is not signed in gets a page that says what to do. This view does not redirect them
    to the login page, because its address would then contain the authorization code.
    """

    http_method_names = ["get", "options"]
    # The address contains ``state`` and ``code``, so the browser must not send it to other pages in
    # the header ``Referer`` (RFC 9700, section 4.2.4).
    referrer_policy = "no-referrer"

    @method_decorator(sensitive_variables())
    def get(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Exchange the code of the response for tokens (RFC 6749, section 4.1.3), and redirect to
        the next page.

        :raises Http404: the address has no parameters, and no enabled peer has this short name.
        """
        try:
            query = take_query(request)
        except SuspiciousOperation as unreadable:
            logger.warning("A callback could not be read: %s", type(unreadable).__name__)
            return _refuse(slug)
        if not query.keys() - {same_site.AGAIN}:
            # The address has no parameters: _refuse() has redirected the browser to it, or a person
            # has typed it.
            peer = get_object_or_404(Peer, slug=slug, enabled=True)
            return render(
                request, "reciprocal_oauth/callback_refused.html", {"peer": peer}, status=400
            )
        if same_site.lacks_strict_session(request, query):
            # The returned page makes the browser repeat this request, with the same ``state``. Do
            # not call claim_visit() now: it accepts each ``state`` only once, so it would refuse
            # the repeated request.
            return same_site.ask_again(query)
        try:
            peer = Peer.objects.get(slug=slug, enabled=True)
        except Peer.DoesNotExist:
            return _refuse(slug)
        try:
            visit, is_first = callback.claim_visit(query, peer=peer, request=request)
        except callback.StateRefused as refused:
            logger.warning("A callback for peer %s was refused: %s", peer.slug, refused)
            if refused.visit:
                _fail(refused.visit, AuthorizationFailed(refused.problem, str(refused)))
            return _refuse(slug)
        if is_first:
            try:
                exchange(visit, callback.read_response(query, visit))
            except AuthorizationFailed as failed:
                _fail(visit, failed)
        front_end = "" if visit.asks_here else return_urls.return_url(visit)
        return SeeOther(front_end or _page_after(visit))


def _fail(visit: AuthorizationRequest, failed: AuthorizationFailed) -> None:
    """Store and log why ``visit`` led to no link."""
    attempts.record_failure(visit, failed)
    is_choice = failed.reason == AuthorizationRequest.Problem.DENIED
    logger.log(
        logging.INFO if is_choice else logging.WARNING,
        "Connecting to peer %s failed: %s",
        visit.peer.slug,
        attempt_remedies.for_log(visit),
    )


def _refuse(slug: str) -> HttpResponse:
    """Redirect to the same address without parameters. The page there says that this site did not
    use the response.

    Without the redirect, ``code`` and ``state`` would stay in the history of the browser (RFC 9700,
    section 4.3.1).
    """
    return SeeOther(reverse("reciprocal_oauth:callback", args=[slug]))


def _page_after(visit: AuthorizationRequest) -> str:
    """Return the path of the page to show after ``visit``.

    - If an app has started the visit, and the person cannot decide anything now: the page from
      which the person returns to the app.
    - If the visit led to no link: the list of connections. If the visit failed, the list says why.
    - If the person can now decide what the peer may do at this site: the consent page.
    - Otherwise: the page of the link.
    """
    with translation.override(visit.language or translation.get_language()):
        if visit.link and consent.can_answer(visit.link):
            page = reverse("reciprocal_oauth:consent", args=[visit.link.pk])
            return back_to_app.keep_visit(page, visit)
        if back_to_app.returns_to_app(visit):
            return back_to_app.path_of(visit)
        if visit.link:
            return reverse("reciprocal_oauth:link", args=[visit.link.pk])
        page = reverse("reciprocal_oauth:list")
        return f"{page}?attempt={visit.pk}" if visit.problem else page
