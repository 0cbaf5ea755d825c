"""“Give this to the other site”: what it needs to register this one, and its secret, shown once."""

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

#: The lines of the sheet, in the words of who reads it at the other site.
_LABELS = {
    "client_id": _("Client ID of your site here"),
    "redirect_uri": _("Redirect URI of this site"),
    "issuer": _("Issuer"),
    "metadata": _("Metadata"),
    "authorization_endpoint": _("Authorization endpoint"),
    "token_endpoint": _("Token endpoint"),
    "revocation_endpoint": _("Revocation endpoint"),
    "reciprocal_endpoint": _("Reciprocal endpoint"),
    "scope_here": _("Scopes that your site may hold here"),
    "scope_there": _("Scopes that this site asks of yours"),
}


class PeerSheetMixin(admin.ModelAdmin):
    """Adds the page with the sheet."""

    def get_urls(self) -> list[Any]:
        view = holding_secrets(self.admin_site.admin_view(self.sheet_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_sheet"
        return [path("<path:object_id>/sheet/", view, name=name), *super().get_urls()]

    def has_secret_permission(self, request: HttpRequest, peer: Peer | None = None) -> bool:
        """Whether somebody may give the peer a new secret here: who may change both of its
        registrations."""
        return self.has_change_permission(request, peer) and self.may_change_applications(request)

    def may_change_applications(self, request: HttpRequest) -> bool:
        opts = get_application_model()._meta
        codename = get_permission_codename("change", opts)
        return request.user.has_perm(f"{opts.app_label}.{codename}")

    @sensitive_variables()
    def sheet_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """GET shows the sheet; POST makes a new secret, which is in this one answer only: not in
        an address, nor in the session."""
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
        # Django's admin says so as well, unless a site makes its pages cacheable.
        response["Cache-Control"] = "no-store"
        return response

    @sensitive_variables()
    def _new_secret(self, request: HttpRequest, peer: Peer) -> Secret | None:
        if not self.has_secret_permission(request, peer):
            raise PermissionDenied
        if "sure" not in request.POST:
            text = gettext("Nothing was changed: tick the box to make a new secret.")
            self.message_user(request, text, messages.ERROR)
            return None
        secret = application_secret.replace(peer, request.POST.get("mark", ""))
        if secret is None:
            # Somebody else was faster, or this is the same form once more, by a reload.
            text = gettext(
                "Nothing was changed: the secret has been replaced since this page was opened."
            )
            self.message_user(request, text, messages.ERROR)
            return None
        for row in (peer, peer.application):
            self.log_change(request, row, gettext("Made a new client secret."))
        return secret

    def response_add(
        self, request: HttpRequest, obj: Peer, post_url_continue: str | None = None
    ) -> HttpResponse:
        url = reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sheet",
            args=[obj.pk],
        )
        next_step = gettext("Next, give the other site what it needs to know of this one")
        self.message_user(request, format_html('<a href="{}">{}</a>', url, next_step))
        return super().response_add(request, obj, post_url_continue)


def _lines(peer: Peer, request: HttpRequest) -> Iterator[tuple[str, str]]:
    sheet = sheet_for(peer, site_address.base_url(request))
    for name, value in vars(sheet).items():
        absent = gettext("none") if "scope" in name else gettext("not served here")
        yield str(_LABELS[name]), value or absent
