"""The ledger: the hash and the state of every reciprocal code that this site issued as party A.

A code is kept for as long as a token that it was redeemed for can be used.
"""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link

#: The redirect URI of a DOT Grant begins with this only if it is the Grant of a reciprocal code.
CODE_URI = "urn:uuid:"


class ReciprocalCode(BaseModel):
    """A reciprocal code, identified by the SHA-256 hash of its exact bytes. It can be redeemed once
    (RFC 6749, section 4.1.2). Only the DOT Grant contains the code itself.

    The hash makes the lookup exact: MariaDB ignores case, accents and trailing spaces when it
    compares text, so that the lookup of DOT would accept a similar text as the code.
    """

    class State(models.TextChoices):
        """What happened to the code."""

        LIVE = "live", _("not redeemed yet")
        REDEEMED = "redeemed", _("redeemed")
        REVOKED = "revoked", _("revoked")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="codes")
    generation = models.PositiveIntegerField(_("generation"))
    #: Primary key of the peer's DOT application, as text: the type of the key depends on the model
    #: that the site uses.
    application_pk = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.LIVE)
    #: The ``token_family`` of the DOT tokens that the code was redeemed for.
    token_family = models.UUIDField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    redeemed_at = models.DateTimeField(_("redeemed"), null=True, blank=True)
    #: Attempts to redeem it again (RFC 6749, sections 4.1.2 and 10.5).
    replays = models.PositiveIntegerField(_("replays"), default=0)

    class Meta:
        verbose_name = _("reciprocal code")
        verbose_name_plural = _("reciprocal codes")
        indexes = [models.Index(fields=["link", "state"], name="reciprocal_code_of_link")]

    def __str__(self) -> str:
        return gettext("Code %s") % self.id

    @property
    def redirect_uri(self) -> str:
        """The redirect URI in the DOT Grant. No client can register this value, so the code cannot
        be redeemed as an ordinary authorization code (RFC 6749, section 4.1.3)."""
        return f"{CODE_URI}{self.id}"
