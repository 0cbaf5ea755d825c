"""The admin page with the values that the administrator of the other site needs to register this
site there. An administrator of this site can also make a new client secret for the other site on
this page. The page shows this secret only once."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
)
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_application_model

from ..core import site_address
from ..models import Pairing, Peer
from ..peers import application_secret, sheet_file
from ..peers.sheet import Sheet, console_lines, sheet_for
from ..presentation import pairing_status
from ..redaction.error_reports import holding_secrets
from ..secret import Secret
from ..vendors import preset_of

#: The labels of the values on the page. The administrator of the other site reads them, so “your
#: site” means the other site.
_LABELS = {
    "client_id": _("Client ID of your site here"),
    "redirect_uri": _("Redirect URI of this site"),
    "client_type": _("Client type of this site"),
    "grant_types": _("Grant types of this site"),
    "response_types": _("Response types of this site"),
    "issuer": _("Issuer"),
    "metadata": _("Metadata"),
    "authorization_endpoint": _("Authorization endpoint"),
    "token_endpoint": _("Token endpoint"),
    "revocation_endpoint": _("Revocation endpoint"),
    "reciprocal_endpoint": _("Reciprocal endpoint"),
    "scope_here": _("Scopes that your site may have here"),
    "scope_there": _("Scopes that this site requests at your site"),
    "handover": _("Address of this site for your site alone"),
    "jwks_uri": _("Public keys of this site"),
    "keys": _("Thumbprints of these keys"),
}


class PeerSheetMixin(admin.ModelAdmin):
    """Adds the page with the values that the administrator of the other site must enter there."""

    def get_urls(self) -> list[Any]:
        """Return the URLs of the admin class, and the URL of the page for the other site."""
        view = holding_secrets(self.admin_site.admin_view(self.sheet_view))
        name = f"{self.opts.app_label}_{self.opts.model_name}_sheet"
        file = holding_secrets(self.admin_site.admin_view(self.sheet_file_view))
        return [
            path("<path:object_id>/sheet/", view, name=name),
            path("<path:object_id>/sheet/file/", file, name=f"{name}_file"),
            *super().get_urls(),
        ]

    def sheet_file_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Send the values for the other site as a file that it can import.

        :raises PermissionDenied: the user may not view the peer.
        :raises Http404: the peer does not exist.
        """
        peer = self._viewable(request, object_id)
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        base = site_address.base_url(request)
        document = sheet_file.document_of(peer, sheet_for(peer, base), base)
        response = JsonResponse(document, json_dumps_params={"indent": 2})
        name = f"{peer.slug}-{site_address.host_of(base)}.json"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        response["Cache-Control"] = "no-store"
        return response

    def _viewable(self, request: HttpRequest, object_id: str) -> Peer:
        peer: Peer | None = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, peer):
            raise PermissionDenied
        if peer is None:
            raise Http404
        return peer

    def has_secret_permission(self, request: HttpRequest, peer: Peer | None = None) -> bool:
        """Return whether the user may make a new client secret for the peer. This needs the
        permission to change the peer and the permission to change DOT applications."""
        return self.has_change_permission(request, peer) and self.may_change_applications(request)

    def may_change_applications(self, request: HttpRequest) -> bool:
        """Return whether the user has the permission to change DOT applications."""
        opts = get_application_model()._meta
        codename = get_permission_codename("change", opts)
        return request.user.has_perm(f"{opts.app_label}.{codename}")

    def may_create_applications(self, request: HttpRequest) -> bool:
        """Return whether the user has the permission to add DOT applications."""
        opts = get_application_model()._meta
        return request.user.has_perm(f"{opts.app_label}.add_{opts.model_name}")

    @sensitive_variables()
    def sheet_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the values for the other site. A POST request also makes a new client secret for the
        other site. This secret is shown only in the response to the request: it is never put into a
        URL or into the session.

        :raises PermissionDenied: the user may not view the peer, or may not make a new secret.
        :raises Http404: the peer does not exist.
        """
        peer = self._viewable(request, object_id)
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        secret = self._new_secret(request, peer) if request.method == "POST" else None
        return self.sheet_response(request, peer, secret)

    @sensitive_variables()
    def sheet_response(
        self, request: HttpRequest, peer: Peer, secret: Secret | None
    ) -> HttpResponse:
        """Return the page with the values for the other site.

        :param secret: the client secret of the other site at this site, if it was made just now.
        """
        sheet = sheet_for(peer, site_address.base_url(request))
        preset = preset_of(peer.dialect)
        pairing = Pairing.objects.filter(peer=peer).first()
        title = gettext("What to give to %s")
        if preset is not None:
            title = gettext("What to enter in the console for %s")
        context = {
            **self.admin_site.each_context(request),
            "title": title % peer,
            "opts": self.opts,
            "original": peer,
            "preset": preset,
            "pairing": pairing if pairing_status.exchanged_all(pairing) else None,
            "console": console_lines(peer, sheet),
            "lines": list(_lines(sheet)),
            "secret": secret,
            "mark": application_secret.fingerprint(peer),
            "has_secret_permission": self.has_secret_permission(request, peer),
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        response = TemplateResponse(request, "reciprocal_oauth/admin/peer_sheet.html", context)
        # The page may contain a secret, so no cache may store it. Django's admin sets the same
        # header, but a site can replace ``AdminSite.admin_view``.
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
            # The secret was replaced after the page was opened. Another administrator did this, or
            # the browser has sent the same form twice.
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
        """Show a message after a peer was added, with a link to the page that has the values for
        the other site."""
        url = reverse(
            f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_sheet",
            args=[obj.pk],
        )
        next_step = gettext("Next, give the other site what it needs to register this site")
        self.message_user(request, format_html('<a href="{}">{}</a>', url, next_step))
        return super().response_add(request, obj, post_url_continue)


def _lines(sheet: Sheet) -> Iterator[tuple[str, str, str]]:
    """Yield the label and the value of each line. If there is no value, the third text says so."""
    for name, value in sheet.values().items():
        absent = gettext("none") if "scope" in name else gettext("not available on this site")
        yield str(_LABELS[name]), value, "" if value else absent
