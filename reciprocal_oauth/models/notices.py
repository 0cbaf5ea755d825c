"""The mails to people about their links. A row exists for each mail, so that each is sent once."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link


class Notice(BaseModel):
    """A mail to the user of a link, about one event."""

    class Kind(models.TextChoices):
        """What the mail is about."""

        CONNECTED = "connected", _("connected")
        ENDED = "ended", _("ended")
        NEEDS_ATTENTION = "needs_attention", _("needs attention")

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="notices")
    kind = models.CharField(_("kind"), max_length=20, choices=Kind.choices)
    #: Tells apart two events of the same kind of one link. So one event leads to one mail.
    occasion = models.CharField(max_length=64)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    #: When the mail is sent, or tried again; null after it was sent or given up.
    due_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    sent_at = models.DateTimeField(_("sent"), null=True, blank=True)

    class Meta:
        verbose_name = _("mail")
        verbose_name_plural = _("mails")
        constraints = [
            models.UniqueConstraint(
                fields=["link", "kind", "occasion"], name="reciprocal_notice_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"
