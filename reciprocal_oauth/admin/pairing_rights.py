"""Who may pair this site with another one, and what the pages for it have in common.

A pairing makes a peer and its application (the DOT client of the other site at this site). So it
needs the permission to add both, and a renewal needs the permission to change both.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin import helpers
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from oauth2_provider.models import get_application_model

from ..models import Pairing, Peer


def may_pair(request: HttpRequest) -> bool:
    """Return whether the user may add peers and applications."""
    return _may(request, "add")


def may_renew(request: HttpRequest) -> bool:
    """Return whether the user may change peers and applications."""
    return _may(request, "change")


def _may(request: HttpRequest, action: str) -> bool:
    kinds: tuple[type[models.Model], ...] = (Peer, get_application_model())
    return all(
        request.user.has_perm(
            f"{each._meta.app_label}.{get_permission_codename(action, each._meta)}"
        )
        for each in kinds
    )


class PairingPagesMixin(admin.ModelAdmin):
    """What the pages of pairings have in common."""

    def may_decide(self, request: HttpRequest, pairing: Pairing) -> bool:
        """Return whether the user may confirm or withdraw ``pairing``, or try again."""
        return may_renew(request) if pairing.renews else may_pair(request)

    def require(self, is_allowed: bool) -> None:
        """Check a permission.

        :raises PermissionDenied: the user does not have it.
        """
        if not is_allowed:
            raise PermissionDenied

    def renewable(self, request: HttpRequest, issuer: str, chosen: str) -> list[Peer]:
        """Return the peers that a pairing with the site ``issuer`` can renew.

        :param issuer: ``""`` if the other site is not known yet.
        :param chosen: the primary key of the peer on whose page the user pressed *Renew*; ``""`` if
            the user did not come from there. A peer that was added by hand may have no issuer.
        """
        if not may_renew(request):
            return []
        peers = Peer.objects.filter(dialect="ietf").order_by("pk")
        found = list(peers.filter(issuer=issuer)) if issuer else []
        if chosen.isdigit():
            rows = [
                peer
                for peer in peers.filter(pk=chosen)
                if peer.issuer in ("", issuer) or not issuer
            ]
            found = [*rows, *(peer for peer in found if str(peer.pk) != chosen)]
        return found

    def admin_form(self, form: BaseForm, fieldsets: Sequence[Any]) -> helpers.AdminForm:
        """Return ``form`` as Django's admin renders its own forms. Fields that ``form`` does not
        have are left out."""
        present = [
            (
                name,
                {**options, "fields": [each for each in options["fields"] if each in form.fields]},
            )
            for name, options in fieldsets
        ]
        return helpers.AdminForm(form, present, {}, model_admin=self)  # type: ignore[arg-type]

    def render(
        self, request: HttpRequest, template: str, title: str, **context: Any
    ) -> HttpResponse:
        """Return the page ``template``. No cache may store it, because it may contain an
        invitation."""
        request.current_app = self.admin_site.name
        response = TemplateResponse(
            request,
            f"reciprocal_oauth/admin/{template}.html",
            {
                **self.admin_site.each_context(request),
                "title": title,
                "opts": self.opts,
                "media": self.media,
                **context,
            },
        )
        response["Cache-Control"] = "no-store"
        return response
