"""The views that both sites have."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.views.generic import TemplateView, View

from reciprocal_oauth.models import Link

from .other_site import CallFailed, call

SESSION_KEY = "last_check"


@method_decorator(login_not_required, name="dispatch")
class SiteHomeView(TemplateView):
    """The home page. It describes the site and shows the user's links with the other site. If one
    of these links can be used to call the other site, the page has a button for this."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context = super().get_context_data(**kwargs)
        user = self.request.user
        if user.is_authenticated:
            links = Link.objects.filter(
                user=user, peer__slug=settings.ROLE.other.slug, status=Link.Status.ACTIVE
            ).select_related("peer")
            context["links"] = links
            context["can_call"] = any(
                link.peer.enabled and link.outgoing_state == Link.Outgoing.ACTIVE for link in links
            )
            context["check"] = self.request.session.get(SESSION_KEY)
        return context


class CheckView(LoginRequiredMixin, View):
    """Calls the other site with the user's access token, and shows which user and which client the
    other site finds in this token."""

    http_method_names = ["post", "options"]

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            answer = call(request.user, "GET", "api/whoami/")
        except CallFailed as failed:
            messages.error(request, str(failed))
            request.session.pop(SESSION_KEY, None)
        else:
            names = ("username", "scope", "client_id")
            request.session[SESSION_KEY] = {name: str(answer.get(name, "")) for name in names}
        return redirect("home")
