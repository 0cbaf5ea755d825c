"""Every reciprocal code minted here, as party A: by hash, and what became of it.

A code stays for as long as a token of it can live.
"""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link

#: How the redirect URI of the Grant of a reciprocal code begins, and of no other.
CODE_URI = "urn:uuid:"


class ReciprocalCode(BaseModel):
    """A code by the SHA-256 of its exact bytes. The code itself stands only in DOT's Grant.

    Looked up by hash because MariaDB compares text without regard to case, accents and trailing
    spaces: DOT's own lookup would take another text for the code.
    """

    class State(models.TextChoices):
        LIVE = "live", _("not redeemed yet")
        REDEEMED = "redeemed", _("redeemed")
        REVOKED = "revoked", _("revoked")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="codes")
    generation = models.PositiveIntegerField(_("generation"))
    #: Primary key of the peer's DOT application, as text: the models are swappable.
    application_pk = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.LIVE)
    #: DOT's ``token_family`` of the tokens that it was redeemed for.
    token_family = models.UUIDField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    redeemed_at = models.DateTimeField(_("redeemed"), null=True, blank=True)
    replays = models.PositiveIntegerField(_("replays"), default=0)

    class Meta:
        verbose_name = _("reciprocal code")
        verbose_name_plural = _("reciprocal codes")
        indexes = [models.Index(fields=["link", "state"], name="reciprocal_code_of_link")]

    def __str__(self) -> str:
        return gettext("Code %s") % self.id

    @property
    def redirect_uri(self) -> str:
        """What stands as redirect URI in the DOT Grant: there was no redirect, and a value that
        nobody can send keeps the code out of every other door (RFC 6749, section 4.1.3)."""
        return f"{CODE_URI}{self.id}"
