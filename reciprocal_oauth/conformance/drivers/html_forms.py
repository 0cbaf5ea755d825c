"""Forms of an HTML page: what a person can fill in, tick and press, and what a browser then sends.

:mod:`.html_pages` makes them from HTML, and :mod:`.browser` from a page in Chromium.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode, urlsplit

MULTIPART: Final = "multipart/form-data"
#: Kinds of controls whose value a person can change. Checkboxes are ticked, not filled in.
_FILLABLE: Final = ("text", "select", "radio")
_LINE_END: Final = re.compile(r"\r\n|\r|\n")


class NotThere(Exception):
    """The page does not have what a step needs. ``str()`` says what it has instead."""


@dataclass
class Option:
    """An option of a ``select``."""

    value: str
    text: str
    is_selected: bool = False


@dataclass
class Control:
    """A control that is not disabled.

    :ivar kind: ``text`` (all that is typed into, also ``textarea``), ``select``, ``radio``,
        ``checkbox``, ``hidden``, ``file`` or ``button``.
    :ivar text: what is written on a button.
    :ivar action: a button's own URL in place of that of its form, or an empty text.
    :ivar method: a button's own method, or an empty text.
    :ivar position: its place among the controls of the page.
    """

    kind: str
    name: str = ""
    value: str = ""
    text: str = ""
    is_checked: bool = False
    takes_several: bool = False
    options: list[Option] = field(default_factory=list)
    action: str = ""
    method: str = ""
    position: int = -1

    def values(self) -> list[str]:
        """Return the values that a browser sends for it."""
        if self.kind in ("checkbox", "radio"):
            return [self.value] if self.is_checked else []
        if self.kind == "select":
            return [option.value for option in self._chosen()]
        if self.kind in ("button", "file"):
            return []
        return [_LINE_END.sub("\r\n", self.value)]

    def _chosen(self) -> list[Option]:
        chosen = [option for option in self.options if option.is_selected]
        if self.takes_several:
            return chosen
        return chosen[-1:] or self.options[:1]

    def option(self, wanted: str) -> Option:
        """Return the option with this value or text.

        :raises NotThere: there is none.
        """
        for option in self.options:
            if wanted in (option.value, option.text):
                return option
        offered = _listed(option.text for option in self.options)
        raise NotThere(f'The list "{self.name}" does not offer "{wanted}", but {offered}.')


@dataclass(frozen=True)
class Submission:
    """What a browser sends when a form is submitted.

    :ivar method: ``GET`` or ``POST``.
    :ivar url: for ``GET`` with the fields as its query.
    """

    method: str
    url: str
    fields: tuple[tuple[str, str], ...]

    @property
    def body(self) -> str:
        """The fields, form-encoded."""
        return urlencode(self.fields)

    def by_get(self) -> "Submission":
        """Return the same fields as the query of a GET request."""
        url = urlsplit(self.url)._replace(query=urlencode(self.fields), fragment="").geturl()
        return Submission("GET", url, self.fields)


@dataclass
class Form:
    """A form.

    :ivar action: the absolute URL that it is sent to.
    :ivar method: ``get``, ``post`` or ``dialog``.
    :ivar is_form: whether it is a real form: in Chromium, the controls outside of all forms are
        put together too.
    :ivar is_changed: whether the person has filled in or ticked something.
    """

    action: str
    method: str = "get"
    encoding: str = ""
    controls: list[Control] = field(default_factory=list)
    is_form: bool = True
    is_changed: bool = False

    def field_names(self) -> list[str]:
        """Return the names of the fields that a person can fill in."""
        return _once(each.name for each in self.controls if each.kind in _FILLABLE and each.name)

    def boxes(self, name: str) -> list[Control]:
        """Return the checkboxes with this name."""
        return [each for each in self.controls if each.kind == "checkbox" and each.name == name]

    def fields(self, name: str) -> list[Control]:
        """Return the fields with this name. They are several for radio buttons."""
        return [each for each in self.controls if each.kind in _FILLABLE and each.name == name]

    def buttons(self) -> list[Control]:
        return [each for each in self.controls if each.kind == "button"]

    def button(self, wanted: str) -> Control | None:
        """Return the button with this text (:func:`fits`), value or name, or ``None``. The text
        counts first.

        :raises NotThere: several buttons have it.
        """
        for found in (
            [each for each in self.buttons() if each.text == wanted],
            [each for each in self.buttons() if fits(wanted, each.text)],
            [each for each in self.buttons() if each.value == wanted],
            [each for each in self.buttons() if each.name == wanted],
        ):
            if len({(each.name, each.value, each.action) for each in found}) > 1:
                raise NotThere(f'The form has several buttons "{wanted}".')
            if found:
                return found[0]
        return None

    def field_for(self, name: str, value: str) -> Control:
        """Return the field that gets this value: of radio buttons, the one with it.

        :raises NotThere: there is none.
        """
        found = self.fields(name)
        for each in found:
            if each.kind != "radio" or each.value == value:
                return each
        offered = _listed(each.value for each in found)
        raise NotThere(f'The field "{name}" does not offer "{value}", but {offered}.')

    def fill(self, name: str, value: str) -> None:
        """Fill in a field, choose an option, or choose one of several radio buttons.

        :raises NotThere: the page does not offer this value.
        """
        control = self.field_for(name, value)
        if control.kind == "radio":
            for each in self.fields(name):
                each.is_checked = each is control
        elif control.kind == "select":
            chosen = control.option(value)
            for option in control.options:
                option.is_selected = option is chosen
        else:
            control.value = value
        self.is_changed = True

    def tick(self, name: str, values: Collection[str] | None) -> None:
        """Tick the checkboxes with this name whose values are given, and untick the others.

        :param values: ``None``: tick all.
        :raises NotThere: the page does not offer one of the values.
        """
        for box, is_ticked in self.ticks(name, values):
            box.is_checked = is_ticked
        self.is_changed = True

    def ticks(self, name: str, values: Collection[str] | None) -> list[tuple[Control, bool]]:
        """Return what :meth:`tick` does: each checkbox, and whether it ends up ticked.

        :raises NotThere: the page does not offer one of the values.
        """
        boxes = self.boxes(name)
        missing = set(values or ()) - {box.value for box in boxes}
        if missing:
            offered = _listed(box.value for box in boxes)
            raise NotThere(
                f'The checkboxes "{name}" do not offer {_listed(sorted(missing))}, but {offered}.'
            )
        return [(box, values is None or box.value in values) for box in boxes]

    def submission(self, button: Control, *, without_hidden: bool = False) -> Submission:
        """Return what a browser sends when the button is pressed.

        :param without_hidden: leave out the hidden fields.
        :raises NotThere: it cannot be sent without JavaScript, or in another encoding than that of
            forms.
        """
        method = (button.method or self.method).lower()
        if method == "dialog" or not self.is_form:
            raise NotThere("The button belongs to no form that is sent; it needs JavaScript.")
        if method == "post" and self.encoding.lower() == MULTIPART:
            raise NotThere(
                f"The form is sent as {MULTIPART} (files), which the driver forms cannot do. "
                "The drivers playwright and command can."
            )
        sent = Submission(
            method.upper(), button.action or self.action, tuple(self._sent(button, without_hidden))
        )
        return sent if method == "post" else sent.by_get()

    def _sent(self, button: Control, without_hidden: bool) -> Iterable[tuple[str, str]]:
        for control in self.controls:
            if not control.name or (without_hidden and control.kind == "hidden"):
                continue
            values = [control.value] if control is button else control.values()
            yield from ((control.name, value) for value in values)


def fits(wanted: str, text: str) -> bool:
    """Whether a text is the one that is wanted. Upper and lower case are alike, each white space is
    one blank, and ``*`` stands for any text."""
    parts = (re.escape(" ".join(part.split())) for part in wanted.casefold().split("*"))
    return re.fullmatch(".*".join(parts), text.casefold()) is not None


def choose(
    forms: Sequence[Form],
    *,
    part: str = "",
    fields: Collection[str] = (),
    boxes: Collection[str] = (),
    button: str = "",
) -> Form:
    """Return the form that a step is about: the first one that has all that is named. One that the
    person has begun to fill in goes before the others.

    :param part: a part of the URL that the form is sent to.
    :param fields: names of fields to fill in.
    :param boxes: names of checkboxes.
    :param button: the text, value or name of a button.
    :raises NotThere: the page has no such form.
    """
    forms = [form for form in forms if part in form.action and (form.is_form or not part)]
    if part and not forms:
        raise NotThere(f'It has no form with "{part}" in its action.')
    for form in sorted(forms, key=lambda form: not form.is_changed):
        has_fields = all(form.fields(name) for name in fields)
        has_boxes = all(form.boxes(name) for name in boxes)
        if has_fields and has_boxes and (not button or form.button(button)):
            return form
    raise NotThere(_what_is_missing(forms, fields, boxes, button))


def _what_is_missing(
    forms: Sequence[Form], fields: Collection[str], boxes: Collection[str], button: str
) -> str:
    for name in fields:
        if not any(form.fields(name) for form in forms):
            names = _listed(name for form in forms for name in form.field_names())
            return f'It has no field "{name}". It has {names}.'
    for name in boxes:
        if not any(form.boxes(name) for form in forms):
            all_controls = [control for form in forms for control in form.controls]
            names = _listed(each.name for each in all_controls if each.kind == "checkbox")
            return f'It has no checkbox "{name}". It has {names}.'
    if button and not any(form.button(button) for form in forms):
        shown = (each.text or each.value or each.name for form in forms for each in form.buttons())
        return f'It has no button "{button}". It has {_listed(shown)}.'
    return f"No form has all of {_listed([*fields, *boxes, *([button] if button else [])])}."


def _once(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _listed(names: Iterable[str]) -> str:
    """Return the names between quotation marks, each once, or ``none``."""
    return ", ".join(f'"{name}"' for name in _once(names) if name) or "none"
