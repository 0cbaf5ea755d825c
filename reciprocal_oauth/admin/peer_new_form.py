"""The admin form to add a peer. It has fields that only this page needs, such as the address where
the metadata of the other site is looked up."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms.utils import ErrorDict
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Peer, peer_validation
from ..peers import discovery, sheet_file
from ..peers.application import application_for
from ..secret import Secret
from .peer_form import CODE_ATTRIBUTES, PeerForm


class AddressInput(forms.TextInput):
    """A text input for the address of the other site, with the button “Look up” next to it."""

    template_name = "reciprocal_oauth/admin/address_input.html"


class RegistrationInput(forms.PasswordInput):
    """An input for an initial access token, with the button “Register this site there” next to
    it."""

    template_name = "reciprocal_oauth/admin/registration_input.html"


class SheetInput(forms.Textarea):
    """An input for the content of a sheet, with the button “Use the sheet” below it."""

    template_name = "reciprocal_oauth/admin/sheet_input.html"


class NewPeerForm(PeerForm):
    """The form to add a peer. It has an additional field for the address of the other site, where
    the button “Look up” fetches the metadata."""

    address = forms.CharField(
        label=_("Address of the other site"),
        required=False,
        max_length=500,
        widget=AddressInput(attrs={"class": "vLargeTextField", **CODE_ATTRIBUTES}),
        help_text=_(
            "For example https://peer.example. The metadata of the site fills in the form."
        ),
    )

    #: The names of the scopes in its metadata, as a JSON list.
    peer_scopes = forms.JSONField(widget=forms.HiddenInput, required=False)
    sheet = forms.FileField(
        label=_("Sheet of the other site"),
        required=False,
        help_text=_(
            "A file that the other site has exported on its page “Give this to the other site”. It "
            "contains no secret."
        ),
    )
    pasted_sheet = forms.CharField(
        label=_("or its content"),
        required=False,
        max_length=sheet_file.MAX_BYTES,
        widget=SheetInput(
            attrs={
                "class": "vLargeTextField",
                "rows": 3,
                "autocomplete": "off",
                "spellcheck": "false",
                **CODE_ATTRIBUTES,
            }
        ),
    )
    redirect_uris = forms.CharField(
        label=_("Redirect URI of the peer"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"class": "vLargeTextField", "rows": 2, **CODE_ATTRIBUTES}),
        help_text=_(
            "For a new application. The administrator of the other site knows it. If there are "
            "several, write one on each line."
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

    #: Whether the user may create an application.
    may_create: ClassVar[bool] = False
    #: A new application, which is not saved yet.
    application_to_save: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields.get("application")
        if field is None or not self.may_create:
            self.fields.pop("redirect_uris", None)
            return
        field.required = False
        field.empty_label = gettext("Create one")
        field.widget.can_add_related = False

    def _offer_scopes(self) -> None:
        try:
            words = json.loads(self.data.get(self.add_prefix("peer_words")) or "{}")
        except ValueError:
            words = {}
        self.instance.scope_words = discovery.words_in(words)
        super()._offer_scopes()

    def _scopes_of_peer(self) -> list[str]:
        try:
            found = json.loads(self.data.get(self.add_prefix("peer_scopes")) or "[]")
        except ValueError:
            return []
        return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []

    def _post_clean(self) -> None:
        super()._post_clean()
        chosen = self.cleaned_data.get("application")
        if chosen is not None or "redirect_uris" not in self.fields:
            return
        if "application" in self.errors:
            return
        uris = self.cleaned_data.get("redirect_uris", "").split()
        application = application_for(self.instance, redirect_uris=uris)
        if not uris:
            self.add_error(
                "redirect_uris", _("Enter the redirect URI of the peer, or choose an application.")
            )
            return
        try:
            application.full_clean()
        except ValidationError as error:
            for name, reasons in error.message_dict.items():
                self.add_error("redirect_uris" if name == "redirect_uris" else None, reasons)
        self.application_to_save = application

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
        if "redirect_uris" in given and not (given["application"] or given["redirect_uris"]):
            missing.append("redirect_uris")
        return [str(field.label) for name, field in self.fields.items() if name in missing]
