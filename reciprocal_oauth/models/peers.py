"""The model of a peer (another site to which users can connect their accounts)."""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..compat import APPLICATION_MODEL
from ..core.database import atomic
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
from .peer_derived import DerivedValues
from .peer_display import AccountFields, DisplayFields
from .peer_keys import AuthMethod, KeyFields
from .reasons import Reason

logger = logging.getLogger("reciprocal_oauth")

#: When one of these fields is saved, :meth:`Peer.save` checks whether the stored client secret may
#: be used with the new values, and updates ``bound_to`` (the addresses and the client ID that the
#: secret belongs to).
_BINDING_FIELDS = frozenset(
    {*ADDRESS_FIELDS, "slug", "client_id", "client_secret", "application", "application_id"}
)
#: When this field is saved with the value ``private_key_jwt``, the client secret is erased.
_METHOD = "token_endpoint_auth_method"


class PeerManager(BaseManager["Peer"]):
    """The manager of peers. In a fixture, a peer is identified by its short name (``slug``)."""

    def get_by_natural_key(self, slug: str) -> "Peer":
        """Return the peer with the short name ``slug``.

        :raises Peer.DoesNotExist: no peer has this short name.
        """
        return self.get(slug=slug)


class Peer(DerivedValues, KeyFields, AccountFields, DisplayFields, BaseModel):
    """Another site. The row stores the peer's endpoints, the registration of this site at the peer
    (client ID and secret), and the registration of the peer at this site (a DOT application)."""

    AuthMethod = AuthMethod

    slug = models.SlugField(
        _("short name"),
        unique=True,
        help_text=_(
            "Part of the redirect URI that the peer registers for this site. It can be changed "
            "until people connect, but not after a pairing."
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
    dialect_options = models.TextField(
        _("dialect options"),
        max_length=2000,
        blank=True,
        help_text=_(
            "Values that only this dialect needs. One NAME=VALUE on each line, such as "
            "stage=development."
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
        _("sends its issuer in authorization responses"),
        default=False,
        help_text=_(
            "Turn this on when the metadata of the peer says so "
            "(authorization_response_iss_parameter_supported). This site then also refuses an "
            "authorization response that names no issuer (RFC 9207)."
        ),
    )
    #: The URL at which a user allows access (RFC 6749, section 3.1).
    authorization_endpoint = models.CharField(
        _("authorization endpoint"),
        max_length=500,
        blank=True,
        help_text=_("Where people allow access. Blank: people cannot start at this site."),
    )
    authorization_parameters = models.TextField(
        _("authorization parameters"),
        max_length=2000,
        blank=True,
        help_text=_(
            "Parameters that this peer needs besides the usual ones. One NAME=VALUE on each line, "
            "such as access_type=offline."
        ),
    )
    #: The URL at which this site gets tokens (RFC 6749, section 3.2).
    token_endpoint = models.CharField(
        _("token endpoint"),
        max_length=500,
        blank=True,
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
    reciprocal_endpoint = models.CharField(
        _("reciprocal endpoint"),
        max_length=500,
        blank=True,
        help_text=_("Where this site hands over its codes. Blank: the token endpoint."),
    )

    #: The client ID that the peer gave to this site (RFC 6749, section 2.2).
    client_id = models.CharField(
        _("client ID of this site at the peer"),
        max_length=255,
        blank=True,
        help_text=_("The client ID that the peer gave to this site."),
    )
    #: The client secret belongs to this client ID of this site and to these origins of the peer.
    #: The secret is sent nowhere else.
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

    #: The scope that this site asks for in an authorization request (RFC 6749, section 3.3).
    scope = models.CharField(
        _("scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that this site asks the peer for when a person starts at this site."
        ),
    )
    #: The scope in the ``reciprocal`` parameter that this site, as party B, sends to the peer in
    #: responses (draft-ietf-oauth-reciprocal-04, section 2.1).
    reciprocal_scope = models.CharField(
        _("reciprocal scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that this site asks for in the “reciprocal” parameter when a person starts "
            "at the peer. Blank: this site does not send the parameter."
        ),
    )
    allowed_scope = models.CharField(
        _("allowed scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The most that the peer may do here, in scopes of this site. The tokens that this site "
            "issues to the peer have no other scope."
        ),
    )
    #: The scope that both sites agreed on. It is used if the peer sends no ``reciprocal`` parameter
    #: (draft-ietf-oauth-reciprocal-04, section 2.1).
    preconfigured_scope = models.CharField(
        _("preconfigured scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "The scope that people are asked to allow when the peer sends no “reciprocal” "
            "parameter. It must be part of the allowed scope."
        ),
    )

    revoke_replaced = models.BooleanField(
        _("revoke replaced tokens"),
        default=False,
        help_text=_(
            "When a person connects again, this site asks the peer to revoke the earlier token. At "
            "many sites, this ends the whole connection, so that the new token stops working too. "
            "Turn this on only if you know that the new token keeps working at this peer."
        ),
    )
    #: The time when the peer responded with ``unsupported_grant_type`` to a reciprocal code (RFC
    #: 6749, section 5.2). While this is set, this site does not ask users whether the peer may act
    #: at this site (the reverse direction). It becomes null when this site finds that the peer
    #: supports reciprocal codes.
    reverse_refused_at = models.DateTimeField(
        _("does not support the reverse direction"), null=True, blank=True, editable=False
    )
    #: While this is set, this site delivers nothing to the peer, and does not redeem codes that the
    #: peer sent. All these deliveries wait.
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)
    paused_reason = models.CharField(
        _("why it is paused"), max_length=30, choices=Reason.choices, blank=True, editable=False
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[PeerManager] = PeerManager()

    #: The client secret as it was last read or saved. If ``client_secret`` has another value,
    #: somebody has entered a new secret.
    _kept_secret: Secret | None = None
    #: The changes of addresses, client ID or application that :meth:`save` is saving now. Receivers
    #: of ``post_save`` can read them. Before and after :meth:`save`, the sequence is empty.
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
        """Create the peer from a database row. Remember its client secret, so that :meth:`save` can
        notice a new client secret."""
        peer = super().from_db(*args, **kwargs)
        peer._keep_secret()
        return peer

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        """Read the peer from the database again. Remember its client secret, so that :meth:`save`
        can notice a new client secret."""
        super().refresh_from_db(*args, **kwargs)
        self._keep_secret()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the peer. If somebody has entered a new client secret, also store in ``bound_to``
        that the secret belongs to the present addresses and the present client ID. If this site
        signs instead, erase the secret, because nobody needs it any more.

        :raises ValidationError: the peer has a new address or a new client ID, but nobody has
            entered a client secret for it. Or the peer has another application, but active links
            have tokens of the former application. Or it has another short name, but it has links or
            is paired.
        """
        fields = kwargs.get("update_fields")
        if self.signs_assertions and (fields is None or _METHOD in fields) and self.client_secret:
            self.client_secret = Secret("")
            fields = None if fields is None else {*fields, "client_secret"}
            kwargs["update_fields"] = fields
        with atomic():
            if not self._state.adding and (fields is None or _BINDING_FIELDS & set(fields)):
                more = self._bind(None if fields is None else set(fields))
                if fields is not None:
                    kwargs["update_fields"] = {*fields, *more}
            super().save(*args, **kwargs)
        self._keep_secret()
        self.changes_being_saved = ()

    def _bind(self, fields: set[str] | None) -> set[str]:
        """Compare the peer with its stored row. Set ``bound_to``, which stores the addresses and
        the client ID that the client secret belongs to, and ``changes_being_saved``.

        :returns: the fields that must be saved too.
        :raises ValidationError: see :meth:`save`.
        """
        is_entered = self._has_new_secret and (fields is None or "client_secret" in fields)
        stored = Peer.objects.select_for_update().filter(pk=self.pk).first()
        if stored is None:
            return {"bound_to"}
        problems = peer_validation.problems_of_changes(stored, self, is_secret_entered=is_entered)
        if problems:
            raise ValidationError(problems)
        is_renamed = self.slug != stored.slug
        if not is_entered and ("client_secret" in vars(self) or is_renamed):
            # Nobody has entered a secret in this object. So use the secret in the database, because
            # another process can have saved a newer secret after this object was read.
            self.client_secret = stored.client_secret
        self.changes_being_saved = changes_between(stored, self)
        is_new = is_entered or any(move.needs_secret for move in self.changes_being_saved)
        self.bound_to = binding_of(self) if is_new else stored.bound_to
        # The secret is encrypted for the short name, so it is encrypted again for a new one.
        return {"bound_to", "client_secret"} if is_renamed else {"bound_to"}

    def _keep_secret(self) -> None:
        # Read the value with vars(). If the field was not loaded, normal access to the attribute
        # would run a query.
        self._kept_secret = vars(self).get("client_secret")

    @property
    def _has_new_secret(self) -> bool:
        given = vars(self).get("client_secret")
        return given is not None and not given.is_stored_as(self._kept_secret)

    @property
    def binding(self) -> str:
        """Return the client ID and the origins to which the client secret belongs, in the form of
        :func:`binding_of`. For a saved peer, this is ``bound_to``. For a peer that is not saved
        yet, it is made from the present values of this object."""
        return binding_of(self) if self._state.adding else self.bound_to

    @property
    def signs_assertions(self) -> bool:
        """Return whether this site authenticates at the peer with a signed assertion (RFC 7523,
        section 2.2) instead of a client secret."""
        return self.token_endpoint_auth_method == self.AuthMethod.PRIVATE_KEY_JWT

    @property
    def audience(self) -> str:
        """Return the only audience of the assertions of this site (RFC 7523, section 3)."""
        return self.assertion_audience or self.issuer

    def may_send_secret_to(self, url: str) -> bool:
        """Return whether the client secret of this site may be sent to ``url``. If this site signs
        instead, return whether it may send an assertion to ``url``, or sign for it."""
        return is_bound(self.binding, self, url)

    def record_reverse_support(self, *, is_supported: bool) -> None:
        """Store whether the peer accepts reciprocal codes. If it does not, links with this peer
        work only in one direction."""
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

    def clean(self) -> None:
        """Check the configuration of the peer (used by forms and the Django admin).

        :raises ValidationError: the configuration has errors. The exception has them by field name.
        """
        stored = None if self._state.adding else Peer.objects.filter(pk=self.pk).first()
        # save() erases the secret of a peer for which this site signs.
        is_entered = self._has_new_secret or self.signs_assertions
        if problems := peer_validation.problems_of(self, stored, is_secret_entered=is_entered):
            raise ValidationError(problems)
