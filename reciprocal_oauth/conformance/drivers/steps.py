"""Reads the steps of the drivers ``forms`` and ``playwright``, and finds all mistakes in them
before the run begins.

A step is a table of actions. They are done in this order:

========== ==================================================================================
``if``     The step is done only if the page has this text, or a field with this name.
``open``   Opens a URL. Values of placeholders are percent-encoded, but ``{url}`` at its begin.
``follow`` Follows the link with this text. ``*`` stands for any text: ``"Details*"``.
``fill``   Fills in fields: ``{username = "{user}"}``. Chooses an option, or a radio button.
``tick``   Ticks exactly the checkboxes with this name whose values are named:
           ``{scopes = "{scopes}"}``. If the user allows all, it ticks all of this name.
``press``  Presses the button with this text, value or name. ``*`` stands for any text.
``expect`` The journey fails if neither the page nor its URL has this text.
========== ==================================================================================

``form`` is a part of the URL that the form is sent to, if a page has several forms with the same
fields or buttons.

Placeholders are ``{user}``, ``{url}`` (of ``authorize``), ``{scopes}``, and the keys of
``[driver.users.NAME]``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import UsageError
from ..tables import nearest, only_known, table_of, texts_of
from . import placeholders

#: Lists of steps for each role. ``sign_in`` is done before a user's first journey.
LISTS: Final = {
    "b": ("sign_in", "authorize", "use", "end"),
    "a": ("sign_in", "link", "allow", "deny", "update", "end", "authorize"),
}
#: They go on from the page where the list ``link`` ended.
_GO_ON: Final = ("allow", "deny")
_ALWAYS: Final = ("user", "url", "scopes")
_ACTIONS: Final = ("open", "follow", "fill", "tick", "press", "expect")
#: Their values are tables of fields.
_OF_FIELDS: Final = ("fill", "tick")
_KEYS: Final = (*_ACTIONS, "if", "form")


@dataclass(frozen=True)
class Step:
    """A step. What it does not do is empty. Texts are templates.

    :ivar where: its place in the configuration, such as ``driver.steps.link, step 2``.
    :ivar only_if: the key ``if``.
    """

    where: str
    only_if: str = ""
    form: str = ""
    open: str = ""
    follow: str = ""
    fill: Mapping[str, str] = field(default_factory=dict)
    tick: Mapping[str, str] = field(default_factory=dict)
    press: str = ""
    expect: str = ""


@dataclass(frozen=True)
class Plan:
    """What the configuration says about the steps.

    :ivar steps: the steps of each list.
    :ivar users: of each user: values for placeholders.
    """

    steps: Mapping[str, tuple[Step, ...]]
    users: Mapping[str, Mapping[str, str]]

    def question(self) -> Step | None:
        """Return the step of ``allow`` that presses the button of the question, or ``None``. A
        button that is pressed only ``if`` something is there (a login) counts only without
        another one."""
        presses = [step for step in self.steps.get("allow", ()) if step.press]
        certain = [step for step in presses if not step.only_if]
        return next(iter([*certain, *presses]), None)


def read(table: Mapping[str, Any], role: str) -> Plan:
    """Read ``steps`` and ``users`` of the table ``[driver]``.

    :param role: ``a`` or ``b``.
    :raises UsageError: something is wrong. The text says where.
    """
    users = {
        name: texts_of(f"driver.users.{name}", values)
        for name, values in table_of("driver.users", table.get("users", {})).items()
    }
    known = (*_ALWAYS, *sorted({key for values in users.values() for key in values}))
    lists = table_of("driver.steps", table.get("steps", {}))
    _require_lists(lists, role)
    return Plan({name: _steps(name, value, known) for name, value in lists.items()}, users)


def _require_lists(lists: Mapping[str, Any], role: str) -> None:
    other = "a" if role == "b" else "b"
    for name in lists:
        if name in LISTS[other] and name not in LISTS[role]:
            raise UsageError(
                f"driver.steps.{name} is for a test of party {other.upper()}. "
                f"This run tests party {role.upper()}."
            )
    only_known("driver.steps", lists, LISTS[role])
    if not set(lists) - {"sign_in"}:
        journeys = ", ".join(name for name in LISTS[role] if name != "sign_in")
        raise UsageError(f"driver.steps has no journey. A journey is a list of steps: {journeys}.")
    for name, needed in (("link", "allow"), ("allow", "link"), ("deny", "link")):
        if name in lists and needed not in lists:
            raise UsageError(f"driver.steps.{name} needs driver.steps.{needed}.")


def _steps(name: str, value: Any, known: tuple[str, ...]) -> tuple[Step, ...]:
    where = f"driver.steps.{name}"
    if not isinstance(value, list) or not value:
        raise UsageError(f'{where} is a list of steps: [{{open = "https://…"}}, …].')
    steps = tuple(
        _step(f"{where}, step {number}", each, known) for number, each in enumerate(value, start=1)
    )
    if name not in _GO_ON and not steps[0].open:
        raise UsageError(f"{steps[0].where} does not open a URL. A journey begins with that.")
    return steps


def _step(where: str, value: Any, known: tuple[str, ...]) -> Step:
    if not isinstance(value, Mapping):
        raise UsageError(f'{where} is a table, such as {{press = "Allow"}}, not {value!r}.')
    for key in value:
        if key not in _KEYS:
            raise UsageError(f"{where} does not know {key}.{nearest(key, _KEYS)}")
    if not any(name in value for name in _ACTIONS):
        raise UsageError(f"{where} does nothing. An action is one of {', '.join(_ACTIONS)}.")
    if "form" in value and not set(value) & {"fill", "tick", "press"}:
        raise UsageError(f"{where}: form says where to fill, tick or press, which it does not do.")
    texts = {key: _text(where, value[key], key, known) for key in value if key not in _OF_FIELDS}
    fields = {key: _fields(where, value[key], key, known) for key in value if key in _OF_FIELDS}
    if "open" in texts:
        placeholders.require_url(f"{where}: open", texts["open"], known)
    return Step(where, texts.pop("if", ""), **texts, **fields)  # type: ignore[arg-type]


def _text(where: str, value: Any, key: str, known: tuple[str, ...]) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} is a text that is not empty, not {value!r}.")
    return placeholders.require_known(f"{where}: {key}", value.strip(), known)


def _fields(where: str, value: Any, key: str, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, Mapping) or not value:
        raise UsageError(f'{where}: {key} is a table of fields: {key} = {{name = "value"}}.')
    fields = texts_of(f"{where}: {key}", value)
    for name, template in fields.items():
        placeholders.require_known(f"{where}: {key}.{name}", template, known)
    return fields
