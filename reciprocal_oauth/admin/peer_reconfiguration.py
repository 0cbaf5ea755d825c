"""Confirmation of important changes of a peer in the admin: another address of the peer, another
client ID of this site at the peer, or another application for the peer at this site.

The page of the peer explains the changes, and they are saved only if the user confirms them. Then
the admin's history of the peer contains the old and the new values.
"""

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

#: The name of the checkbox with which the user confirms the changes. The value of the checkbox is a
#: hash of the changes that the page has shown (:attr:`ReconfigurationForm.mark`).
SURE = "sure"


class ReconfigurationForm(forms.ModelForm):
    """Base of the peer form. It asks for confirmation before the address, client ID or application
    of a peer changes, and before a new peer gets an application that already has tokens.

    :ivar moves: the changes of a stored peer that need a confirmation.
    :ivar left_behind: the number of links that stop working because of the changes. The users of
        these links must connect again.
    :ivar people: the number of users for whom the newly chosen application already has tokens.
    :ivar asks: whether the page must show the changes and ask the administrator to confirm them.
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
        """Return whether the user must enter the client secret again. This is so if an address or
        the client ID changes, because the stored secret belongs to the old values."""
        return any(move.needs_secret for move in self.moves)

    @property
    def exchanges_application(self) -> bool:
        """Return whether the user has chosen another application for the peer."""
        return any(move.field == "application" for move in self.moves)

    @property
    def mark(self) -> str:
        """Return a hash of the changes. The page puts it into the checkbox, so that a confirmation
        is valid only for the changes that the user has seen."""
        text = f"{describe_changes(self.moves)} {self.instance.application_id}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


class PeerReconfigurationMixin(admin.ModelAdmin):
    """Writes the old and the new values into the admin's history of the peer if an address, the
    client ID or the application has changed."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        """Return the entry for the admin's history of the peer. For each change in ``form.moves``,
        the entry contains the name of the field, the old value and the new value."""
        message = super().construct_change_message(request, form, formsets, add)
        # Use the English names of the fields, because Django also stores the entries of the history
        # in English. Django translates an entry when it shows the history.
        with override(None):
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
