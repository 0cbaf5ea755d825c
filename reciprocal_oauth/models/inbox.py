"""The inbox: codes that peers handed over to this site, as party B."""

from django.db import models
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .fields import EncryptedField
from .links import Link
from .peers import Peer
from .queue import QueueItem


class InboxItem(QueueItem):
    """A code that a peer handed over, and that this site redeems at the token endpoint of the
    peer (draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.1.3)."""

    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="inbox")
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="inbox")
    code_hash = models.CharField(max_length=64, editable=False)
    #: Empty once the row is finished.
    code = EncryptedField(owner=("peer", "link", "code_hash", "bound_to"), blank=True, default="")

    class Meta(QueueItem.Meta):
        verbose_name = _("incoming hand-over")
        verbose_name_plural = _("incoming hand-overs")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["peer", "code_hash"], name="reciprocal_inbox_code_once")
        ]

    def __str__(self) -> str:
        return gettext("Hand-over #%s") % self.pk


def with_newest_code(links: QuerySet[Link]) -> QuerySet[Link]:
    """Annotate ``links`` with the result of :func:`newest_code`, without another query."""
    newest = InboxItem.objects.filter(link=OuterRef("pk")).order_by("-pk")
    return links.annotate(
        newest_code_state=Subquery(newest.values("state")[:1]),
        newest_code_reason=Subquery(newest.values("reason")[:1]),
    )


def newest_code(link: Link) -> tuple[str, str]:
    """State and reason of the newest code that the peer handed over for ``link``; two empty texts
    if there is none. One query, unless ``link`` comes from :func:`with_newest_code`."""
    if "newest_code_state" in vars(link):
        return vars(link)["newest_code_state"] or "", vars(link)["newest_code_reason"] or ""
    return link.inbox.order_by("-pk").values_list("state", "reason").first() or ("", "")
