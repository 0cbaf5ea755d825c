"""One user's two-way authorization with one account at one peer, and the way to it."""

import hashlib
import uuid

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..core import scopes
from .base import BaseModel
from .binding import BindingField, is_bound
from .fields import EncryptedField
from .peers import Peer
from .reasons import LOST_INCOMING, Reason


class Link(BaseModel):
    """A user, an account at a peer, and what each side may do at the other.

    *Outgoing* access is ours at the peer: the stored tokens. *Incoming* access is the peer's here:
    a scope, a generation that counts the user's decisions, and the family of DOT tokens in force.
    """

    class Status(models.TextChoices):
        ACTIVE = "active", _("active")
        ENDED = "ended", _("ended")

    class Outgoing(models.TextChoices):
        WAITING = "waiting", _("waiting for approval there")
        ACTIVE = "active", _("working")
        BROKEN = "broken", _("broken")
        ENDED = "ended", _("ended")

    class Incoming(models.TextChoices):
        NONE = "none", _("nothing asked")
        OFFERED = "offered", _("waiting for your answer")
        DENIED = "denied", _("not allowed")
        GRANTED = "granted", _("allowed, on its way")
        ACTIVE = "active", _("working")
        BROKEN = "broken", _("broken")
        ENDED = "ended", _("ended")

    Reason = Reason

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="reciprocal_links",
        verbose_name=_("user"),
    )
    peer = models.ForeignKey(
        Peer, on_delete=models.CASCADE, related_name="links", verbose_name=_("peer")
    )
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.ACTIVE
    )

    #: What tells the links of one user and peer apart, see :func:`key_of_subject` and its siblings.
    account_key = models.CharField(_("account key"), max_length=80, editable=False)
    subject = models.CharField(_("account ID there"), max_length=255, blank=True)
    account_name = models.CharField(_("account there"), max_length=255, blank=True)

    outgoing_state = models.CharField(
        _("outgoing access"), max_length=10, choices=Outgoing.choices, default=Outgoing.WAITING
    )
    outgoing_reason = models.CharField(
        _("why outgoing access does not work"), max_length=30, choices=Reason.choices, blank=True
    )
    #: For whom the two tokens are: they are sent to nobody else.
    bound_to = BindingField()
    access_token = EncryptedField(
        _("access token"), owner=("id", "user", "peer", "bound_to"), blank=True, default=""
    )
    refresh_token = EncryptedField(
        _("refresh token"), owner=("id", "user", "peer", "bound_to"), blank=True, default=""
    )
    outgoing_scope = models.TextField(_("scope we hold there"), blank=True)
    access_token_expires_at = models.DateTimeField(_("access token expires"), null=True, blank=True)
    #: Names the grant at the peer that the tokens stem from: another one for each code that was
    #: exchanged, the same after a refresh.
    outgoing_grant = models.UUIDField(null=True, blank=True, editable=False)
    #: Whoever refreshes the token holds this until then; others wait (one refresh at a time).
    refresh_lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    refresh_lease_owner = models.CharField(max_length=64, blank=True, editable=False)
    #: How often in a row the peer has refused to renew the access, and from when on it is asked
    #: again: after a refusal, or when it has said for how long it wants to be left alone.
    refresh_refusals = models.PositiveSmallIntegerField(default=0, editable=False)
    refresh_not_before = models.DateTimeField(null=True, blank=True, editable=False)

    incoming_state = models.CharField(
        _("incoming access"), max_length=10, choices=Incoming.choices, default=Incoming.NONE
    )
    incoming_reason = models.CharField(
        _("why incoming access does not work"), max_length=30, choices=Reason.choices, blank=True
    )
    #: What the user is asked for: the peer's wish, cut to what it may hold.
    offered_scope = models.TextField(_("scope it asked for"), blank=True)
    incoming_scope = models.TextField(_("scope it may use here"), blank=True)
    #: Counts the user's decisions about incoming access; the peer has redeemed the confirmed one.
    generation = models.PositiveIntegerField(
        _("decisions"),
        default=0,
        help_text=_("How often the user has decided what the peer may do here (the generation)."),
    )
    confirmed_generation = models.PositiveIntegerField(
        _("decision in force"),
        default=0,
        help_text=_(
            "The last decision that has reached the peer: it has redeemed the code for it. Less "
            "than the number above while a code is on its way."
        ),
    )
    #: DOT's ``token_family`` of the tokens that the peer holds here.
    incoming_family = models.UUIDField(null=True, blank=True, editable=False, db_index=True)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    linked_at = models.DateTimeField(_("linked both ways"), null=True, blank=True)
    #: When the peer last presented a token of this link, to the hour.
    last_used_at = models.DateTimeField(
        _("last used by the peer"), null=True, blank=True, editable=False
    )
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["user", "peer", "account_key"], name="reciprocal_link_per_account"
            )
        ]
        indexes = [models.Index(fields=["user", "status"], name="reciprocal_link_of_user")]

    def __str__(self) -> str:
        return gettext("Link %s") % self.id

    @property
    def is_active(self) -> bool:
        return self.status == self.Status.ACTIVE

    @property
    def is_two_way(self) -> bool:
        """Whether both directions work."""
        return (
            self.is_active
            and self.outgoing_state == self.Outgoing.ACTIVE
            and self.incoming_state == self.Incoming.ACTIVE
        )

    @property
    def holds_access_there(self) -> bool:
        """Whether we keep a token of the peer's, expired or not."""
        return bool(self.refresh_token or self.access_token)

    @property
    def is_revocable_there(self) -> bool:
        """Whether the peer can be told that its token is no longer needed (RFC 7009)."""
        url = self.peer.revocation_endpoint
        return self.holds_access_there and bool(url) and is_bound(self.bound_to, self.peer, url)

    @property
    def has_lost_incoming_access(self) -> bool:
        """Whether what the peer had here was taken back, or ran out."""
        return self.incoming_state == self.Incoming.BROKEN and self.incoming_reason in LOST_INCOMING

    @property
    def keeps_access_here(self) -> bool:
        """Whether a decision waits or was given up of which the peer is still to be told, while it
        has tokens from before that."""
        waits = self.incoming_state in (self.Incoming.GRANTED, self.Incoming.BROKEN)
        return waits and self.incoming_family is not None and not self.has_lost_incoming_access

    @property
    def incoming_limit(self) -> str:
        """The most that the peer's tokens may carry for this user today: what the user granted,
        the peer may hold, and the site still has."""
        return scopes.cut(self.incoming_scope, self.peer.limit)


#: What the key of a link begins with whose account at the peer is known.
SUBJECT = "sub:"


def key_of_subject(subject: str) -> str:
    """Key of the account with this ``subject`` at the peer. Hashed: MariaDB compares text without
    regard to case, subjects are told apart by it (OpenID Connect Core 1.0, section 2)."""
    return SUBJECT + hashlib.sha256(subject.encode()).hexdigest()


#: What the key of a link begins with that a login of the peer's users opened.
FAMILY = "family:"


def key_of_family(family: uuid.UUID | None) -> str:
    """Key where we were party B: the family of DOT tokens that the peer got here."""
    return f"{FAMILY}{family or uuid.uuid4()}"


#: Key where we were party A and the peer did not tell the subject: connecting again replaces.
KEY_UNKNOWN = "unknown"


class AuthorizationRequest(BaseModel):
    """A visit to the peer's authorization endpoint that a person began here (steps A and B).

    The row makes ``state`` single-use in one database step, and names who began the visit; a
    cookie, of which it has the hash, says in which browser.
    """

    class Problem(models.TextChoices):
        NONE = "", _("no problem")
        DENIED = "denied", _("access was not allowed there")
        PEER_ERROR = "peer_error", _("the other site answered with an error")
        SETUP = "setup", _("the other site does not take the requests of this one")
        PEER_UNREACHABLE = "peer_unreachable", _("the other site could not be reached")
        PEER_REFUSED = "peer_refused", _("the other site refused the exchange")
        BAD_RESPONSE = "bad_response", _("the other site answered something that cannot be used")
        WRONG_ISSUER = "wrong_issuer", _("the answer came from another site")
        NO_CODE = "no_code", _("the answer carried no code")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    peer = models.ForeignKey(Peer, on_delete=models.CASCADE, related_name="+")
    state_hash = models.CharField(max_length=64, unique=True, editable=False)
    browser_hash = models.CharField(max_length=64, editable=False, default="")
    #: Who issues the code that the visit ends with: it is sent to nobody else.
    bound_to = BindingField()
    code_verifier = EncryptedField(owner=("peer", "state_hash", "bound_to"), blank=True, default="")
    nonce = models.CharField(max_length=64, blank=True)
    redirect_uri = models.CharField(max_length=500)
    #: The one in which the person began, for addresses that have the language in them.
    language = models.CharField(max_length=35, blank=True, default="")
    return_to = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(default=timezone.now)
    answered_at = models.DateTimeField(null=True, blank=True)
    problem = models.CharField(max_length=20, choices=Problem.choices, blank=True)
    link = models.ForeignKey(
        Link, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )

    class Meta:
        verbose_name = _("authorization request")
        verbose_name_plural = _("authorization requests")

    def __str__(self) -> str:
        return str(self.id)
