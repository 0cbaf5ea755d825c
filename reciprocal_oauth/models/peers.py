"""The other site, as an administrator configured it."""

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
from ..core.protocol import OPENID, OWN_AUTHORIZATION_PARAMETERS
from ..secret import Secret
from .base import BaseManager, BaseModel
from .binding import PLACES, BindingField, Move, binding_of, in_words, is_bound, moves_between
from .fields import EncryptedField
from .peer_validation import (
    ENDPOINTS,
    check_application,
    check_client_id,
    check_dialect,
    check_endpoint,
    check_parameters,
    check_scope,
    check_scope_here,
    parameters_in,
)
from .reasons import Reason

logger = logging.getLogger("reciprocal_oauth")

#: What :attr:`Peer.bound_to` has to be looked at for.
BOUND = frozenset({*PLACES, "client_id", "client_secret", "application", "application_id"})


class PeerManager(BaseManager["Peer"]):
    def get_by_natural_key(self, slug: str) -> "Peer":
        return self.get(slug=slug)


class Peer(BaseModel):
    """The other party: its endpoints, our registration there and its registration here."""

    class AuthMethod(models.TextChoices):
        """How we authenticate at its token endpoint (RFC 6749, section 2.3.1)."""

        BASIC = "client_secret_basic", _("HTTP Basic")
        POST = "client_secret_post", _("In the request body")

    slug = models.SlugField(
        _("short name"),
        unique=True,
        help_text=_("Part of the redirect URI that is registered at the peer: keep it."),
    )
    name = models.CharField(_("name"), max_length=200, help_text=_("As people know the site."))
    homepage = models.CharField(
        _("homepage"), max_length=500, blank=True, validators=[URLValidator(["https", "http"])]
    )
    enabled = models.BooleanField(
        _("enabled"),
        default=True,
        help_text=_(
            "When off, nobody can connect and the peer is refused everywhere here. It may take "
            "the refusals for the end of its connections, which people then have to begin again."
        ),
    )
    dialect = models.CharField(
        _("dialect"),
        max_length=200,
        default="ietf",
        help_text=_("How this peer speaks: “ietf” is the draft as it is written."),
    )

    issuer = models.CharField(
        _("issuer"),
        max_length=500,
        blank=True,
        help_text=_(
            "Its issuer identifier. When set, an authorization response that names another "
            "issuer is refused (RFC 9207). Needed to ask for “openid”."
        ),
    )
    sends_iss = models.BooleanField(
        _("names its issuer in answers"),
        default=False,
        help_text=_(
            "The peer's metadata promises it (authorization_response_iss_parameter_supported). "
            "When on, an authorization response that names no issuer is refused as well "
            "(RFC 9207)."
        ),
    )
    authorization_endpoint = models.CharField(
        _("authorization endpoint"), max_length=500, help_text=_("Where people are sent to allow.")
    )
    authorization_parameters = models.TextField(
        _("extra authorization parameters"),
        max_length=2000,
        blank=True,
        help_text=_(
            "What this peer wants to be told beside the usual when people are sent there, one "
            "NAME=VALUE a line: access_type=offline."
        ),
    )
    token_endpoint = models.CharField(
        _("token endpoint"), max_length=500, help_text=_("Where codes are exchanged for tokens.")
    )
    revocation_endpoint = models.CharField(
        _("revocation endpoint"), max_length=500, blank=True, help_text=_("RFC 7009.")
    )
    userinfo_endpoint = models.CharField(
        _("UserInfo endpoint"),
        max_length=500,
        blank=True,
        help_text=_(
            "Where the peer tells what an account is called, when its ID token does not "
            "(OpenID Connect Core 1.0, section 5.3). Blank: nobody asks."
        ),
    )
    reciprocal_endpoint = models.CharField(
        _("reciprocal endpoint"),
        max_length=500,
        blank=True,
        help_text=_("Where our codes are handed over. Blank: the token endpoint."),
    )

    client_id = models.CharField(
        _("our client ID there"),
        max_length=255,
        help_text=_("The id that the peer gave to this site, not the one it has here."),
    )
    #: For whom the client secret is: it is sent to nobody else.
    bound_to = BindingField()
    client_secret = EncryptedField(
        _("our client secret there"),
        owner=("slug", "bound_to"),
        blank=True,
        default="",
        help_text=_("The secret that the peer gave to this site. Stored encrypted, never shown."),
    )
    token_endpoint_auth_method = models.CharField(
        _("client authentication"),
        max_length=30,
        choices=AuthMethod.choices,
        default=AuthMethod.BASIC,
        help_text=_("How this site authenticates there."),
    )

    application = models.OneToOneField(
        APPLICATION_MODEL,
        on_delete=models.PROTECT,
        related_name="reciprocal_peer",
        verbose_name=_("its application here"),
        help_text=_(
            "The peer's own registration at this site: confidential, authorization code, with "
            "the peer's callback as redirect URI. One application serves one peer."
        ),
    )

    scope = models.CharField(
        _("scope we ask for"),
        max_length=1000,
        blank=True,
        help_text=_("What we ask of the peer when a person starts at this site."),
    )
    reciprocal_scope = models.CharField(
        _("reciprocal scope we ask for"),
        max_length=1000,
        blank=True,
        help_text=_(
            "What we ask of the peer in the “reciprocal” parameter when the person started "
            "there. Blank: the parameter is left out."
        ),
    )
    allowed_scope = models.CharField(
        _("most it may hold here"),
        max_length=1000,
        blank=True,
        help_text=_("Scopes of this site. The peer is never given more, whoever asks."),
    )
    preconfigured_scope = models.CharField(
        _("agreed scope"),
        max_length=1000,
        blank=True,
        help_text=_(
            "What people here are asked to give to the peer when it sends no “reciprocal” "
            "parameter. Part of the scope above."
        ),
    )

    revoke_replaced = models.BooleanField(
        _("revoke replaced tokens"),
        default=False,
        help_text=_(
            "When a person connects again, have the peer revoke the token from before. Many sites "
            "end the whole connection with any of its tokens, and so the new one: leave this off "
            "unless you know that this peer does not."
        ),
    )
    #: When it said that it does not know the reciprocal grant (RFC 6749, section 5.2:
    #: ``unsupported_grant_type``). Until it takes a code, nobody is asked about the reverse.
    reverse_refused_at = models.DateTimeField(
        _("does not support the reverse direction"), null=True, blank=True, editable=False
    )
    #: While set, no row of either queue is worked on for this peer; they wait.
    paused_at = models.DateTimeField(_("paused"), null=True, blank=True, editable=False)
    paused_reason = models.CharField(
        _("why it is paused"), max_length=30, choices=Reason.choices, blank=True, editable=False
    )

    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects: ClassVar[PeerManager] = PeerManager()

    #: The secret as it was read or stored: another one in its place was entered since.
    _kept_secret: Secret | None = None
    #: What the save that is under way changes of where the peer is, or of who we are there.
    moves: Sequence[Move] = ()

    class Meta:
        verbose_name = _("peer")
        verbose_name_plural = _("peers")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name or self.slug

    def natural_key(self) -> tuple[str]:
        return (self.slug,)

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> "Peer":
        peer = super().from_db(*args, **kwargs)
        peer._keep_secret()
        return peer

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._keep_secret()

    def save(self, *args: Any, **kwargs: Any) -> None:
        """As every model, and binds the client secret to where it was entered for.

        :raises ValidationError: another address or client id would get a secret that was not
            entered for it; or the application was exchanged while links have tokens of it.
        """
        fields = kwargs.get("update_fields")
        with atomic():
            if not self._state.adding and (fields is None or BOUND & set(fields)):
                self._bind(None if fields is None else set(fields))
                if fields is not None:
                    kwargs["update_fields"] = {*fields, "bound_to"}
            super().save(*args, **kwargs)
        self._keep_secret()
        self.moves = ()

    def _bind(self, fields: set[str] | None) -> None:
        """:raises ValidationError: see :meth:`save`."""
        is_entered = self._has_new_secret and (fields is None or "client_secret" in fields)
        stored = Peer.objects.select_for_update().filter(pk=self.pk).first()
        if stored is None:
            return
        if problems := self._problems_of_moving(stored, is_entered=is_entered):
            raise ValidationError(problems)
        if not is_entered and "client_secret" in vars(self):
            # This row may have been read before somebody entered another one.
            self.client_secret = stored.client_secret
        self.moves = moves_between(stored, self)
        is_new = is_entered or any(move.needs_secret for move in self.moves)
        self.bound_to = binding_of(self) if is_new else stored.bound_to

    def _keep_secret(self) -> None:
        # A field that was left out when the row was read is not fetched for this.
        self._kept_secret = vars(self).get("client_secret")

    @property
    def _has_new_secret(self) -> bool:
        given = vars(self).get("client_secret")
        return given is not None and not given.is_stored_as(self._kept_secret)

    @property
    def binding(self) -> str:
        """For whom the client secret is. One that is not stored yet is for the peer as it stands
        here."""
        return binding_of(self) if self._state.adding else self.bound_to

    def may_be_sent_to(self, url: str) -> bool:
        """Whether our client secret at this peer was entered for what is at ``url``."""
        return is_bound(self.binding, self, url)

    @property
    def handover_endpoint(self) -> str:
        """Where codes are handed over: the reciprocal endpoint, else the token endpoint."""
        return self.reciprocal_endpoint or self.token_endpoint

    @property
    def extra_parameters(self) -> dict[str, str]:
        """What is sent with people to the authorization endpoint beside the usual."""
        found = parameters_in(self.authorization_parameters)
        return {k: v for k, v in found.items() if k not in OWN_AUTHORIZATION_PARAMETERS}

    @property
    def reciprocal_limit(self) -> str:
        """The most that a reciprocal grant can give this peer here, today."""
        return scopes.without_openid(self.limit)

    @property
    def takes_reverse(self) -> bool:
        """Whether it has not said that it cannot take reciprocal codes."""
        return self.reverse_refused_at is None

    def note_reverse(self, *, is_taken: bool) -> None:
        """Note that the peer takes reciprocal codes, or has said that it does not know what they
        are. Nothing waits for that: a link with such a peer works one way."""
        wrong = Peer.objects.filter(pk=self.pk, reverse_refused_at__isnull=not is_taken)
        if not wrong.update(reverse_refused_at=None if is_taken else timezone.now()):
            return
        self.refresh_from_db(fields=["reverse_refused_at"])
        if not is_taken:
            logger.warning(
                "Peer %s does not support the reverse direction: links with it work one way, and "
                "nobody is asked what it may do here. Once it does, test the connection.",
                self.slug,
                extra={"action": "reverse_refused"},
            )

    @property
    def limit(self) -> str:
        """The most that any token of this peer may carry here, today: what it may hold, the site
        still has, and the site's scopes backend lets its application have."""
        return scopes.cut(
            self.allowed_scope, scopes.described(), scopes.available(self.application)
        )

    def clean(self) -> None:
        """Refuse what cannot work, with the reason beside the field."""
        problems: dict[str, list[str]] = {}

        def gather(field: str, found: list[str]) -> None:
            if found:
                problems.setdefault(field, []).extend(found)

        for field, example in ENDPOINTS.items():
            gather(field, check_endpoint(getattr(self, field), example))
        if not self.issuer:
            gather("issuer", self._check_no_issuer())
        gather("client_id", check_client_id(self.client_id))
        gather("authorization_parameters", check_parameters(self.authorization_parameters))
        if not self.client_secret:
            gather("client_secret", [str(_("Enter the secret that the peer gave to this site."))])
        for field in ("scope", "reciprocal_scope", "allowed_scope", "preconfigured_scope"):
            gather(field, check_scope(getattr(self, field)))
        if not problems.keys() & {"allowed_scope", "preconfigured_scope"}:
            gather("allowed_scope", check_scope_here(self.allowed_scope))
            gather("preconfigured_scope", check_scope_here(self.preconfigured_scope))
            beyond = set(scopes.split(self.preconfigured_scope)) - set(
                scopes.split(self.allowed_scope)
            )
            if beyond:
                gather(
                    "preconfigured_scope",
                    [
                        str(_("Not part of the most it may hold here: %(scopes)s."))
                        % {"scopes": " ".join(sorted(beyond))}
                    ],
                )
        for field in ("reciprocal_scope", "preconfigured_scope"):
            if OPENID in scopes.split(getattr(self, field)):
                gather(
                    field,
                    [str(_("“openid” cannot be part of a reciprocal grant: nobody signs in."))],
                )
        if self.application_id is not None:
            gather("application", check_application(self.application))
        gather("dialect", check_dialect(self.dialect))
        stored = None if self._state.adding else Peer.objects.filter(pk=self.pk).first()
        if stored is not None:
            found = self._problems_of_moving(stored, is_entered=self._has_new_secret)
            for field, reasons in found.items():
                gather(field, reasons)
        if problems:
            raise ValidationError(problems)

    def _check_no_issuer(self) -> list[str]:
        """Reasons why the issuer cannot be blank: something has to be compared with it."""
        if self.sends_iss:
            return [str(_("Enter the issuer that its answers have to name."))]
        if OPENID in scopes.split(self.scope):
            return [str(_("Enter its issuer: with “openid” it names it in ID tokens."))]
        return []

    def _problems_of_moving(self, stored: "Peer", *, is_entered: bool) -> dict[str, list[str]]:
        """Reasons against what makes of ``stored`` what this is, by field.

        The secret is for those for whom it was entered. And without the peer, nothing would limit
        or end the tokens that active links have given to its application.

        :param is_entered: whether the client secret has been entered anew.
        """
        problems = {}
        moves = [move for move in moves_between(stored, self) if move.needs_secret]
        if moves and stored.client_secret and not is_entered:
            text = _(
                "The stored secret was entered for another address or another client ID and is "
                "not sent there. Enter the secret again for: %(changes)s."
            )
            problems["client_secret"] = [str(text) % {"changes": in_words(moves)}]
        is_exchanged = self.application_id != stored.application_id
        if is_exchanged and stored.links.filter(status="active").exists():
            text = _("The links of this peer hold tokens of its application; end them first.")
            problems["application"] = [str(text)]
        return problems
