"""The page from which the person returns to the app that has started a visit (the trip of the
person to the peer and back).

The page opens the app by itself, and contains a link to it. A redirect is not enough for two
reasons. If the system has no app for the URL, the browser would show nothing at all. And a browser
refuses a redirect after a form if the content security policy of the site has ``form-action`` and
does not name the URL.
"""

from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.generic import View

from ..models import AuthorizationRequest, Link
from ..party_a import return_urls
from ..presentation.history import problem_in_words
from .headers import ProtectedPageMixin

#: The query parameter of the consent page that contains the ID of the visit.
VISIT = "visit"


class BackToAppView(ProtectedPageMixin, LoginRequiredMixin, View):
    """Says what became of the visit, and sends the person back to the app."""

    http_method_names = ["get", "head", "options"]
    # The app need not know the address of this page.
    referrer_policy = "no-referrer"

    def get(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Show the result, and make the browser open the app. If the site does not allow the URL of
        the app any more, redirect to the page of the link or to the list of connections.

        :raises Http404: no app has started a visit with this key for the signed-in person.
        """
        visits = AuthorizationRequest.objects.select_related("peer", "link")
        visit = get_object_or_404(visits, pk=pk, user=request.user, asks_here=True)
        url = return_urls.return_url(visit)
        if not url:
            return _to_own_page(visit)
        context = {
            "peer": visit.peer,
            "result": return_urls.result_of(visit),
            "problem": problem_in_words(visit) if visit.problem and not visit.link else "",
            "url": url,
            "host": "" if _is_of_app(url) else urlsplit(url).netloc,
        }
        response = render(request, "reciprocal_oauth/back_to_app.html", context)
        response["Refresh"] = f"0; url={url}"
        return response


def returns_to_app(visit: AuthorizationRequest) -> bool:
    """Return whether an app has started ``visit`` and wants the person back."""
    return visit.asks_here and bool(visit.return_to)


def path_of(visit: AuthorizationRequest) -> str:
    """Return the path of the page from which the person returns to the app."""
    return reverse("reciprocal_oauth:back_to_app", args=[visit.pk])


def keep_visit(page: str, visit: AuthorizationRequest) -> str:
    """Return ``page``, the path of the consent page. If an app has started ``visit``, add the visit
    to the query, so that the person returns to the app after the answer."""
    return f"{page}?{urlencode({VISIT: visit.pk})}" if returns_to_app(visit) else page


def visit_in_query(request: HttpRequest, link: Link) -> AuthorizationRequest | None:
    """Return the visit that the query of the consent page of ``link`` names, or ``None`` if the
    person stays at this site."""
    try:
        key = UUID(request.GET.get(VISIT, ""))
    except ValueError:
        return None
    visits = AuthorizationRequest.objects.filter(pk=key, user=link.user_id, link=link)
    visit = visits.first()
    return visit if visit and returns_to_app(visit) else None


def _is_of_app(url: str) -> bool:
    return not return_urls.is_of_web(url) or url.startswith("http://")


def _to_own_page(visit: AuthorizationRequest) -> HttpResponse:
    if visit.link_id:
        return redirect("reciprocal_oauth:link", visit.link_id)
    page = reverse("reciprocal_oauth:list")
    return redirect(f"{page}?attempt={visit.pk}" if visit.problem else page)
