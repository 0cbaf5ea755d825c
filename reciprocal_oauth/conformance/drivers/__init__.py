"""The browser part of the tester: what a person does at the subject.

The tester asks a driver for journeys (:mod:`.journeys`), and learns the results from its own
server. The table ``[driver]`` of the configuration says which driver:

============== ==================================================================================
``follow``     Opens URLs that do on their own what a person does, at subjects that have such URLs.
``forms``      Fills in HTML forms, in steps that you write down. Without JavaScript.
``playwright`` The same steps in Chromium, for pages that need JavaScript.
``command``    A program of your own, in any language.
``ask``        Asks you.
============== ==================================================================================

The module of each driver says how it is configured: :mod:`.follow`, :mod:`.forms`, :mod:`.browser`,
:mod:`.command`, :mod:`.ask`.
"""

from collections.abc import Mapping
from typing import Any, Final

from ..errors import UsageError
from ..tables import nearest, text_of
from . import ask, browser, command, follow, forms
from .journeys import NAMES, Driver

KINDS: Final = ("follow", "forms", "playwright", "command", "ask")


def make(
    table: Mapping[str, Any],
    *,
    role: str,
    patience: float = 1.0,
    person_seconds: float = 300,
    may_ask: bool = True,
) -> Driver:
    """Make the driver of the table ``[driver]``.

    :param role: ``a`` or ``b``: the party that is tested.
    :param patience: a factor for all times, except those of a person.
    :param person_seconds: how long a person has for a journey.
    :param may_ask: whether there is a person to ask.
    :raises UsageError: the table is wrong. The text says where, and what was expected.
    """
    if role not in NAMES:
        raise ValueError(f"There is no role {role!r}.")
    kind = text_of("driver", table, "kind")
    if not kind:
        raise UsageError(f"driver.kind is missing. It is one of {', '.join(KINDS)}.")
    if kind not in KINDS:
        raise UsageError(f'driver.kind is "{kind}", which is no driver.{nearest(kind, KINDS)}')
    if kind == "ask":
        return ask.from_table(table, role, person_seconds, may_ask=may_ask)
    modules = {"follow": follow, "forms": forms, "playwright": browser, "command": command}
    driver: Driver = modules[kind].from_table(table, role, patience)
    return driver
