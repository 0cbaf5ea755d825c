"""What the admin pages of peers say about pairings, and the buttons there that begin one."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from ..models import Pairing
from .pairing_rights import can_be_ended, can_be_rotated, may_pair, may_renew


class PeerPairingMixin(admin.ModelAdmin):
    """Adds the buttons that pair this site with another one, to the list and to the page of a
    peer."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Render the list of peers, with the buttons that begin a pairing."""
        may = {"may_pair": self._has_pairings() and may_pair(request)}
        response: HttpResponse = super().changelist_view(request, {**may, **(extra_context or {})})
        return response

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Render the page of a peer. Say when it was paired, and let the user renew it."""
        peer: Any = self.get_object(request, object_id)
        more: dict[str, Any] = {}
        if peer is not None and self._has_pairings():
            pairing = Pairing.objects.filter(peer=peer).first()
            more = {
                "pairing": pairing,
                "may_renew": may_renew(request) and peer.dialect == "ietf",
                "may_rotate": may_renew(request) and can_be_rotated(pairing),
                "may_end": may_renew(request) and can_be_ended(pairing),
            }
        response: HttpResponse = super().change_view(
            request, object_id, form_url, {**more, **(extra_context or {})}
        )
        return response

    def _has_pairings(self) -> bool:
        return self.admin_site.is_registered(Pairing)
