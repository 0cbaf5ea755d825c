"""Form fields for scopes: one checkbox for each known scope, in the words of the site that has
it."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.core.validators import MaxLengthValidator
from django.utils.text import capfirst
from django.utils.translation import get_language
from django.utils.translation import gettext_lazy as _

from ..client.discovery import Metadata
from ..core import scopes
from ..models import Peer
from ..peers import discovery

MAX_SCOPE_LENGTH = 1000


class ScopesField(forms.MultipleChoiceField):
    """One checkbox for each scope. The value is one text with the names of the chosen scopes."""

    widget = forms.CheckboxSelectMultiple

    def clean(self, value: Any) -> str:
        """Return the names of the chosen scopes as one text.

        :raises ValidationError: a scope was not offered, or the text is too long to be stored.
        """
        text = scopes.join(super().clean(value))
        MaxLengthValidator(MAX_SCOPE_LENGTH)(text)
        return text


class ScopeCheckboxes(forms.CheckboxSelectMultiple):
    """One checkbox for each known scope. The value is one text with names of scopes, as the field
    of the model stores it.

    :param label: the name of the group, for screen readers. The label of the admin is for no input.
    :param takes_others: whether there is also a line for other names.
    """

    template_name = "reciprocal_oauth/admin/scope_input.html"

    def __init__(self, *args: Any, label: Any, takes_others: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.label = label
        self.takes_others = takes_others

    def format_value(self, value: Any) -> list[str]:
        """Return the names of the checkboxes that are checked."""
        return scopes.split(value or "")

    def get_context(self, name: str, value: Any, attrs: Any) -> dict[str, Any]:
        """Return the context of the template: the checkboxes, and the names that have none."""
        context: dict[str, Any] = super().get_context(name, value, attrs)
        offered = {choice for choice, _text in self.choices}
        others = [token for token in self.format_value(value) if token not in offered]
        context["widget"] |= {
            "others_name": others_name(name),
            "others": " ".join(others),
            "label": capfirst(self.label),
            "takes_others": self.takes_others,
        }
        return context

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        """Return the names of the checked scopes, and those in the line, as one text."""
        given = data.getlist(name) if hasattr(data, "getlist") else [data.get(name) or ""]
        others = data.get(others_name(name)) or ""
        return scopes.join(" ".join([*given, others]).split())


class ScopeTextField(forms.CharField):
    """A field whose value is one text with names of scopes."""

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        """Return no attributes: a checkbox has no greatest length."""
        return {} if isinstance(widget, ScopeCheckboxes) else super().widget_attrs(widget)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Return whether other scopes are chosen. Their order means nothing."""
        return set(scopes.split(initial or "")) != set(scopes.split(data or ""))


def others_name(name: str) -> str:
    """Return the name of the input for scopes without a checkbox."""
    return f"{name}_others"


def use_checkboxes(
    field: forms.Field, choices: list[tuple[str, str]], *, takes_others: bool
) -> None:
    """Let the user choose the scopes of ``field`` with checkboxes."""
    field.widget = ScopeCheckboxes(choices=choices, label=field.label, takes_others=takes_others)


def scope_choices(described: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the choices for scopes: each with its description, and with its name."""
    return [
        (name, f"{described[name]} ({name})" if scopes.has_words(name, described) else name)
        for name in described
    ]


def choices_here(stored: Iterable[str]) -> list[tuple[str, str]]:
    """Return the choices for the scopes of this site.

    :param stored: the scopes that are stored. Those that this site no longer has are offered too,
        so that an administrator sees them.
    """
    described = scopes.described()
    gone = [token for token in stored if token not in described]
    text = _("%(scope)s (no scope of this site)")
    return [*scope_choices(described), *((each, text % {"scope": each}) for each in gone)]


def choices_there(peer: Peer, names: Iterable[str]) -> list[tuple[str, str]]:
    """Return the choices for the scopes of ``peer``: those with these names, and those that have
    words at this site or in the metadata of the peer."""
    described = peer.described_scopes()
    known = dict.fromkeys([*names, *described])
    return [
        (name, _in_its_words(peer, name, described[name]) if name in described else name)
        for name in known
        if scopes.parse(name) == [name]
    ]


def theirs(metadata: Metadata) -> list[tuple[str, str]]:
    """Return the choices for the scopes of the other site, in its own words."""
    words = Peer(scope_words=discovery.words_of(metadata)).words_of(get_language() or "")
    return [
        (name, f"“{words[name]}” ({name})" if name in words else name)
        for name in dict.fromkeys(metadata.scopes)
        if scopes.parse(name) == [name]
    ]


def _in_its_words(peer: Peer, name: str, text: str) -> str:
    return f"“{text}” ({name})" if peer.is_in_its_words(name) else f"{text} ({name})"
