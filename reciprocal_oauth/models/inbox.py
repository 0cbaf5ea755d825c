"""The inbox: the reciprocal codes that peers sent to this site, and that this site has to redeem.
The draft calls the site that receives a reciprocal code party B."""

from typing import Any

from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..secret import Secret
from . import peer_data
from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class InboxItem(QueueItem):
    """A reciprocal code that a peer sent to this site. This site redeems the code at the token
    endpoint of the peer (draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section
    4.1.3)."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="inbox")
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="inbox")
    code_hash = models.CharField(max_length=64, editable=False)
    #: The reciprocal code. It is replaced with an empty text when the row is finished.
    code = EncryptedField(owner=("peer", "link", "code_hash", "bound_to"), blank=True, default="")

    #: Values that the dialect of the peer needs to redeem the code, such as an address: see
    #: :mod:`.peer_data`. They are replaced with an empty text when the row is finished.
    peer_data = EncryptedField(owner=("peer", "link", "code_hash"), blank=True, default="")

    #: Whether a web request is redeeming the code now, because the peer waits for the result; and
    #: the time, by ``time.monotonic()``, at which the peer waits no longer. The request sets these
    #: attributes. They are not stored in the database.
    is_awaited = False
    awaited_until = 0.0

    class Meta(QueueItem.Meta):
        verbose_name = _("incoming hand-over")
        verbose_name_plural = _("incoming hand-overs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["peer", "code_hash"], name="reciprocal_inbox_code_once")
        ]

    def __str__(self) -> str:
        return gettext("Hand-over #%s") % self.pk

    @property
    def data(self) -> dict[str, str]:
        """Return the values that the dialect of the peer needs to redeem the code."""
        return peer_data.read(self.peer_data)

    @staticmethod
    def without_secrets() -> dict[str, Any]:
        """Return the column values that replace the secrets of a finished row."""
        return {"code": Secret(""), "peer_data": Secret("")}


def with_newest_code(links: QuerySet[Link]) -> QuerySet[Link]:
    """Annotate each of ``links`` with the state and the reason (why the redemption failed) of the
    newest reciprocal code that the peer sent, so that :func:`newest_code` needs no query."""
    newest = InboxItem.objects.filter(link=OuterRef("pk")).order_by("-pk")
    return links.annotate(
        newest_code_state=Subquery(newest.values("state")[:1]),
        newest_code_reason=Subquery(newest.values("reason")[:1]),
    )


def newest_code(link: Link) -> tuple[str, str]:
    """Return the state and the reason (why the redemption failed) of the newest reciprocal code
    that the peer sent for ``link``. Return two empty texts if the peer has sent no code.

    This function runs one query, unless ``link`` was read with :func:`with_newest_code`.
    """
    if "newest_code_state" in vars(link):
        return vars(link)["newest_code_state"] or "", vars(link)["newest_code_reason"] or ""
    return link.inbox.order_by("-pk").values_list("state", "reason").first() or ("", "")
