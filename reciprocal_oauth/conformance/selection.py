"""Which checks run."""

import difflib
from collections.abc import Sequence

from . import checks as _checks  # noqa: F401  # Importing the checks registers them.
from .errors import UsageError
from .registry import CHECKS, Check
from .verdicts import Severity


def select(
    role: str, prefixes: Sequence[str], *, skip: Sequence[str] = (), severities: Sequence[str] = ()
) -> list[Check]:
    """Return the checks of a role in their order.

    :param prefixes: IDs or their beginnings: ``B-TOK``. None means all.
    :param skip: IDs, or their beginnings, to leave out.
    :param severities: names of severities; none means all.
    :raises UsageError: something that is named does not exist, or nothing is left.
    """
    own = [check for check in CHECKS.values() if check.role == role]
    for prefix in (*prefixes, *skip):
        if not any(_is_meant(check, prefix) for check in own):
            near = difflib.get_close_matches(prefix.upper(), [check.id for check in own], n=1)
            hint = f" Is {near[0]} meant?" if near else ""
            raise UsageError(f"Party {role.upper()} has no check {prefix}.{hint}")
    known = [severity.value for severity in Severity]
    for name in severities:
        if name not in known:
            raise UsageError(f"{name} is no severity. They are {', '.join(known)}.")
    chosen = [
        check
        for check in own
        if (not prefixes or any(_is_meant(check, prefix) for prefix in prefixes))
        and not any(_is_meant(check, prefix) for prefix in skip)
        and (not severities or check.severity.value in severities)
    ]
    if not chosen:
        raise UsageError("No check is left.")
    # Without the controls, no negative check counts.
    controls = [check for check in own if check.is_control and check not in chosen]
    return controls + chosen if any(check.is_negative for check in chosen) else chosen


def _is_meant(check: Check, prefix: str) -> bool:
    """``B-TOK`` means ``B-TOK-1`` and so on; ``B-TOK-1`` does not mean ``B-TOK-10``."""
    return check.id == prefix.upper() or check.id.startswith(prefix.upper().rstrip("-") + "-")
