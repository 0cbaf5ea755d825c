"""A peer that is moved in the admin: told in words before it is saved, confirmed, and kept in the
history of its row."""

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

#: The box that is ticked to confirm; its value stands for what was read beside it.
SURE = "sure"


class MovingForm(forms.ModelForm):
    """Asks before a peer is moved, or takes over a client that people have let in.

    :ivar moves: what is not where it was, for the page to show.
    :ivar left_behind: how many links have to be connected again.
    :ivar people: how many people the application holds tokens of that becomes the peer's.
    :ivar asks: whether something has to be confirmed.
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
                None, _("Nothing was saved yet: read what you are changing, and confirm it.")
            )

    @property
    def needs_secret(self) -> bool:
        return any(move.needs_secret for move in self.moves)

    @property
    def exchanges_application(self) -> bool:
        return any(move.field == "application" for move in self.moves)

    @property
    def mark(self) -> str:
        """Tells what is to be confirmed from another change."""
        told = f"{describe_changes(self.moves)} {self.instance.application_id}"
        return hashlib.sha256(told.encode()).hexdigest()[:16]


class PeerMovesMixin(admin.ModelAdmin):
    """Has the history of a peer say from where to where it was moved."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        message = super().construct_change_message(request, form, formsets, add)
        with override(None):  # As Django: translated when it is read.
            told = {
                str(form.fields[move.field].label): f"{move.before or '–'} → {move.after or '–'}"
                for move in getattr(form, "moves", ())
            }
        for part in message:
            if fields := part.get("changed", {}).get("fields"):
                part["changed"]["fields"] = [
                    f"{name} ({told[name]})" if name in told else name for name in fields
                ]
        return message
