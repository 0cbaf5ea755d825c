"""Templates of URLs and of texts, with placeholders such as ``{user}``."""

import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import quote

from ..errors import UsageError
from ..tables import nearest, only_known, text_of
from .journeys import NAMES, JourneyFailed

#: Other braces, as in ``{"a": 1}``, are a part of the text.
_PLACEHOLDER: Final = re.compile(r"\{([A-Za-z_]\w*)\}")
_URL: Final = "{url}"


def require_known(where: str, template: str, known: Iterable[str]) -> str:
    """Return a template whose placeholders are all known.

    :param where: the name of the key, for the text of the error.
    :raises UsageError: the template has another placeholder.
    """
    names = list(known)
    for name in _PLACEHOLDER.findall(template):
        if name not in names:
            raise UsageError(
                f"{where} has the unknown placeholder {{{name}}}.{nearest(name, names)}"
            )
    return template


def require_url(where: str, template: str, known: Iterable[str]) -> str:
    """Return a template of a URL.

    :raises UsageError: it is no URL with http or https, or it has an unknown placeholder.
    """
    if not template.startswith(("http://", "https://", _URL)):
        raise UsageError(f'{where} begins with http://, https:// or {_URL}, not "{template}".')
    return require_known(where, template, known)


def url_templates(
    where: str, table: Mapping[str, object], role: str, known: Iterable[str]
) -> dict[str, str]:
    """Read a table with a URL for each journey.

    :param role: ``a`` or ``b``.
    :param known: names of placeholders.
    :raises UsageError: a key is no journey of this role, or a value is no template of a URL.
    """
    other = "a" if role == "b" else "b"
    for name in table:
        if name in NAMES[other] and name not in NAMES[role]:
            raise UsageError(
                f"{where}.{name} is for a test of party {other.upper()}. "
                f"This run tests party {role.upper()}."
            )
    only_known(where, table, NAMES[role])
    names = list(known)
    return {
        name: require_url(f"{where}.{name}", text_of(where, table, name), names) for name in table
    }


def has(template: str, name: str) -> bool:
    """Whether the template has the placeholder with this name."""
    return name in _PLACEHOLDER.findall(template)


def put_in(template: str, values: Mapping[str, str]) -> str:
    """Return a text with the values in the place of the placeholders.

    :raises JourneyFailed: a value is missing.
    """
    return _PLACEHOLDER.sub(lambda match: _value(match[1], values), template)


def put_in_url(template: str, values: Mapping[str, str]) -> str:
    """Return a URL with the values, percent-encoded.

    Only ``{url}`` at the very beginning stays as it is: it is the URL itself. If the template goes
    on with ``&`` and the URL has no query, a ``?`` takes its place.

    :raises JourneyFailed: a value is missing.
    """
    begin = ""
    if template.startswith(_URL):
        begin, template = _value("url", values), template.removeprefix(_URL)
        if template.startswith("&") and "?" not in begin:
            template = "?" + template[1:]
    encoded = _PLACEHOLDER.sub(lambda match: quote(_value(match[1], values), safe=""), template)
    return begin + encoded


def _value(name: str, values: Mapping[str, str]) -> str:
    if name not in values:
        user = values.get("user", "")
        raise JourneyFailed(f"{{{name}}} has no value: driver.users.{user}.{name} is missing.")
    return values[name]
