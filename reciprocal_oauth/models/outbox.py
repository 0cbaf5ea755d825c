"""The outbox: what this site has to deliver to peers. This is either a hand-over (one reciprocal
code for the peer) or the revocation of a token at the peer."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class OutboxItem(QueueItem):
    """A delivery to a peer. It is either a hand-over, which sends one reciprocal code
    (draft-ietf-oauth-reciprocal-04, section 2.2.2), or the revocation of a token (RFC 7009, section
    2.1).

    The row of a hand-over stores the link and the number of the user's decision (``generation``),
    but never the code. The hand-over is done when the peer has *redeemed* the code. A response with
    status 200 is not enough.
    """

    class Kind(models.TextChoices):
        """The kind of a delivery."""

        HANDOVER = "handover", _("hand-over")
        REVOCATION = "revocation", _("revocation of a token at the peer")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices, default=Kind.HANDOVER)
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="outbox")
    #: Null if the link was deleted. The row is kept even then, because this site may still have to
    #: revoke the token at the peer.
    link = models.ForeignKey(
        Link, null=True, blank=True, on_delete=models.SET_NULL, related_name="outbox"
    )
    generation = models.PositiveIntegerField(_("generation"), default=0)
    #: The ID of the link in the row of an unfinished hand-over; otherwise null. The column is
    #: unique, so that a link has at most one unfinished hand-over. A partial unique index is not
    #: used for this purpose, because MariaDB does not support such indexes.
    live_key = models.CharField(max_length=36, null=True, unique=True, editable=False)  # noqa: DJ001
    #: How often this site sent a new code because the peer accepted the previous code but did not
    #: redeem it before it expired.
    resends = models.PositiveSmallIntegerField(_("sent again"), default=0)
    #: The token to revoke. It is empty for a hand-over.
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
        """Return the reason to store in this row if its last allowed attempt ended with a crash
        or an unexpected exception."""
        return Link.Reason.UNCONFIRMED if self.accepted_at else Link.Reason.UNREACHABLE

    @staticmethod
    def live_key_of(link_id: uuid.UUID) -> str:
        """Return the ID of the link as text. An unfinished hand-over stores it in the unique column
        ``live_key``, so that a link has at most one unfinished hand-over."""
        return str(link_id)
