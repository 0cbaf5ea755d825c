"""Changes of a peer's address, client ID or application in the admin. The page explains them and
asks for confirmation, and the history of the peer records them."""

import hashlib
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import override

from ..links import incoming_access
from ..models import Peer
from ..models.binding import PeerChange, changes_between, describe_changes
from ..peers import reconfiguration

#: The checkbox that confirms. Its value identifies the changes that the page has explained.
SURE = "sure"


class ReconfigurationForm(forms.ModelForm):
    """Asks for confirmation before the address, the client ID or the application changes.

    :ivar moves: these changes, for the page.
    :ivar left_behind: the number of links that people have to connect again.
    :ivar people: the number of people whose tokens the new application has already.
    :ivar asks: whether the changes need confirmation.
    """

    moves: Sequence[PeerChange] = ()
    left_behind = people = 0
    asks = False

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        peer = self.instance
        stored = Peer.objects.filter(pk=peer.pk).first()
        if stored is not None:
            self.moves = changes_between(stored, peer)
        if peer.application_id not in (None, stored and stored.application_id):
            self.people = incoming_access.count_users(peer.application)
        if (self.moves or self.people) and self.data.get(SURE) != self.mark:
            self.asks = True
            self.left_behind = reconfiguration.count_links_to_reconnect(peer) if self.moves else 0
            self.add_error(
                None, _("Nothing is saved yet: read the changes on this page and confirm them.")
            )

    @property
    def needs_secret(self) -> bool:
        """Whether the client secret has to be entered again."""
        return any(move.needs_secret for move in self.moves)

    @property
    def exchanges_application(self) -> bool:
        """Whether the peer gets another application."""
        return any(move.field == "application" for move in self.moves)

    @property
    def mark(self) -> str:
        """Identifies the changes, so that a confirmation is not valid for other changes."""
        text = f"{describe_changes(self.moves)} {self.instance.application_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class PeerReconfigurationMixin(admin.ModelAdmin):
    """Records the old and the new address, client ID or application in the history of the peer."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """The entry of the history, with the old and the new values."""
        message = super().construct_change_message(request, form, formsets, add)
        with override(None):  # As Django does: the entry is translated when it is shown.
            changes = {
                str(form.fields[move.field].label): f"{move.before or '–'} → {move.after or '–'}"
                for move in getattr(form, "moves", ())
            }
        for part in message:
            if fields := part.get("changed", {}).get("fields"):
                part["changed"]["fields"] = [
                    f"{name} ({changes[name]})" if name in changes else name for name in fields
                ]
        return message
