"""The keys of this site, and what is stored about the keys of peers.

With a key, no secret is shared: this site signs a short-lived assertion, and the peer checks the
signature with the public key that this site publishes (RFC 7523, section 2.2).
"""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .fields import EncryptedField
from .peer_keys import SigningAlgorithm
from .peers import Peer


class SiteKey(BaseModel):
    """A key with which this site proves to peers that it is their client."""

    class State(models.TextChoices):
        """The states of a key, in their order."""

        #: It is in the public set, so that peers know it before its first use.
        PUBLISHED = "published", _("published")
        #: This site signs with it.
        ACTIVE = "active", _("active")
        #: This site no longer signs with it, and the private key is erased. The public key stays in
        #: the public set until ``retires_at``.
        RETIRED = "retired", _("retired")

    #: The thumbprint of the public key (RFC 7638), in base64url.
    kid = models.CharField(_("key ID"), max_length=64, unique=True, editable=False)
    alg = models.CharField(_("algorithm"), max_length=10, choices=SigningAlgorithm.choices)
    #: The public key as a JSON Web Key (RFC 7517, section 4).
    public_jwk = models.TextField(_("public key"))
    private_jwk = EncryptedField(_("private key"), owner=("kid",), blank=True, default="")
    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PUBLISHED
    )
    #: The algorithm and the state, and ``None`` for a retired key. The column is unique, so two
    #: processes at once cannot make two active keys of one algorithm, or two published ones.
    slot = models.CharField(max_length=30, unique=True, null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    activated_at = models.DateTimeField(_("active since"), null=True, blank=True)
    #: When a retired key leaves the public set.
    retires_at = models.DateTimeField(_("published until"), null=True, blank=True)

    class Meta:
        verbose_name = _("key of this site")
        verbose_name_plural = _("keys of this site")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return self.kid

    @property
    def is_published(self) -> bool:
        """Return whether the key is in the public set now."""
        return self.slot is not None or (self.retires_at or timezone.now()) > timezone.now()


class PeerKeySet(BaseModel):
    """The public keys of a peer as this site last fetched them, so that not every request of the
    peer needs a request to the peer.

    It is a row of its own, and not a field of the peer: peers are read for nearly every request,
    and a key set can have 64 KiB.
    """

    peer = models.OneToOneField(Peer, on_delete=models.CASCADE, related_name="key_set")
    #: Where the keys were fetched. If ``Peer.jwks_uri`` has changed since, they are not used.
    uri = models.CharField(max_length=500)
    #: The key set as JSON (RFC 7517, section 5), or ``""`` if no fetch has succeeded yet.
    keys = models.TextField(blank=True, default="")
    fetched_at = models.DateTimeField(null=True)
    #: When the last fetch began, whether it succeeded or not.
    tried_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("public keys of a peer")
        verbose_name_plural = _("public keys of peers")

    def __str__(self) -> str:
        return self.uri


class UsedAssertion(BaseModel):
    """The ID (``jti``) of an assertion that a peer has used at this site, so that nobody can use
    the assertion a second time (RFC 7523, section 3). The row can be deleted when the assertion has
    expired."""

    #: The SHA-256 hash of the client ID and of ``jti``.
    hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("used assertion")
        verbose_name_plural = _("used assertions")

    def __str__(self) -> str:
        return self.hash
