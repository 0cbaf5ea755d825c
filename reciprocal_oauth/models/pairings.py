"""The pairings: how this site and another site registered at each other.

Site 1 makes an invitation, and site 2 accepts it. Then each site registers itself at the other one
(RFC 7591). The row of a pairing keeps what one of the two sites knows about this, from the
invitation until the end of the pairing. It holds the credentials until both sites have
registered: only then is the application of the other site made, so a pairing that was left half
done lets nobody in.
"""

import uuid
from typing import Any

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .fields import EncryptedField
from .peer_keys import PeerAuthentication
from .peers import Peer


class Pairing(BaseModel):
    """What this site knows about its pairing with one other site."""

    class Role(models.TextChoices):
        """What this site did first."""

        INVITER = "inviter", _("this site invited")
        ACCEPTER = "accepter", _("this site accepted an invitation")
        #: This site registered itself at a server that knows only RFC 7591. The other direction is
        #: set up by hand.
        REGISTRANT = "registrant", _("only this site is registered there")

    class State(models.TextChoices):
        """The states of a pairing."""

        #: Inviter: the invitation was made, and nobody has used it yet.
        OPEN = "open", _("invitation made")
        #: Inviter: the other site has registered here. An administrator must confirm it.
        ACCEPTED = "accepted", _("waits for your confirmation")
        #: Inviter: confirmed. This site has to register at the other site.
        CONFIRMED = "confirmed", _("this site is registering there")
        #: Accepter: this site has to register at the inviter.
        DRAFT = "draft", _("this site is registering there")
        #: Accepter: this site is registered at the inviter, which has to register here.
        REGISTERED = "registered", _("waits for the other site")
        #: Both sites are registered at each other, and the peer exists.
        COMPLETE = "complete", _("complete")
        ENDED = "ended", _("ended")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")
        FAILED = "failed", _("failed")
        #: A newer pairing with the same site has taken its place.
        REPLACED = "replaced", _("replaced")

    #: The states in which the pairing is on its way.
    UNDER_WAY = (
        State.OPEN,
        State.ACCEPTED,
        State.CONFIRMED,
        State.DRAFT,
        State.REGISTERED,
    )
    #: The states in which this site has to send its registration, or to send it again.
    TO_SEND = (State.CONFIRMED, State.DRAFT)

    class Task(models.TextChoices):
        """What this site still has to ask the other site of a complete pairing."""

        NONE = "", _("nothing")
        #: Test the connection, because the pairing was just completed.
        TEST = "test", _("test the connection")
        #: Get a new client secret (RFC 7592, section 2.2).
        ROTATE = "rotate", _("get a new secret")
        #: End the links, and say that the pairing has ended (RFC 7592, section 2.3).
        END = "end", _("end the connections, and tell the other site")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    role = models.CharField(_("role"), max_length=12, choices=Role.choices)
    state = models.CharField(_("state"), max_length=12, choices=State.choices, default=State.OPEN)
    peer = models.OneToOneField(
        Peer,
        on_delete=models.SET_NULL,
        related_name="pairing",
        null=True,
        blank=True,
        verbose_name=_("peer"),
    )
    #: The short name that the peer has or gets at this site.
    slug = models.SlugField(_("short name"))
    #: Whether an administrator wants the peer that exists already to get new credentials. Links
    #: with it stay.
    renews = models.BooleanField(_("renews"), default=False)
    #: Inviter: the only issuer that may use the invitation; ``""`` if whoever has it may.
    expected_issuer = models.CharField(_("invited site"), max_length=500, blank=True)
    #: The issuer of the other site, as it claims. It is proved when both sites have registered.
    issuer = models.CharField(_("issuer"), max_length=500, blank=True)
    #: How the other site calls itself.
    name = models.CharField(_("name"), max_length=200, blank=True)
    homepage = models.CharField(_("homepage"), max_length=500, blank=True)
    #: What the other site says of itself to people, as it has registered: values by the name of the
    #: peer's field; see ``pairing.display``.
    display = models.JSONField(default=dict, blank=True, editable=False)
    #: How this site calls itself.
    our_name = models.CharField(_("our name"), max_length=200, blank=True)
    #: What the metadata of the other site says (RFC 8414), in the form of ``peers.discovery``.
    metadata = models.JSONField(default=dict, blank=True, editable=False)

    # The invitation.

    #: The hash of the code in the invitation.
    code_hash = models.CharField(max_length=64, unique=True, null=True, blank=True, editable=False)
    #: Accepter: the code, until this site is registered at the inviter.
    code = EncryptedField(owner=("id", "issuer"), blank=True, default="", editable=False)

    # The registration of this site at the other site.

    #: The exact request body, so that a repeated request is the same request.
    body = EncryptedField(owner=("id", "issuer"), blank=True, default="", editable=False)
    #: The token with which this site registers at the other site: the code of the invitation, or
    #: the token that came with the registration of the other site.
    reverse_token = EncryptedField(owner=("id", "issuer"), blank=True, default="", editable=False)
    our_client_id = models.CharField(_("our client ID there"), max_length=255, blank=True)
    our_client_secret = EncryptedField(
        owner=("id", "issuer"), blank=True, default="", editable=False
    )
    #: The client configuration endpoint of this site there (RFC 7592, section 3).
    our_management_uri = models.CharField(max_length=500, blank=True, editable=False)
    #: The registration access token of this site at the other site (RFC 7592, section 3). It can be
    #: decrypted only together with the address that it was issued for.
    our_token = EncryptedField(
        owner=("id", "our_management_uri"), blank=True, default="", editable=False
    )
    #: The thumbprints of the keys of this site (RFC 7638) that the other site was told first.
    our_thumbprints = models.JSONField(default=list, blank=True, editable=False)
    #: How this site authenticates there.
    auth_method = models.CharField(_("our authentication there"), max_length=30, blank=True)

    # The registration of the other site at this site.

    #: The hash of the token with which the other site may register here: of the reverse token
    #: that this site, the accepter, has sent.
    reverse_token_hash = models.CharField(
        max_length=64, unique=True, null=True, blank=True, editable=False
    )
    #: The hash of the request body with which the other site registered here.
    body_digest = models.CharField(max_length=64, blank=True, editable=False)
    #: The response to it, for a repeated request.
    answer = EncryptedField(owner=("id",), blank=True, default="", editable=False)
    #: How often somebody claimed the invitation who was not the invited site.
    claims = models.PositiveIntegerField(default=0, editable=False)
    redirect_uris = models.JSONField(_("redirect URIs"), default=list, blank=True)
    issued_client_id = models.CharField(
        _("its client ID here"), max_length=255, blank=True, db_index=True
    )
    issued_client_secret = EncryptedField(owner=("id",), blank=True, default="", editable=False)
    #: The hash of the registration access token of the other site (RFC 7592, section 3).
    issued_token_hash = models.CharField(max_length=64, blank=True, editable=False)
    #: The hash of the token before, which is good until the new one is used.
    previous_token_hash = models.CharField(max_length=64, blank=True, editable=False)
    its_auth_method = models.CharField(
        _("its authentication here"), max_length=30, choices=PeerAuthentication.choices, blank=True
    )
    jwks_uri = models.CharField(max_length=500, blank=True, editable=False)
    #: The thumbprints of the keys (RFC 7638) that the other site has named.
    thumbprints = models.JSONField(default=list, blank=True, editable=False)

    # Scopes (RFC 6749, section 3.3).

    allowed_scope = models.CharField(_("what it may hold here"), max_length=1000, blank=True)
    asked_scope = models.CharField(_("what this site asks there"), max_length=1000, blank=True)
    #: What this site may hold there, as the other site says.
    offered_scope = models.CharField(
        _("what this site may hold there"), max_length=1000, blank=True
    )
    #: What the other site asks for here, as it says.
    wanted_scope = models.CharField(_("what it asks for here"), max_length=1000, blank=True)
    #: See ``Peer.scope_words``.
    scope_words = models.JSONField(default=dict, blank=True, editable=False)
    enable = models.BooleanField(_("enable the peer when complete"), default=False)

    # Work that is due.

    task = models.CharField(
        _("still to do"), max_length=10, choices=Task.choices, blank=True, default=Task.NONE
    )
    #: How many requests were sent for the present state or task.
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    lease_owner = models.CharField(max_length=32, blank=True, default="", editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    #: The findings of the test that this site made when the pairing was complete.
    findings = models.JSONField(default=list, blank=True, editable=False)

    created_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("made by"),
    )
    confirmed_by = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name="+",
        null=True,
        blank=True,
        verbose_name=_("confirmed by"),
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    expires_at = models.DateTimeField(_("expires"))
    completed_at = models.DateTimeField(_("completed"), null=True, blank=True)

    class Meta:
        verbose_name = _("pairing")
        verbose_name_plural = _("pairings")
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["next_attempt_at"], name="reciprocal_pairing_due")]

    def __str__(self) -> str:
        return gettext("Pairing with %s") % (self.issuer or self.expected_issuer or self.slug)

    @property
    def is_under_way(self) -> bool:
        """Return whether the pairing is neither complete nor over."""
        return self.state in self.UNDER_WAY

    @property
    def is_bound(self) -> bool:
        """Return whether the invitation is for one site only."""
        return bool(self.expected_issuer)

    @staticmethod
    def without_secrets() -> dict[str, Any]:
        """Return the column values that replace the secrets of a pairing that is over."""
        return {
            "code_hash": None,
            "code": "",
            "body": "",
            "reverse_token": "",
            "reverse_token_hash": None,
            "our_client_secret": "",
            "our_token": "",
            "answer": "",
            "issued_client_secret": "",
            "issued_token_hash": "",
            "previous_token_hash": "",
        }
