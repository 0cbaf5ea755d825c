"""The model of a peer: another site, as an administrator configured it."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..compat import APPLICATION_MODEL
from ..core import scopes
from ..core.database import atomic
from ..core.protocol import OWN_AUTHORIZATION_PARAMETERS
from ..secret import Secret
from . import peer_validation
from .base import BaseManager, BaseModel
from .binding import (
    ADDRESS_FIELDS,
    BindingField,
    PeerChange,
    binding_of,
    changes_between,
    is_bound,
)
from .fields import EncryptedField
from .reasons import Reason

logger = logging.getLogger("reciprocal_oauth")

#: The fields that the binding of the client secret depends on. Saving one of them checks it.
_BINDING_FIELDS = frozenset(
    {*ADDRESS_FIELDS, "client_id", "client_secret", "application", "application_id"}
)


class PeerManager(BaseManager["Peer"]):
    """The manager of peers. Fixtures name a peer by its short name."""

    def get_by_natural_key(self, slug: str) -> "Peer":
        """Return the peer with this short name.

        :raises Peer.DoesNotExist: there is none.
        """
        return self.get(slug=slug)


class Peer(BaseModel):
    """Another site: its endpoints, the registration of this site there, and its own here."""

    class AuthMethod(models.TextChoices):
        """How this site authenticates at the token endpoint of the peer (RFC 6749, section
        2.3.1)."""

        BASIC = "client_secret_basic", _("HTTP Basic")
        POST = "client_secret_post", _("In the request body")

    slug = models.SlugField(
        _("short name"),
        unique=True,
        help_text=_(
            "Part of the redirect URI that the peer has registered for this site. Do not change it."
        ),
    )
    name = models.CharField(_("name"), max_length=200, help_text=_("The name that people know."))
    homepage = models.CharField(
        _("homepage"), max_length=500, blank=True, validators=[URLValidator(["https", "http"])]
    )
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_(
            "When off, nobody can connect, and this site refuses every request of the peer. The "
            "peer may then end its connections, so that people have to connect again."
        ),
    )
    dialect = models.CharField(
        _("dialect"),
        max_length=200,
        default="ietf",
        help_text=_(
            "How this peer hands over codes. “ietf” is for peers that follow the draft exactly."
        ),
    )

    issuer = models.CharField(
        _("issuer"),
        max_length=500,
        blank=True,
        help_text=_(
            "The issuer identifier of the peer. This site refuses an authorization response that "
            "names another issuer (RFC 9207). Needed to ask for “openid”."
        ),
    )
    sends_iss = models.BooleanField(
        _("names its issuer in authorization responses"),
        default=False,
        help_text=_(
            "Turn this on when the metadata of the peer says so "
            "(authorization_response_iss_parameter_supported). This site then also refuses an "
            "authorization response that names no issuer (RFC 9207)."
        ),
    )
    #: RFC 6749, section 3.1.
    authorization_endpoint = models.CharField(
        _("authorization endpoint"), max_length=500, help_text=_("Where people allow access.")
    )
    authorization_parameters = models.TextField(
        _("extra authorization parameters"),
        max_length=2000,
        blank=True,
        help_text=_(
            "Parameters that this peer needs besides the usual ones. One NAME=VALUE on each line, "
            "such as access_type=offline."
        ),
    )
    #: RFC 6749, section 3.2.
    token_endpoint = models.CharField(
        _("token endpoint"),
        max_length=500,
        help_text=_("Where this site exchanges codes for tokens."),
    )
    revocation_endpoint = models.CharField(
        _("revocation endpoint"),
        max_length=500,
        blank=True,
        help_text=_(
            "Where this site revokes tokens that it no longer needs (RFC 7009). Blank: it cannot "
            "revoke them."
        ),
    )
    userinfo_endpoint = models.CharField(
        _("UserInfo endpoint"),
        max_length=500,
        blank=True,
        help_text=_(
            "Where this site reads the name of an account when the ID token does not contain it "
            "(OpenID Connect Core 1.0, section 5.3). Blank: it does not ask."
        ),
    )
    reciprocal_endpoint = models.CharField(
        _("reciprocal endpoint"),
        max_length=500,
        blank=True,
        help_text=_("Where this site hands over its codes. Blank: the token endpoint."),
    )

    #: RFC 6749, section 2.2.
    client_id = models.CharField(
        _("client ID of this site at the peer"),
        max_length=255,
        help_text=_("The client ID that the peer gave to this site."),
    )
    #: The client ID and the addresses that the client secret belongs to. It is sent nowhere else.
    bound_to = BindingField()
    client_secret = EncryptedField(
        _("client secret of this site at the peer"),
        owner=("slug", "bound_to"),
        blank=True,
        default="",
        help_text=_(
            "The client secret that the peer gave to this site. Stored encrypted, never shown."
        ),
    )
    token_endpoint_auth_method = models.CharField(
        _("client authentication"),
        max_length=30,
        choices=AuthMethod.choices,
        default=AuthMethod.BASIC,
        help_text=_("How this site authenticates at the token endpoint of the peer."),
    )

    application = models.OneToOneField(
        APPLICATION_MODEL,
        on_delete=models.PROTECT,
        related_name="reciprocal_peer",
        verbose_name=_("application of the peer"),
        help_text=_(
            "The registration of the peer at this site: confidential, with the authorization code "
            "grant and the redirect URI of the peer. Each peer needs an application of its own."
        ),
    )

    #: RFC 6749, section 3.3.
    scope = models.CharField(
        _("scope to ask for"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that this site asks the peer for when a person starts at this site."
        ),
    )
    #: draft-ietf-oauth-reciprocal-04, section 2.1.
    reciprocal_scope = models.CharField(
        _("reciprocal scope to ask for"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that this site asks for in the “reciprocal” parameter when a person starts "
            "at the peer. Blank: this site does not send the parameter."
        ),
    )
    allowed_scope = models.CharField(
        _("largest scope of the peer at this site"),
        max_length=1000,
        blank=True,
        help_text=_("Scopes of this site. The tokens of the peer never have any other scope."),
    )
    #: The value that both parties agree on (draft-ietf-oauth-reciprocal-04, section 2.1).
    preconfigured_scope = models.CharField(
        _("agreed scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that people are asked to allow when the peer sends no “reciprocal” "
            "parameter. It must be part of the largest scope of the peer."
        ),
    )

    revoke_replaced = models.BooleanField(
        _("revoke replaced tokens"),
        default=False,
        help_text=_(
            "When a person connects again, this site asks the peer to revoke the earlier token. At "
            "many sites, revoking one token ends the whole connection, and so the new one too: "
            "leave this off unless you know that this peer does not do that."
        ),
    )
    #: When the peer answered ``unsupported_grant_type`` to a reciprocal code (RFC 6749, section
    #: 5.2). Until the peer accepts a code, people are not asked about the reverse direction.
    reverse_refused_at = models.DateTimeField(
        _("does not support the reverse direction"), null=True, blank=True, editable=False
    )
    #: While set, all deliveries to this peer wait, and so do the codes that it handed over.
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)
    paused_reason = models.CharField(
        _("why it is paused"), max_length=30, choices=Reason.choices, blank=True, editable=False
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[PeerManager] = PeerManager()

    #: The secret as it was read or saved last. A different value means: somebody entered a new one.
    _kept_secret: Secret | None = None
    #: During :meth:`save`: the changes of the addresses, the client ID or the application.
    changes_being_saved: Sequence[PeerChange] = ()

    class Meta:
        verbose_name = _("peer")
        verbose_name_plural = _("peers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or self.slug

    def natural_key(self) -> tuple[str]:
        """Return the short name, which identifies the peer in fixtures."""
        return (self.slug,)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> "Peer":
        """Return the peer, and remember its stored client secret: a new one is noticed later."""
        peer = super().from_db(*args, **kwargs)
        peer._keep_secret()
        return peer

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Reload the peer, and remember the reloaded client secret as the stored one."""
        super().refresh_from_db(*args, **kwargs)
        self._keep_secret()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the peer, and bind a new client secret to its addresses and client ID.

        :raises ValidationError: the stored client secret would be sent to an address or a client
            ID that it does not belong to; or the application was exchanged although active links
            have tokens of the former one.
        """
        fields = kwargs.get("update_fields")
        with atomic():
            if not self._state.adding and (fields is None or _BINDING_FIELDS & set(fields)):
                self._bind(None if fields is None else set(fields))
                if fields is not None:
                    kwargs["update_fields"] = {*fields, "bound_to"}
            super().save(*args, **kwargs)
        self._keep_secret()
        self.changes_being_saved = ()

    def _bind(self, fields: set[str] | None) -> None:
        """:raises ValidationError: see :meth:`save`."""
        is_entered = self._has_new_secret and (fields is None or "client_secret" in fields)
        stored = Peer.objects.select_for_update().filter(pk=self.pk).first()
        if stored is None:
            return
        problems = peer_validation.problems_of_changes(stored, self, is_secret_entered=is_entered)
        if problems:
            raise ValidationError(problems)
        if not is_entered and "client_secret" in vars(self):
            # Somebody may have entered another secret since this object was read.
            self.client_secret = stored.client_secret
        self.changes_being_saved = changes_between(stored, self)
        is_new = is_entered or any(move.needs_secret for move in self.changes_being_saved)
        self.bound_to = binding_of(self) if is_new else stored.bound_to

    def _keep_secret(self) -> None:
        # vars(), because an access to a deferred field would cost a query.
        self._kept_secret = vars(self).get("client_secret")

    @property
    def _has_new_secret(self) -> bool:
        given = vars(self).get("client_secret")
        return given is not None and not given.is_stored_as(self._kept_secret)

    @property
    def binding(self) -> str:
        """The client ID and the addresses that the client secret belongs to. The secret of a new
        peer belongs to the values of this object."""
        return binding_of(self) if self._state.adding else self.bound_to

    def may_send_secret_to(self, url: str) -> bool:
        """Whether the client secret of this site belongs to the address in ``url``."""
        return is_bound(self.binding, self, url)

    @property
    def handover_endpoint(self) -> str:
        """Where this site hands over its codes: the reciprocal endpoint, or else the token
        endpoint (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""
        return self.reciprocal_endpoint or self.token_endpoint

    @property
    def extra_parameters(self) -> dict[str, str]:
        """The extra parameters of authorization requests, by name (RFC 6749, section 3.1)."""
        found = peer_validation.parameters_in(self.authorization_parameters)
        return {k: v for k, v in found.items() if k not in OWN_AUTHORIZATION_PARAMETERS}

    @property
    def reciprocal_limit(self) -> str:
        """The largest scope that a reciprocal grant can give this peer at this time."""
        return scopes.without_openid(self.limit)

    @property
    def supports_reverse(self) -> bool:
        """Whether the peer accepts reciprocal codes, as far as this site knows."""
        return self.reverse_refused_at is None

    def record_reverse_support(self, *, is_supported: bool) -> None:
        """Store whether the peer supports the reciprocal grant. Links with a peer that does not
        support it work in one direction."""
        wrong = Peer.objects.filter(pk=self.pk, reverse_refused_at__isnull=not is_supported)
        if not wrong.update(reverse_refused_at=None if is_supported else timezone.now()):
            return
        self.refresh_from_db(fields=["reverse_refused_at"])
        if not is_supported:
            logger.warning(
                "Peer %s does not support the reverse direction. Links with it work in one "
                "direction, and people are not asked about the other. Once the peer supports it, "
                "test the connection.",
                self.slug,
                extra={"action": "reverse_refused"},
            )

    @property
    def limit(self) -> str:
        """The largest scope that a token of this peer may have at this time: scopes that the
        administrator allows, the site defines, and the scopes backend of the site gives to the
        application."""
        return scopes.cut(
            self.allowed_scope, scopes.described(), scopes.available(self.application)
        )

    def clean(self) -> None:
        """Refuse a configuration that cannot work.

        :raises ValidationError: with the reasons, by field.
        """
        stored = None if self._state.adding else Peer.objects.filter(pk=self.pk).first()
        if problems := peer_validation.problems_of(
            self, stored, is_secret_entered=self._has_new_secret
        ):
            raise ValidationError(problems)
