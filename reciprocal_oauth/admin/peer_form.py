"""The admin form of a peer. This module defines widgets, labels and help texts. The validation of
the values is in ``Peer.clean``."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db.models import Q
from django.forms.utils import ErrorDict
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..core import plugins
from ..models import Peer, peer_validation
from ..peers import discovery
from ..peers.application import application_is_fixed
from ..secret import Secret
from .peer_reconfiguration import ReconfigurationForm

#: HTML attributes of inputs for URLs, IDs and scopes, which are written from left to right in every
#: language. Without ``dir``, a page in Arabic would show the last slash of a URL before ``https``.
CODE_ATTRIBUTES = {"dir": "ltr"}
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
    "scope",
    "reciprocal_scope",
    "allowed_scope",
    "preconfigured_scope",
)
SECRET_AGAIN = _("For security, the secret that you entered is not shown again. Enter it again.")


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


class AddressInput(forms.TextInput):
    """A text input for the address of the other site, with the button “Look up” next to it."""

    template_name = "reciprocal_oauth/admin/address_input.html"


class RegistrationInput(forms.PasswordInput):
    """An input for an initial access token, with the button “Register this site there” next to
    it."""

    template_name = "reciprocal_oauth/admin/registration_input.html"


class PeerForm(ReconfigurationForm):
    """The form to change a peer that is already stored. It is also the base class of the form to
    add a peer."""

    class Meta:
        model = Peer
        exclude = ()
        field_classes = {
            "application": ApplicationChoiceField,
            **dict.fromkeys(peer_validation.NEEDED, NeededField),
            "client_secret": SecretField,
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
        if "assertion_algorithm" in self.fields:
            self.fields["assertion_algorithm"].required = False  # It has a default value.

    def clean_client_secret(self) -> Secret:
        """Return the secret that the user entered. If the field is blank, return the stored
        secret."""
        given: str = self.cleaned_data["client_secret"]
        return Secret(given) if given else self.instance.client_secret

    def add_error(self, field: str | None, error: Any) -> None:
        """Add an error. If it is about a field that the form does not have, show it at the top of
        the form, with the name of the field."""
        if field is None and hasattr(error, "error_dict"):
            for name, reasons in error.error_dict.items():
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
            field.help_text = SECRET_AGAIN

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
            choices=[(name, name) for name in names],
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


class NewPeerForm(PeerForm):
    """The form to add a peer. It has an additional field for the address of the other site, where
    the button “Look up” fetches the metadata."""

    address = forms.CharField(
        label=_("Address of the other site"),
        required=False,
        max_length=500,
        widget=AddressInput(attrs={"class": "vLargeTextField", **CODE_ATTRIBUTES}),
        help_text=_(
            "For example https://peer.example. The metadata of the site fills in the fields below."
        ),
    )

    #: What the scopes of the other site mean, in its words, from a look-up of its metadata. The
    #: model field has another name, because it is not editable.
    peer_words = forms.JSONField(widget=forms.HiddenInput, required=False)

    #: The registration endpoint in the metadata. The page shows its host.
    registration_endpoint = forms.CharField(widget=forms.HiddenInput, required=False)
    our_name = forms.CharField(
        label=_("Name of this site there"),
        required=False,
        max_length=200,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
        help_text=_("Blank: the host name of this site."),
    )
    other_host = forms.BooleanField(
        label=_("Register at this other host"),
        required=False,
        help_text=_(
            "The registration endpoint is at another host than the issuer. Check this box only if "
            "you know that the other site uses this host."
        ),
    )
    initial_access_token = forms.CharField(
        label=_("Initial access token"),
        required=False,
        max_length=8192,
        widget=RegistrationInput(
            attrs={"class": "vLargeTextField", "autocomplete": "off", **CODE_ATTRIBUTES}
        ),
        help_text=_("It is sent to the other site only, and not stored."),
    )

    def clean_initial_access_token(self) -> str:
        """Refuse to save the form while this field is filled in, because it serves only the button
        “Register this site there”.

        :raises ValidationError: the field is filled in.
        """
        if self.cleaned_data["initial_access_token"]:
            raise forms.ValidationError(
                _("Press “Register this site there” to use the token, or empty this field.")
            )
        return ""

    def clean_peer_words(self) -> dict[str, dict[str, str]]:
        """Return the words of the other site, and set them as those of the new peer."""
        words = discovery.words_in(self.cleaned_data["peer_words"])
        self.instance.scope_words = words
        return words

    def clean_address(self) -> str:
        """Refuse to save the form while this field is filled in. The field only serves the button
        “Look up” and is not stored, so the administrator has probably forgotten the button.

        :raises ValidationError: the field is filled in.
        """
        given: str = self.cleaned_data["address"]
        if given:
            raise forms.ValidationError(_("Press “Look up” before you save, or empty this field."))
        return given


class LookedUpForm(NewPeerForm):
    """The form that the page shows after a look-up. It contains the values that the user typed and
    the values that were found. They are validated later, when the user saves the form.

    :param problems: a mapping from names of fields to the reasons why no value was found.
    :param hints: a mapping from names of fields to a remark about the value.
    """

    def __init__(
        self,
        *args: Any,
        problems: Mapping[str, Sequence[str]],
        hints: Mapping[str, str],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._problems = problems
        for name, hint in hints.items():
            field = self.fields[name]
            field.help_text = format_html(
                '<strong class="ro-found">{}</strong> {}', hint, field.help_text
            )

    def full_clean(self) -> None:
        """Show the problems of the look-up as the errors of the form, and validate nothing."""
        self._errors, self.cleaned_data = ErrorDict(), {}
        for name, reasons in self._problems.items():
            self.add_error(name, list(reasons))

    def missing(self) -> list[str]:
        """Return the labels of the fields that are still empty and that the peer needs."""
        given = {name: self.data.get(self.add_prefix(name), "") for name in self.fields}
        names = ("dialect", "token_endpoint_auth_method", "issuer", *peer_validation.NEEDED)
        needed = {name: given[name] for name in names}
        missing = peer_validation.missing_fields(
            Peer(**{**needed, "client_secret": Secret(needed["client_secret"])})
        )
        needed_by_form = (
            name
            for name, field in self.fields.items()
            if field.required and not (given[name] or field.initial)
        )
        missing += [name for name in needed_by_form if name not in peer_validation.NEEDED]
        return [str(field.label) for name, field in self.fields.items() if name in missing]
