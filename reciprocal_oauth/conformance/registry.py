"""The list of checks: each is a function with a decorator that says what it tests."""

import inspect
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from .needs import NEEDS
from .sentences import all_sentences
from .threats import THREATS
from .verdicts import Severity

#: A check gets the party that the tester plays towards the subject, and raises a finding.
Function = Callable[..., None]


@dataclass(frozen=True)
class Check:
    """One check.

    :ivar id: role, subject and number: ``B-TOK-2``. It never changes and is never used again.
    :ivar sentences: keys of the sentences of the draft that it tests (``2.2.2/10``).
    :ivar rfcs: other sources: ``6749 5.2``.
    :ivar threats: IDs of the threats that it tries.
    :ivar needs: what the configuration must give (:mod:`~reciprocal_oauth.conformance.needs`).
    :ivar is_control: it does what is right. The others are compared with it.
    :ivar is_negative: it expects a refusal or silence, so it counts only after a control passed.
    :ivar is_slow: it waits for the life of something, so it runs only if that was asked for.
    """

    id: str
    function: Function
    severity: Severity
    sentences: tuple[str, ...]
    rfcs: tuple[str, ...]
    threats: tuple[str, ...]
    needs: tuple[str, ...]
    is_control: bool
    is_negative: bool
    is_slow: bool
    title: str
    does: str
    expects: str
    value: str = ""

    @property
    def role(self) -> str:
        """``a`` or ``b``: the party that it tests."""
        return self.id[0].lower()

    @property
    def sections(self) -> list[str]:
        """The sections of the draft that it tests."""
        return sorted({key.split("/")[0] for key in self.sentences})

    def run(self, party: Any) -> None:
        if self.value:
            self.function(party, self.value)
        else:
            self.function(party)


#: All checks by their IDs, in the order in which they run.
CHECKS: Final[dict[str, Check]] = {}


def check(
    check_id: str,
    severity: Severity,
    *,
    draft: str = "",
    rfc: str = "",
    threats: str = "",
    needs: str = "",
    control: bool = False,
    negative: bool = False,
    slow: bool = False,
) -> Callable[[Function], Function]:
    """Make a check of a function. Its docstring is: title, ``Does:`` and ``Expects:``.

    :param draft: keys of sentences, with blanks between them.
    :param rfc: sources such as ``6749 5.2; 9700 4.12``.
    :raises ValueError: something that it names does not exist, or the docstring is not as it must.
    """

    def register(function: Function) -> Function:
        _add(
            function,
            check_id,
            severity,
            draft,
            rfc,
            threats,
            needs,
            control=control,
            negative=negative,
            slow=slow,
        )
        return function

    return register


def check_each(
    prefix: str, severity: Severity, values: Iterable[str], **what: Any
) -> Callable[[Function], Function]:
    """Make a check for each of the values: ``B-MISS-1`` for the first one, and so on. ``{value}``
    in the docstring stands for it. ``draft`` and ``threats`` can be one text for all values, or a
    text for each of them."""

    def register(function: Function) -> Function:
        given = {"draft": "", "rfc": "", "threats": "", "needs": "", **what}
        flags = {name: given.pop(name, False) for name in ("control", "negative", "slow")}
        for number, value in enumerate(values, start=1):
            _add(
                function,
                f"{prefix}-{number}",
                severity,
                _of(given["draft"], number),
                given["rfc"],
                _of(given["threats"], number),
                given["needs"],
                value=value,
                **flags,
            )
        return function

    return register


def _of(given: str | Sequence[str], number: int) -> str:
    return given if isinstance(given, str) else given[number - 1]


def _add(
    function: Function,
    check_id: str,
    severity: Severity,
    draft: str,
    rfc: str,
    threats: str,
    needs: str,
    *,
    control: bool,
    negative: bool,
    slow: bool,
    value: str = "",
) -> None:
    if check_id in CHECKS:
        raise ValueError(f"There are two checks {check_id}.")
    title, does, expects = _explanation(function, value)
    made = Check(
        id=check_id,
        function=function,
        severity=severity,
        sentences=_known(draft.split(), all_sentences(), check_id),
        rfcs=tuple(source.strip() for source in rfc.split(";") if source.strip()),
        threats=_known(threats.split(), THREATS, check_id),
        needs=_known(needs.split(), NEEDS, check_id),
        is_control=control,
        is_negative=negative,
        is_slow=slow,
        title=title,
        does=does,
        expects=expects,
        value=value,
    )
    CHECKS[check_id] = made


def _known(names: list[str], all_names: Iterable[str], check_id: str) -> tuple[str, ...]:
    unknown = set(names) - set(all_names)
    if unknown:
        raise ValueError(f"{check_id} names {sorted(unknown)}, which do not exist.")
    return tuple(names)


def _explanation(function: Function, value: str) -> tuple[str, str, str]:
    text = re.sub(r"\s*\n\s*", " ", (inspect.getdoc(function) or "").replace("\n\n", "\0"))
    text = text.replace("{value}", value)
    try:
        title, does, expects = text.split("\0")
    except ValueError:
        raise ValueError(
            f"{function.__name__}: a check says its title, Does and Expects."
        ) from None
    if not (does.startswith("Does: ") and expects.startswith("Expects: ")):
        raise ValueError(f"{function.__name__}: a check says its title, Does and Expects.")
    return title.strip(), does.removeprefix("Does: "), expects.removeprefix("Expects: ")
