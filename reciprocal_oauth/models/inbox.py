"""Codes that peers handed over to this site, as party B."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class InboxItem(QueueItem):
    """A code that a peer gave us and that we redeem at its token endpoint."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="inbox")
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="inbox")
    #: Encrypted until the row ends; then empty.
    code = EncryptedField(blank=True, default="")
    code_hash = models.CharField(max_length=64, editable=False)

    class Meta(QueueItem.Meta):
        verbose_name = _("incoming hand-over")
        verbose_name_plural = _("incoming hand-overs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["peer", "code_hash"], name="reciprocal_inbox_code_once")
        ]

    def __str__(self) -> str:
        return f"Hand-over #{self.pk}"
