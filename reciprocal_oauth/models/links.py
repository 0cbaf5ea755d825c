"""The models of a link and of the authorization request with which a user creates a link."""

import hashlib
import uuid

from django.conf import settings as django_settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..core import scopes
from . import peer_data
from .base import BaseModel
from .binding import BindingField, is_bound
from .fields import EncryptedField
from .peers import Peer
from .reasons import LOST_INCOMING, Reason


class Link(BaseModel):
    """The link between a user of this site and an account at a peer.

    *Outgoing access* lets this site act at the peer. For it, the link stores the tokens that the
    peer issued to this site. *Incoming access* lets the peer act at this site. For it, the link
    stores the scope that the user allowed, how often the user has allowed a scope
    (``generation``), and the ``token_family`` of the DOT tokens that the peer holds.
    """

    class Status(models.TextChoices):
        """The state of the whole link: in use, or ended."""

        ACTIVE = "active", _("active")
        ENDED = "ended", _("ended")

    class Outgoing(models.TextChoices):
        """The state of the outgoing access (the access of this site to the peer)."""

        WAITING = "waiting", _("waiting for approval at the other site")
        ACTIVE = "active", _("working")
        BROKEN = "broken", _("broken")
        ENDED = "ended", _("ended")

    class Incoming(models.TextChoices):
        """The state of the incoming access (the access of the peer to this site)."""

        NONE = "none", _("not asked")
        OFFERED = "offered", _("waiting for your answer")
        DENIED = "denied", _("not allowed")
        GRANTED = "granted", _("allowed, code being delivered")
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

    #: Distinguishes the links that one user has with one peer (one link for each account at the
    #: peer). The value comes from :func:`key_of_subject` or :func:`key_of_family`, or is
    #: ``KEY_UNKNOWN``.
    account_key = models.CharField(_("account key"), max_length=80, editable=False)
    subject = models.CharField(_("account ID at the peer"), max_length=255, blank=True)
    account_name = models.CharField(_("account name at the peer"), max_length=255, blank=True)

    outgoing_state = models.CharField(
        _("outgoing access"), max_length=10, choices=Outgoing.choices, default=Outgoing.WAITING
    )
    outgoing_reason = models.CharField(
        _("why outgoing access does not work"), max_length=30, choices=Reason.choices, blank=True
    )
    #: The client ID of this site and the origins of the peer that the two tokens below belong to.
    #: The tokens are sent only to these origins, with one exception: a ``PeerSession`` can also
    #: send the access token to the hosts in its argument ``allow_hosts``.
    bound_to = BindingField()
    access_token = EncryptedField(
        _("access token"), owner=("id", "user", "peer", "bound_to"), blank=True, default=""
    )
    refresh_token = EncryptedField(
        _("refresh token"), owner=("id", "user", "peer", "bound_to"), blank=True, default=""
    )
    #: The scope that this site has at the peer (RFC 6749, section 3.3).
    outgoing_scope = models.TextField(_("scope of the outgoing access"), blank=True)
    access_token_expires_at = models.DateTimeField(_("access token expires"), null=True, blank=True)
    #: Identifies the grant at the peer from which the tokens come. The value is new after each
    #: exchange of an authorization code or a reciprocal code. A token refresh does not change it.
    outgoing_grant = models.UUIDField(null=True, blank=True, editable=False)
    #: Values that the dialect of the peer needs to use and refresh the tokens, such as an address:
    #: see :mod:`.peer_data`.
    peer_data = EncryptedField(owner=("id", "user", "peer"), blank=True, default="", editable=False)
    #: Until this time, only the worker in ``refresh_lease_owner`` may refresh the tokens of this
    #: link. Other workers wait.
    refresh_lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    refresh_lease_owner = models.CharField(max_length=64, blank=True, editable=False)
    #: How many times in a row the peer has refused to refresh the tokens.
    refresh_refusals = models.PositiveSmallIntegerField(default=0, editable=False)
    #: This site does not ask the peer to refresh the tokens before this time. It is set after a
    #: refusal, and when the peer sends the header ``Retry-After`` (RFC 9110, section 10.2.3).
    refresh_not_before = models.DateTimeField(null=True, blank=True, editable=False)

    incoming_state = models.CharField(
        _("incoming access"), max_length=10, choices=Incoming.choices, default=Incoming.NONE
    )
    incoming_reason = models.CharField(
        _("why incoming access does not work"), max_length=30, choices=Reason.choices, blank=True
    )
    #: The scope that the consent question asks the user to allow. It is the scope that the peer
    #: asked for, without the scopes that the peer may not have at this site
    #: (draft-ietf-oauth-reciprocal-04, section 2.1).
    offered_scope = models.TextField(_("scope that the peer asked for"), blank=True)
    incoming_scope = models.TextField(_("scope of the incoming access"), blank=True)
    #: Counts the decisions of the user for which this site has to send a new reciprocal code to the
    #: peer (draft-ietf-oauth-reciprocal-04, section 3). A refusal is not counted.
    generation = models.PositiveIntegerField(
        _("decisions"),
        default=0,
        help_text=_(
            "How many decisions of the user this site had to send to the peer with a reciprocal "
            "code (the generation)."
        ),
    )
    confirmed_generation = models.PositiveIntegerField(
        _("decision in force"),
        default=0,
        help_text=_(
            "The last decision whose code the peer has redeemed. The number is smaller than the "
            "number of decisions while a code is being delivered."
        ),
    )
    #: The ``token_family`` of the DOT tokens that the peer holds at this site. DOT gives the same
    #: ``token_family`` to a refresh token and to all later tokens that replace it.
    incoming_family = models.UUIDField(null=True, blank=True, editable=False, db_index=True)

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    linked_at = models.DateTimeField(_("linked both ways"), null=True, blank=True)
    #: When the peer last used a token of this link. This time is updated at most once an hour.
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
        """Return whether the link is still in use: ``False`` after it has ended."""
        return self.status == self.Status.ACTIVE

    @property
    def is_two_way(self) -> bool:
        """Return whether the link is in use and both directions work."""
        return (
            self.is_active
            and self.outgoing_state == self.Outgoing.ACTIVE
            and self.incoming_state == self.Incoming.ACTIVE
        )

    @property
    def data(self) -> dict[str, str]:
        """Return the values that the dialect of the peer needs to use and refresh the tokens."""
        return peer_data.read(self.peer_data)

    @property
    def has_outgoing_tokens(self) -> bool:
        """Return whether the link stores a token that the peer issued to this site. The token can
        be expired."""
        return bool(self.refresh_token or self.access_token)

    @property
    def can_revoke_outgoing(self) -> bool:
        """Return whether this site can revoke its tokens at the peer (RFC 7009, section 2)."""
        url = self.peer.revocation_endpoint
        return self.has_outgoing_tokens and bool(url) and is_bound(self.bound_to, self.peer, url)

    @property
    def has_lost_incoming_access(self) -> bool:
        """Return whether the peer lost its access to this site because the access was revoked at
        this site, or because it expired."""
        return self.incoming_state == self.Incoming.BROKEN and self.incoming_reason in LOST_INCOMING

    @property
    def keeps_earlier_incoming(self) -> bool:
        """Return whether the peer still has tokens from an earlier decision of the user. This is
        possible while the reciprocal code for the newest decision is being delivered, and after
        this delivery has failed. The result is ``False`` if the link stores no
        ``incoming_family``, or if the peer has lost its access."""
        waits = self.incoming_state in (self.Incoming.GRANTED, self.Incoming.BROKEN)
        return waits and self.incoming_family is not None and not self.has_lost_incoming_access

    @property
    def incoming_limit(self) -> str:
        """Return the largest scope that the tokens of the peer may have for this user now: the
        scopes that are both in ``incoming_scope`` and in :attr:`Peer.limit`."""
        return scopes.cut(self.incoming_scope, self.peer.limit)


#: The prefix of ``Link.account_key`` if the peer has told this site the ID of the account.
SUBJECT_PREFIX = "sub:"


def key_of_subject(subject: str) -> str:
    """Return the value of ``Link.account_key`` for an account whose ID at the peer is ``subject``.

    The key contains a hash of the ID. The ID itself would not work, because it is case sensitive
    (OpenID Connect Core 1.0, section 2) and MariaDB ignores case when it compares text.
    """
    return SUBJECT_PREFIX + hashlib.sha256(subject.encode()).hexdigest()


#: The prefix of ``Link.account_key`` if the user started to connect at the peer, and not at this
#: site.
FAMILY_PREFIX = "family:"


def key_of_family(family: uuid.UUID | None) -> str:
    """Return the value of ``Link.account_key`` for a user who started to connect at the peer.

    :param family: the ``token_family`` of the DOT tokens that the peer got at this site. If it is
        ``None``, the key contains a random value.
    """
    return f"{FAMILY_PREFIX}{family or uuid.uuid4()}"


#: The value of ``Link.account_key`` if the user started to connect at this site, and the peer does
#: not tell the ID of the account. Each user has at most one such link with a peer. If the user
#: connects again, the new tokens replace the tokens of this link.
KEY_UNKNOWN = "unknown"


class AuthorizationRequest(BaseModel):
    """An authorization request: this site redirects a user to the peer, and the user can allow
    this site to access the account at the peer (RFC 6749, sections 4.1.1 and 10.12).

    The row makes sure that the parameter ``state`` is used only once, only by the same user, and
    only in the browser that has the cookie of this request.
    """

    class Problem(models.TextChoices):
        """The reason why the request did not create a link."""

        NONE = "", _("no problem")
        DENIED = "denied", _("access was not allowed at the other site")
        PEER_ERROR = "peer_error", _("the other site reported an error")
        SETUP = "setup", _("the other site does not accept the requests of this site")
        PEER_UNREACHABLE = "peer_unreachable", _("the other site could not be reached")
        PROXY_FAILED = "proxy_failed", _("this site could not reach out, because its proxy failed")
        PEER_REFUSED = "peer_refused", _("the other site refused to exchange the code")
        BAD_RESPONSE = "bad_response", _("the response of the other site cannot be used")
        WRONG_ISSUER = "wrong_issuer", _("the response came from another site")
        NO_CODE = "no_code", _("the response contained no code")
        CREDENTIALS = "credentials", _("the other site refused the credentials of this site")
        SCOPE = "scope", _("the other site does not know a scope that this site asks for")
        TOO_LATE = "too_late", _("the person came back too late")
        OTHER_BROWSER = "other_browser", _("the person came back in another browser or account")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        django_settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    peer = models.ForeignKey(
        Peer, on_delete=models.CASCADE, related_name="+", verbose_name=_("peer")
    )
    state_hash = models.CharField(max_length=64, unique=True, editable=False)
    browser_hash = models.CharField(max_length=64, editable=False, default="")
    #: The authorization code belongs to this client ID of this site and to these origins of the
    #: peer. The code is sent nowhere else.
    bound_to = BindingField()
    #: The code verifier of PKCE (RFC 7636, section 4.1).
    code_verifier = EncryptedField(owner=("peer", "state_hash", "bound_to"), blank=True, default="")
    #: The value that the ID token must repeat (OpenID Connect Core 1.0, section 3.1.2.1).
    nonce = models.CharField(max_length=64, blank=True)
    #: The redirect URI in this request. The token request must repeat it (RFC 6749, section 4.1.3).
    redirect_uri = models.CharField(_("redirect URI"), max_length=500)
    #: The language of the user. It is needed at sites whose URLs contain the language.
    language = models.CharField(max_length=35, blank=True, default="")
    return_to = models.CharField(max_length=300, blank=True, default="")
    #: Whether this site asks for consent on its own page before the user returns to ``return_to``.
    #: Otherwise the user returns at once, and a front end asks through the API.
    asks_here = models.BooleanField(default=False)
    #: The hash of the start, the signed text with which an app opened the page that began this
    #: request. A start begins only one request.
    start_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001  Unique if not null.
    #: A text of the app. The user returns to the app with the same text.
    app_state = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(_("started"), default=timezone.now)
    answered_at = models.DateTimeField(_("came back"), null=True, blank=True)
    problem = models.CharField(_("problem"), max_length=20, choices=Problem.choices, blank=True)
    #: The error code of the peer, such as ``invalid_scope``; empty if the peer sent none.
    error = models.CharField(_("error code of the peer"), max_length=60, blank=True, default="")
    #: What happened, for administrators. It contains no secret.
    detail = models.CharField(_("details"), max_length=500, blank=True, default="")
    link = models.ForeignKey(
        Link,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="+",
        verbose_name=_("link"),
    )

    class Meta:
        verbose_name = _("attempt to connect")
        verbose_name_plural = _("attempts to connect")
        indexes = [
            models.Index(fields=["peer", "created_at"], name="reciprocal_request_of_peer"),
            # For the list in the admin, the overview and the deletion of old rows.
            models.Index(fields=["created_at"], name="reciprocal_request_time"),
        ]

    def __str__(self) -> str:
        return str(self.id)
