"""Who may pair this site with another one, and what the pages for it have in common.

A pairing makes a peer and its application (the DOT client of the other site at this site). So it
needs the permission to add both, and a renewal needs the permission to change both.
"""

from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin import helpers
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_permission_codename
from django.core.exceptions import PermissionDenied
from django.db import models
from django.forms import BaseForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
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


def can_be_ended(pairing: Pairing | None) -> bool:
    """Return whether the pairing is complete, so that it can be ended."""
    return (
        pairing is not None
        and pairing.state == Pairing.State.COMPLETE
        and pairing.peer_id is not None
    )


def can_be_rotated(pairing: Pairing | None) -> bool:
    """Return whether this site has a client secret there, and can ask for another one (RFC 7592,
    section 2.2)."""
    if pairing is None or not can_be_ended(pairing):
        return False
    uses_key = pairing.auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT
    return bool(pairing.our_management_uri and pairing.our_token) and not uses_key


class PairingPagesMixin(admin.ModelAdmin):
    """What the pages of pairings have in common."""

    def may_decide(self, request: HttpRequest, pairing: Pairing) -> bool:
        """Return whether the user may confirm or withdraw ``pairing``, or try again."""
        return may_renew(request) if pairing.renews else may_pair(request)

    def pairing_of(self, request: HttpRequest, object_id: str) -> Pairing:
        """Return the pairing with this primary key.

        :raises PermissionDenied: the user may not view pairings.
        :raises Http404: the pairing does not exist.
        """
        self.require(self.has_view_permission(request))
        pairing: Pairing | None = self.get_object(request, unquote(object_id))
        if pairing is None:
            raise Http404
        return pairing

    def back_to(
        self, request: HttpRequest, pairing: Pairing, text: str = "", level: int = messages.SUCCESS
    ) -> HttpResponse:
        """Redirect to the page of the pairing, which shows ``text``."""
        if text:
            self.message_user(request, text, level)
        page = f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_change"
        return redirect(page, pairing.pk)

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
