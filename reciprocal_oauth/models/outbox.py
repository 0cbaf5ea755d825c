"""The outbox: hand-overs and revocations that this site has to deliver to peers."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class OutboxItem(QueueItem):
    """A hand-over (draft-ietf-oauth-reciprocal-04, section 2.2.2) or a revocation (RFC 7009,
    section 2.1) that has to be delivered. A hand-over names the link and the generation, and never
    contains the code.

    A hand-over is done when the peer has *redeemed* the code, not when it has responded with 200.
    """

    class Kind(models.TextChoices):
        """What is delivered."""

        HANDOVER = "handover", _("hand-over")
        REVOCATION = "revocation", _("revocation of a token at the peer")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.HANDOVER)
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="outbox")
    #: Set to null when the link is deleted: the token must be revoked at the peer all the same.
    link = models.ForeignKey(
        Link, null=True, blank=True, on_delete=models.SET_NULL, related_name="outbox"
    )
    generation = models.PositiveIntegerField(_("generation"), default=0)
    #: The ID of the link while the hand-over is not finished, or else null. So a link has at most
    #: one unfinished hand-over on every database: MariaDB has no partial unique index.
    live_key = models.CharField(max_length=36, null=True, unique=True, editable=False)  # noqa: DJ001
    #: Codes that the peer accepted and did not redeem before they expired.
    resends = models.PositiveSmallIntegerField(_("sent again"), default=0)
    #: The token to revoke; empty for a hand-over.
    token = EncryptedField(owner=("peer", "bound_to"), blank=True, default="")
    accepted_at = models.DateTimeField(_("accepted"), null=True, blank=True)

    class Meta(QueueItem.Meta):
        verbose_name = _("outgoing hand-over")
        verbose_name_plural = _("outgoing hand-overs")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"

    @property
    def failure_reason(self) -> str:
        """The reason to store when the last attempt has failed."""
        return Link.Reason.UNCONFIRMED if self.accepted_at else Link.Reason.UNREACHABLE

    @staticmethod
    def live_key_of(link_id: uuid.UUID) -> str:
        """Return the value of ``live_key`` for an unfinished hand-over of the link ``link_id``."""
        return str(link_id)
