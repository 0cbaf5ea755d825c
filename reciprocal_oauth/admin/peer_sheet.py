"""“Give this to the other site”: the values that its administrator needs to register this site, and
a new client secret, which is shown once."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_application_model

from ..core import site_address
from ..models import Peer
from ..peers import application_secret
from ..peers.sheet import sheet_for
from ..redaction.error_reports import holding_secrets
from ..secret import Secret

#: The labels of the sheet. An administrator of the other site reads it: “your site” is theirs.
_LABELS = {
    "client_id": _("Client ID of your site here"),
    "redirect_uri": _("Redirect URI of this site"),
    "issuer": _("Issuer"),
    "metadata": _("Metadata"),
    "authorization_endpoint": _("Authorization endpoint"),
    "token_endpoint": _("Token endpoint"),
    "revocation_endpoint": _("Revocation endpoint"),
    "reciprocal_endpoint": _("Reciprocal endpoint"),
    "scope_here": _("Scopes that your site may have here"),
    "scope_there": _("Scopes that this site requests at yours"),
}


class PeerSheetMixin(admin.ModelAdmin):
    """Adds the page with the sheet."""

    def get_urls(self) -> list[Any]:
        """The URLs of the admin class, with the sheet."""
        view = holding_secrets(self.admin_site.admin_view(self.sheet_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_sheet"
        return [path("<path:object_id>/sheet/", view, name=name), *super().get_urls()]

    def has_secret_permission(self, request: HttpRequest, peer: Peer | None = None) -> bool:
        """Whether the user may make a new secret: needs the permissions to change the peer and to
        change applications."""
        return self.has_change_permission(request, peer) and self.may_change_applications(request)

    def may_change_applications(self, request: HttpRequest) -> bool:
        """Whether the user has the permission to change applications."""
        opts = get_application_model()._meta
        codename = get_permission_codename("change", opts)
        return request.user.has_perm(f"{opts.app_label}.{codename}")

    @sensitive_variables()
    def sheet_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows the sheet. POST makes a new secret, which is only in this one response, not in
        a URL or in the session.

        :raises PermissionDenied: the user may not view the peer, or may not make a new secret.
        :raises Http404: the peer does not exist.
        """
        peer = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, peer):
            raise PermissionDenied
        if peer is None:
            raise Http404
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        secret = self._new_secret(request, peer) if request.method == "POST" else None
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("What to give to %s") % peer,
            "opts": self.opts,
            "original": peer,
            "lines": list(_lines(peer, request)),
            "secret": secret,
            "mark": application_secret.fingerprint(peer),
            "has_secret_permission": self.has_secret_permission(request, peer),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, "reciprocal_oauth/admin/peer_sheet.html", context)
        # Django's admin does this too, unless a site makes its pages cacheable.
        response["Cache-Control"] = "no-store"
        return response

    @sensitive_variables()
    def _new_secret(self, request: HttpRequest, peer: Peer) -> Secret | None:
        if not self.has_secret_permission(request, peer):
            raise PermissionDenied
        if "sure" not in request.POST:
            text = gettext("Nothing was changed. To make a new secret, check the box.")
            self.message_user(request, text, messages.ERROR)
            return None
        secret = application_secret.replace(peer, request.POST.get("mark", ""))
        if secret is None:
            # Somebody else has made one, or the browser has sent the same form again.
            text = gettext(
                "Nothing was changed: the secret was replaced after this page was opened."
            )
            self.message_user(request, text, messages.ERROR)
            return None
        for row in (peer, peer.application):
            self.log_change(request, row, gettext("Made a new client secret."))
        return secret

    def response_add(
        self, request: HttpRequest, obj: Peer, post_url_continue: str | None = None
    ) -> HttpResponse:
        """After a peer is added, point the user to the sheet."""
        url = reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sheet",
            args=[obj.pk],
        )
        next_step = gettext("Next, give the other site what it needs to register this site")
        self.message_user(request, format_html('<a href="{}">{}</a>', url, next_step))
        return super().response_add(request, obj, post_url_continue)


def _lines(peer: Peer, request: HttpRequest) -> Iterator[tuple[str, str]]:
    sheet = sheet_for(peer, site_address.base_url(request))
    for name, value in vars(sheet).items():
        absent = gettext("none") if "scope" in name else gettext("not available on this site")
        yield str(_LABELS[name]), value or absent
