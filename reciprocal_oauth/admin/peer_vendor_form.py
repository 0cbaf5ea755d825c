"""The short form to add a peer of a vendor. It has only the fields for what the console of the
vendor shows. The preset of the vendor fills in the rest."""

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from ..core import scopes
from ..peers import preset_values
from ..peers.application import application_for
from ..secret import Secret
from ..vendors import Preset
from ..vendors.preset import Question, names_in
from .peer_form import CODE_ATTRIBUTES, SECRET_AGAIN, NeededField, PeerForm, SecretField


def field_of(question: Question) -> str:
    """Return the name of the form field for the answer. It is the field of the peer that stores the
    answer, so that error messages about this field stand beside the answer."""
    return question.field or f"answer_{question.name}"


class VendorPeerForm(PeerForm):
    """The form to add a peer of a vendor. :func:`form_class_for` adds the fields for the answers.

    :ivar application_to_save: the application of the peer, which is new or has new redirect URIs.
    """

    #: The preset of the vendor.
    preset: ClassVar[Preset]
    #: Whether the user may create an application.
    may_create: ClassVar[bool]

    sealed_secret = None  # type: ignore[assignment]  # Its name would be in the URL that leads back to the form.

    allowed_scope = forms.MultipleChoiceField(
        label=_("Scopes"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.application_to_save: Any = None
        described = scopes.described()
        self.fields["allowed_scope"].choices = [  # type: ignore[attr-defined]
            (name, f"{text} ({name})" if text else name) for name, text in described.items()
        ]
        self.fields["allowed_scope"].help_text = _(
            "The most that the vendor may hold here. People are asked at each connection."
        )
        for question in self.preset.questions:
            self._explain(question)
        if "application" in self.fields:
            self._offer_applications()

    def _explain(self, question: Question) -> None:
        name = field_of(question)
        field = self.fields[name]
        # The words of the console are not translated.
        field.label = format_html("<bdi>{}</bdi>", question.label)
        field.required = question.default is None
        parts = [format_html("{}", preset_values.where_to_find(question))]
        if not question.is_secret:
            example = format_html('<code dir="ltr">{}</code>', question.example)
            parts.append(format_html(gettext("Example: {}"), example))
        if question.is_secret and self.is_bound and self.data.get(self.add_prefix(name)):
            parts.insert(0, format_html("<strong>{}</strong>", SECRET_AGAIN))
        field.help_text = format_html_join(" ", "{}", ((part,) for part in parts))

    def _offer_applications(self) -> None:
        field: Any = self.fields["application"]
        for action in ("can_add_related", "can_change_related", "can_view_related"):
            setattr(field.widget, action, False)
        field.required = not self.may_create
        if self.may_create:
            field.empty_label = gettext("Create one")
            field.help_text = _(
                "The registration of the vendor at this site. The redirect URIs of the vendor are "
                "added to an application that exists already."
            )

    def clean_allowed_scope(self) -> str:
        """Return the names of the chosen scopes as one text."""
        return scopes.join(self.cleaned_data["allowed_scope"])

    @sensitive_variables()
    def clean(self) -> Any:
        """Check the form of each answer, and fill in the fields of the peer that the form does not
        have."""
        cleaned = super().clean()
        answers = {
            question.name: str(value.reveal() if isinstance(value, Secret) else value)
            for question in self.preset.questions
            if (value := self.cleaned_data.get(field_of(question)))
        }
        problems = preset_values.problems_of(self.preset.questions, answers)
        for question in self.preset.questions:
            if question.name in problems and field_of(question) not in self.errors:
                self.add_error(field_of(question), problems[question.name])
        # Fill in examples instead of missing answers, so that the form shows the errors of all
        # fields at once. A form with errors is not saved.
        examples = {each.name: each.example for each in self.preset.questions}
        usable = {name: answers[name] for name in answers if name not in problems}
        missing = {name: examples[name] for name in problems}
        self._values = preset_values.values_for(self.preset, {**usable, **missing})
        for field, value in self._values.fields.items():
            if field not in self.fields or (field not in self.cleaned_data and value):
                setattr(self.instance, field, value)
        for question in self.preset.questions:
            if question.field and question.default and not answers.get(question.name):
                self.cleaned_data[question.field] = question.default
        return cleaned

    def _post_clean(self) -> None:
        super()._post_clean()
        chosen = self.cleaned_data.get("application")
        if chosen is None and not self.may_create:
            return
        uris = list(self._values.redirect_uris or ())
        if chosen is None:
            application = application_for(self.instance, redirect_uris=uris)
        else:
            uris = list(dict.fromkeys([*chosen.redirect_uris.split(), *uris]))
            application = application_for(
                self.instance, client_id=chosen.client_id, redirect_uris=uris
            )
        try:
            application.full_clean()
        except ValidationError as error:
            for name, reasons in error.message_dict.items():
                is_about_answer = name == "redirect_uris" and self._uri_fields()
                self.add_error(self._uri_fields()[0] if is_about_answer else None, reasons)
        self.application_to_save = application

    def application_first(self) -> Any:
        """Return the application of the peer, which is not saved yet, although other fields of the
        form can still have errors. Return ``None`` if the application cannot be made, or if the
        user has chosen one."""
        needed = {"name", "slug", "application", NON_FIELD_ERRORS, *self._uri_fields()}
        if needed & self.errors.keys() or self.cleaned_data.get("application") is not None:
            return None
        return self.application_to_save

    def typed(self, application: Any) -> dict[str, Any]:
        """Return the parameters with which the form is shown again: what the user has typed, except
        the secret, and the application.

        :param application: the application that was made for the peer.
        """
        kept = {
            name: value
            for name, field in self.fields.items()
            if not isinstance(field, SecretField) and (value := self[name].value())
        }
        return {"dialect": self.preset.dialect, **kept, "application": application.pk}

    def _uri_fields(self) -> list[str]:
        """Return the form fields on which the redirect URIs depend."""
        names = set().union(*map(names_in, self.preset.redirect_uris))
        return [field_of(each) for each in self.preset.questions if each.name in names]


def form_class_for(preset: Preset, *, may_create: bool) -> type[VendorPeerForm]:
    """Return the form class for a peer of a vendor, with a field for each question."""
    fields: dict[str, Any] = {
        field_of(question): _answer_field(question) for question in preset.questions
    }
    attributes = {**fields, "preset": preset, "may_create": may_create, "Meta": PeerForm.Meta}
    # The metaclass of forms collects the fields.
    made: type[VendorPeerForm] = type(VendorPeerForm)("Form", (VendorPeerForm,), attributes)  # type: ignore[misc]
    return made


def _answer_field(question: Question) -> forms.Field:
    attributes = {"class": "vLargeTextField", **CODE_ATTRIBUTES}
    if question.is_secret:
        return SecretField(
            widget=forms.PasswordInput(attrs={**attributes, "autocomplete": "new-password"})
        )
    return NeededField(
        initial=question.default,
        max_length=1000,
        widget=forms.TextInput(attrs={**attributes, "autocomplete": "off", "spellcheck": "false"}),
    )
