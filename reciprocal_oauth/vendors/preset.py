"""A preset: what is the same for all peers of one vendor, so that an administrator enters only what
the console of the vendor shows.

The labels are the words of the console. They are not translated, because the consoles are not.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

#: A text that can be translated.
Text = str | Promise

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Question:
    """A value that an administrator must copy from the console of the vendor.

    :ivar name: the name of the value. Templates of the preset contain it as ``{name}``.
    :ivar label: what the console calls the value.
    :ivar where: where the console shows it: the names of its pages, without a full stop.
    :ivar pattern: the form of the value, as a regular expression for the whole value.
    :ivar example: a made-up value of this form.
    :ivar field: the field of ``Peer`` that stores the value; ``""`` if only templates use it.
    :ivar default: the value if the administrator gives none; ``None`` if they must give one.
    """

    name: str
    label: str
    where: Text
    pattern: str
    example: str
    field: str = ""
    default: str | None = None

    @property
    def is_secret(self) -> bool:
        """Return whether the value must not be shown."""
        return self.field == "client_secret"

    def accepts(self, value: str) -> bool:
        """Return whether ``value`` has the right form."""
        return re.fullmatch(self.pattern, value) is not None


@dataclass(frozen=True)
class ConsoleEntry:
    """One value that an administrator must enter in the console of the vendor.

    :ivar label: what the console calls the input.
    :ivar value: a template. ``{client_id}`` and the other fields of :class:`.peers.sheet.Sheet`,
        such as ``{handover}`` (the address for this peer alone), ``{client_secret}`` and
        ``{question}`` are replaced.
    :ivar note: what else to know, such as which option to choose.
    """

    label: str
    value: str
    note: Text = ""


@dataclass(frozen=True)
class Preset:
    """What is the same for all peers of one vendor.

    :ivar dialect: the value of ``Peer.dialect``.
    :ivar name: the name of the vendor that people know, and the default of ``Peer.name``.
    :ivar questions: what the console of the vendor shows, in the order in which it is asked.
    :ivar values: the values of other fields of ``Peer``. Texts are templates with ``{question}``. A
        line ``name={question}`` is left out if the answer is empty.
    :ivar redirect_uris: the redirect URIs of the application of the peer, in all regions of the
        vendor; templates.
    :ivar console: what to enter in the console of the vendor, in its order.
    :ivar limits: what the vendor cannot do, such as revoking a token.
    :ivar page: the name of the page about the vendor in the documentation.
    """

    dialect: str
    name: str
    questions: Sequence[Question]
    values: Mapping[str, Any]
    redirect_uris: Sequence[str]
    console: Sequence[ConsoleEntry]
    limits: Sequence[Text] = ()
    page: str = ""


def names_in(template: str) -> set[str]:
    """Return the names of the values that ``template`` contains as ``{name}``."""
    return set(_PLACEHOLDER.findall(template))


def filled(template: str, values: Mapping[str, str]) -> str:
    """Return ``template`` with its values instead of ``{name}``. Other braces stay.

    :raises KeyError: ``values`` does not contain a name that ``template`` contains.
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], template)


def values_in(template: str, text: str) -> dict[str, str] | None:
    """Return the values with which ``template`` becomes ``text``, by name; ``None`` if it cannot
    become this text."""
    pattern, seen, end = "", set[str](), 0
    for found in _PLACEHOLDER.finditer(template):
        name = found[1]
        pattern += re.escape(template[end : found.start()])
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>.*?)"
        seen.add(name)
        end = found.end()
    match = re.fullmatch(pattern + re.escape(template[end:]), text)
    return match.groupdict() if match else None
