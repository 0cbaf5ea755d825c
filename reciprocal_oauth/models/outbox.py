"""What this site still has to tell a peer, as party A."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class OutboxItem(QueueItem):
    """The intent "this link, this generation", never a code; or a remote revocation.

    A hand-over is done when the peer has *redeemed* the code, not when it has answered 200.
    """

    class Kind(models.TextChoices):
        HANDOVER = "handover", _("hand-over")
        REVOCATION = "revocation", _("revocation there")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.HANDOVER)
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="outbox")
    #: Set to null when the link goes: a revocation there must outlive the user here.
    link = models.ForeignKey(
        Link, null=True, blank=True, on_delete=models.SET_NULL, related_name="outbox"
    )
    generation = models.PositiveIntegerField(_("generation"), default=0)
    #: The link's id while a hand-over is live, else null: one live hand-over per link, on every
    #: database (MariaDB has no partial unique index).
    live_key = models.CharField(max_length=36, null=True, unique=True, editable=False)  # noqa: DJ001
    #: Codes that the peer accepted and let expire.
    resends = models.PositiveSmallIntegerField(_("sent anew"), default=0)
    #: The token to revoke there; empty for hand-overs.
    token = EncryptedField(owner=("peer", "bound_to"), blank=True, default="")
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)

    class Meta(QueueItem.Meta):
        verbose_name = _("outgoing hand-over")
        verbose_name_plural = _("outgoing hand-overs")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def why_unfinished(self) -> str:
        return Link.Reason.UNCONFIRMED if self.accepted_at else Link.Reason.UNREACHABLE

    @staticmethod
    def live_key_of(link_id: uuid.UUID) -> str:
        return str(link_id)
