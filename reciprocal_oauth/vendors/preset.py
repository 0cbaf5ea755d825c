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


@dataclass(frozen=True)
class Question:
    """A value that an administrator must copy from the console of the vendor.

    :ivar name: the name of the value. Templates of the preset contain it as ``{name}``.
    :ivar label: what the console calls the value.
    :ivar where: where the console shows it.
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
        ``{handover}`` (the address for this peer alone) and ``{client_secret}`` are replaced.
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
    :ivar values: the values of other fields of ``Peer``. Texts are templates with ``{question}``.
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
