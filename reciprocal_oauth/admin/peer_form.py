"""The form of a peer. ``Peer.clean`` gives the reasons; this adds what a form needs beside them."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.db.models import Q
from django.forms.utils import ErrorDict
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from ..core import plugins
from ..models import Peer
from ..peers.application import application_is_fixed
from ..secret import Secret
from .peer_reconfiguration import MovingForm

#: What is read from left to right in every language: an address would be drawn with its last slash
#: before its scheme.
_CODE = {"dir": "ltr"}
_LONG = (
    "homepage",
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
    "client_id",
    "scope",
    "reciprocal_scope",
    "allowed_scope",
    "preconfigured_scope",
)


class SecretField(forms.CharField):
    """A secret that is written and never read back. Blank: the stored one stays."""

    widget = forms.PasswordInput

    def validate(self, value: str) -> None:
        """``required`` only marks the field: ``Peer.clean`` says why it is."""

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(data)


class ApplicationChoiceField(forms.ModelChoiceField):
    """Applications are told apart by their client id: names may be the same, or missing."""

    def label_from_instance(self, application: Any) -> str:
        name = application.name or "–"
        return f"{name} ({application.client_id})"


class AddressInput(forms.TextInput):
    """With the button that looks the address up."""

    template_name = "reciprocal_oauth/admin/address_input.html"


class PeerForm(MovingForm):
    class Meta:
        model = Peer
        exclude = ()
        field_classes = {"application": ApplicationChoiceField, "client_secret": SecretField}
        widgets = {
            **{
                name: forms.TextInput(attrs={"class": "vLargeTextField", **_CODE}) for name in _LONG
            },
            "authorization_parameters": forms.Textarea(
                attrs={"class": "vLargeTextField", "rows": 2, **_CODE}
            ),
            "client_secret": forms.PasswordInput(
                attrs={"class": "vLargeTextField", "autocomplete": "new-password", **_CODE}
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Whoever may only look at a peer gets a form without fields.
        if "client_secret" in self.fields:
            self._explain_secret()
        if "application" in self.fields:
            self._limit_applications()
        if "dialect" in self.fields:
            self._offer_dialects()

    def clean_client_secret(self) -> Secret:
        given: str = self.cleaned_data["client_secret"]
        return Secret(given) if given else self.instance.client_secret

    def _explain_secret(self) -> None:
        field = self.fields["client_secret"]
        field.initial = None
        field.required = not self.instance.client_secret
        self.initial.pop("client_secret", None)
        if self.instance.pk is not None and self.instance.client_secret:
            field.help_text = _(
                "The secret that the peer gave to this site. One is stored: leave this blank to "
                "keep it."
            )
        if self.is_bound and self.data.get(self.add_prefix("client_secret")):
            # Only seen where something else has to be corrected.
            field.help_text = _(
                "What you entered is not sent back to your browser. Enter it again."
            )

    def _offer_dialects(self) -> None:
        """The names that the settings know. One that a row still has is shown, and refused."""
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
                "The peer has links, and their tokens belong to this application: it stays as it "
                "is until they are ended."
            )


class NewPeerForm(PeerForm):
    """With the address that a peer is looked up at."""

    address = forms.CharField(
        label=_("Its address"),
        required=False,
        max_length=500,
        widget=AddressInput(attrs={"class": "vLargeTextField", **_CODE}),
        help_text=_("Such as https://peer.example. What it says of itself fills in what is below."),
    )

    def clean_address(self) -> str:
        given: str = self.cleaned_data["address"]
        if given:
            raise forms.ValidationError(_("Look it up before you save, or leave this blank."))
        return given


class LookedUpForm(NewPeerForm):
    """What was typed, together with what was found. Nothing else is judged yet.

    :param problems: by field, why something was not found.
    :param hints: by field, what was found beside the values.
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
        self._errors, self.cleaned_data = ErrorDict(), {}
        for name, reasons in self._problems.items():
            self.add_error(name, list(reasons))

    def missing(self) -> list[str]:
        """The labels of what has to be filled in by hand."""
        return [
            str(field.label)
            for name, field in self.fields.items()
            if field.required and not self.data.get(self.add_prefix(name))
        ]
