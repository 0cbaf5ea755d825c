"""The ledger: a table with the hash and the state of every reciprocal code that this site issued.
The draft calls the site that issues a reciprocal code party A.

The row of a redeemed code is kept while the peer can use a token that it got for the code. If the
peer tries to redeem the code again, this site needs the row to find and revoke the token (RFC 6749,
section 4.1.2).
"""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link

#: The prefix of the redirect URI of a DOT ``Grant`` (a stored authorization code) that contains a
#: reciprocal code. No other ``Grant`` has a redirect URI with this prefix.
CODE_URI = "urn:uuid:"


class ReciprocalCode(BaseModel):
    """A reciprocal code, identified by the SHA-256 hash of its exact bytes. The peer can redeem it
    once (RFC 6749, section 4.1.2). Only the DOT ``Grant`` of the code contains the code itself.

    The hash makes the lookup exact. DOT looks up the code itself, and MariaDB ignores case, accents
    and trailing spaces when it compares text. So DOT alone would accept a text that is only similar
    to the code.
    """

    class State(models.TextChoices):
        """The state of a reciprocal code: not redeemed yet, redeemed, or revoked."""

        LIVE = "live", _("not redeemed yet")
        REDEEMED = "redeemed", _("redeemed")
        REVOKED = "revoked", _("revoked")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code_hash = models.CharField(max_length=64, unique=True, editable=False)
    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="codes")
    generation = models.PositiveIntegerField(_("generation"))
    #: The primary key of the peer's DOT application. It is stored as text, because a site can use
    #: its own application model, with another type of key.
    application_pk = models.CharField(max_length=64, editable=False)
    state = models.CharField(_("state"), max_length=10, choices=State.choices, default=State.LIVE)
    #: The ``token_family`` of the DOT tokens that the peer got for the code. It is null if the code
    #: is not redeemed yet, or if DOT issued no refresh token.
    token_family = models.UUIDField(null=True, blank=True, editable=False)
    expires_at = models.DateTimeField(_("expires"))
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    redeemed_at = models.DateTimeField(_("redeemed"), null=True, blank=True)
    #: How often the peer tried to redeem the code again (RFC 6749, sections 4.1.2 and 10.5).
    replays = models.PositiveIntegerField(_("replays"), default=0)

    class Meta:
        verbose_name = _("reciprocal code")
        verbose_name_plural = _("reciprocal codes")
        indexes = [models.Index(fields=["link", "state"], name="reciprocal_code_of_link")]

    def __str__(self) -> str:
        return gettext("Code %s") % self.id

    @property
    def redirect_uri(self) -> str:
        """Return the redirect URI of the DOT ``Grant`` of this code. No client can register this
        URI, so the code cannot be redeemed as an ordinary authorization code (RFC 6749, section
        4.1.3)."""
        return f"{CODE_URI}{self.id}"
