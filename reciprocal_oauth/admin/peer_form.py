"""The admin form of a peer. This module defines widgets, labels and help texts. The validation of
the values is in ``Peer.clean``."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ImproperlyConfigured, ValidationError
from django.db.models import Q
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..core import plugins, scopes, site_address
from ..core.protocol import OPENID
from ..models import Peer, peer_validation
from ..peers.application import application_is_fixed
from ..secret import Secret
from ..vendors import preset_of
from . import scope_fields
from .peer_reconfiguration import ReconfigurationForm
from .scope_fields import ScopeTextField

#: HTML attributes of inputs for URLs, IDs and scopes, which are written from left to right in every
#: language. Without ``dir``, a page in Arabic would show the last slash of a URL before ``https``.
CODE_ATTRIBUTES = {"dir": "ltr"}
_SCOPES_HERE = ("allowed_scope", "preconfigured_scope")
_SCOPES_THERE = ("scope", "reciprocal_scope")
_SCOPES = (*_SCOPES_THERE, *_SCOPES_HERE)
_LONG = (
    "homepage",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
    "account_endpoint",
    "account_member",
    "logo_uri",
    "policy_uri",
    "tos_uri",
    "jwks_uri",
    "client_id",
    *_SCOPES,
)
SECRET_AGAIN = _("For security, the secret that you entered is not shown again. Enter it again.")
SECRET_KEPT = _(
    "You have entered a secret. It is not shown again, but kept in this page for one hour, "
    "encrypted. Leave this blank to use it."
)
#: The dialect of sites that use this app.
_DRAFT = "ietf"


class NeededField(forms.CharField):
    """A field that is marked as required if the dialect of the peer needs it."""

    def validate(self, value: str) -> None:
        """Accept every value, also a blank one. ``Peer.clean`` checks later whether the peer needs
        the value, and its error message explains why."""


class SecretField(NeededField):
    """A field for a secret. The form never shows the stored secret. If the user leaves the field
    blank, the stored secret is kept."""

    widget = forms.PasswordInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether the user has entered a secret."""
        return bool(data)


class ApplicationChoiceField(forms.ModelChoiceField):
    """A field to choose an application (a DOT client at this site). The label of each choice
    contains the client ID, because the names of applications can be empty or equal."""

    def label_from_instance(self, application: Any) -> str:
        """Return the name and the client ID of the application."""
        name = application.name or "–"
        return f"{name} ({application.client_id})"


class SealedField(forms.CharField):
    """A hidden field with a value that is sealed by :mod:`.sealed`. It is no value of the peer."""

    widget = forms.HiddenInput

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return ``False``: the history of the peer does not mention this field."""
        return False


class PeerForm(ReconfigurationForm):
    """The form to change a peer that is already stored. It is also the base class of the form to
    add a peer.

    :cvar base: the URL of this site, from the request.
    """

    base: ClassVar[str] = ""

    class Meta:
        model = Peer
        exclude = ()
        field_classes = {
            "application": ApplicationChoiceField,
            **dict.fromkeys(peer_validation.NEEDED, NeededField),
            "client_secret": SecretField,
            **dict.fromkeys(_SCOPES, ScopeTextField),
        }
        widgets = {
            **{
                name: forms.TextInput(attrs={"class": "vLargeTextField", **CODE_ATTRIBUTES})
                for name in _LONG
            },
            **{
                name: forms.Textarea(
                    attrs={"class": "vLargeTextField", "rows": 2, **CODE_ATTRIBUTES}
                )
                for name in ("authorization_parameters", "dialect_options")
            },
            "description": forms.Textarea(attrs={"class": "vLargeTextField", "rows": 2}),
            "client_secret": forms.PasswordInput(
                attrs={
                    "class": "vLargeTextField",
                    "autocomplete": "new-password",
                    **CODE_ATTRIBUTES,
                }
            ),
        }

    #: The client secret that the user entered before an error, encrypted for this user.
    sealed_secret = SealedField(required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A user who may only view the peer gets a form without fields.
        self._mark_needed()
        if "client_secret" in self.fields:
            self._explain_secret()
        if "application" in self.fields:
            self._limit_applications()
        if "dialect" in self.fields:
            self._offer_dialects()
        self._offer_scopes()
        self._explain_short_name()
        if "assertion_algorithm" in self.fields:
            self.fields["assertion_algorithm"].required = False  # It has a default value.

    def clean_client_secret(self) -> Secret:
        """Return the secret that the user entered. If the field is blank, return the stored
        secret."""
        given: str = self.cleaned_data["client_secret"]
        if not given and self._sealed:
            raise ValidationError(
                _("The secret that you entered was kept for one hour only. Enter it again.")
            )
        return Secret(given) if given else self.instance.client_secret

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error. If it is about a field that the form does not have, show it at the top of
        the form, with the name of the field."""
        if field is None and hasattr(error, "error_dict"):
            for name, reasons in error.error_dict.items():
                if name == "client_secret" and name in self.errors:
                    continue  # The form has said already why there is none.
                if name in self.fields or name == NON_FIELD_ERRORS:
                    super().add_error(name, reasons)
                else:
                    label = str(Peer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
                    texts = " ".join(ValidationError(reasons).messages)
                    super().add_error(None, f"{label}: {texts}")
            return
        super().add_error(field, error)

    def _mark_needed(self) -> None:
        """Mark the fields as required that the peer needs because of its dialect and of the way in
        which this site authenticates."""
        names = ("dialect", "client_id", "token_endpoint_auth_method")
        values = {name: getattr(self.instance, name) for name in names}
        if self.is_bound:
            typed = {name: self.data.get(self.add_prefix(name)) for name in names}
            values |= {name: value for name, value in typed.items() if value is not None}
        peer = Peer(**values)
        optional = peer_validation.optional_fields(peer)
        if peer.signs_assertions:
            optional |= {"client_secret"}
        for name in peer_validation.NEEDED:
            if name in self.fields:
                self.fields[name].required = name not in optional

    @property
    def _sealed(self) -> str:
        is_on_page = "sealed_secret" in self.fields
        return self.data.get(self.add_prefix("sealed_secret"), "") if is_on_page else ""

    def _explain_secret(self) -> None:
        field = self.fields["client_secret"]
        field.initial = None
        field.required = field.required and not self.instance.client_secret
        self.initial.pop("client_secret", None)
        if self.instance.pk is not None and self.instance.client_secret:
            field.help_text = _(
                "The secret that the peer gave to this site. A secret is stored. Leave this blank "
                "to keep it."
            )
        if self.is_bound and self.data.get(self.add_prefix("client_secret")):
            # The user sees this text only if the form has an error. Then the page shows the form
            # again, without the secret.
            field.help_text = SECRET_KEPT if self._sealed else SECRET_AGAIN
            field.required = field.required and not self._sealed

    def _offer_dialects(self) -> None:
        """Let the user choose one of the dialects in the settings. A dialect is the form of the
        HTTP requests and responses that the peer uses.

        If the settings no longer contain the dialect of the stored peer, offer this dialect too.
        Otherwise the browser would select another dialect, and the user could save it unnoticed.
        ``Peer.clean`` rejects the missing dialect with an error message.
        """
        field = self.fields["dialect"]
        names = sorted({*plugins.dialects(), self.instance.dialect})
        self.fields["dialect"] = forms.ChoiceField(
            label=field.label,
            help_text=field.help_text,
            initial=field.initial,
            choices=[(name, dialect_in_words(name)) for name in names],
        )

    def _offer_scopes(self) -> None:
        """Let the user choose scopes by checkboxes: those of this site, and those of the peer, as
        far as they are known."""
        for name in _SCOPES_HERE:
            if isinstance(field := self.fields.get(name), ScopeTextField):
                stored = scopes.split(getattr(self.instance, name))
                scope_fields.use_checkboxes(
                    field, scope_fields.choices_here(stored), takes_others=False
                )
        names = self._scopes_of_peer()
        stored = scopes.split(f"{self.instance.scope} {self.instance.reciprocal_scope}")
        choices = scope_fields.choices_there(self.instance, dict.fromkeys([*names, *stored]))
        for name in _SCOPES_THERE:
            field = self.fields.get(name)
            if choices and isinstance(field, ScopeTextField):
                # Nothing that a person signs in with is part of a reciprocal grant.
                offered = [each for each in choices if name == "scope" or each[0] != OPENID]
                scope_fields.use_checkboxes(field, offered, takes_others=True)

    def _scopes_of_peer(self) -> list[str]:
        """Return the names of scopes that the metadata of the peer lists, if it was just read."""
        return []

    def _explain_short_name(self) -> None:
        """Show the redirect URI. A script of the page puts the typed short name into it."""
        field = self.fields.get("slug")
        base = site_address.configured_base_url() or self.base
        callback = site_address.url_of("reciprocal_oauth:callback", "SHORT-NAME", base=base)
        if field is None or not callback:
            return
        typed = self.data.get(self.add_prefix("slug")) if self.is_bound else ""
        shown = typed or self.instance.slug or self.initial.get("slug") or "SHORT-NAME"
        field.help_text = format_html(
            "{} {}",
            field.help_text,
            format_html(
                gettext("The redirect URI of this site is then {}."),
                format_html(
                    '<code dir="ltr" data-redirect-uri="{}">{}</code>',
                    callback,
                    callback.replace("SHORT-NAME", str(shown)),
                ),
            ),
        )

    def _limit_applications(self) -> None:
        field: Any = self.fields["application"]
        free = Q(reciprocal_peer__isnull=True) | Q(reciprocal_peer=self.instance.pk)
        field.queryset = field.queryset.filter(free).order_by("name", "client_id")
        field.widget.can_delete_related = False
        if application_is_fixed(self.instance):
            field.disabled = True
            field.help_text = _(
                "The peer has active links, and their tokens belong to this application. To choose "
                "another application, end these links first."
            )


def dialect_in_words(name: str) -> str:
    """Return what kind of sites has this dialect, and its name."""
    if name == _DRAFT:
        return gettext("This app, or the draft (%(name)s)") % {"name": name}
    if preset := preset_of(name):
        return f"{preset.name} ({name})"
    try:
        label = str(plugins.dialect_class(name).label)
    except ImproperlyConfigured:
        return name
    return f"{label} ({name})" if label else name
