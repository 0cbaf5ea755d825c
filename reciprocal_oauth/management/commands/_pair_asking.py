"""What the command ``reciprocal_pair`` asks for: the invitation, the scopes, and whether to go on.

Questions go to standard error, because standard output contains only the result.
"""

import getpass
import sys
from collections.abc import Callable, Collection, Mapping

from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables

from reciprocal_oauth.core import scopes
from reciprocal_oauth.pairing.invitation import MAX_LENGTH
from reciprocal_oauth.secret import Secret

from ._output import printable, table

Write = Callable[[str], None]

_NOTHING = "Nothing was changed."


def is_terminal() -> bool:
    """Return whether there is somebody to ask."""
    return sys.stdin.isatty()


@sensitive_variables()
def read_invitation(given: Secret) -> Secret:
    """Return the invitation. If ``given`` is ``-``, ask for it at a terminal, where it is not shown
    while it is entered; otherwise read it from standard input.

    :raises CommandError: there is none.
    """
    text = given.reveal()
    if text == "-" and is_terminal():
        try:
            text = getpass.getpass("Invitation (it is not shown while you paste it): ")
        except (EOFError, KeyboardInterrupt):
            raise CommandError(_NOTHING) from None
    elif text == "-":
        text = sys.stdin.read(2 * MAX_LENGTH)
    if not text.strip():
        raise CommandError("INVITATION: standard input contains no invitation.")
    return Secret(text)


def scope_lines(tokens: Collection[str], words: Mapping[str, str]) -> str:
    """Return a table of scopes with their descriptions."""
    return table([(token, words.get(token, "")) for token in tokens], indent="  ") or "  (none)"


def unknown_in(value: str, known: Collection[str]) -> list[str]:
    """Return the scope tokens in ``value`` that are not among ``known``."""
    return [token for token in scopes.split(value) if token not in known]


def scope_of(
    given: str | None,
    *,
    flag: str,
    title: str,
    known: Collection[str],
    words: Mapping[str, str],
    write: Write,
) -> str:
    """Return the scope of the flag ``flag``. If it was not given, ask for it at a terminal.

    :param given: the value of the flag; ``None`` if it was not given.
    :param title: what the scope means, for the question and for an error.
    :param known: the scopes to choose from; empty if they are not known.
    :param words: the descriptions of these scopes.
    :raises CommandError: the scope is missing, or contains a token that is not among ``known``.
    """
    choices = f"{title}\n{scope_lines(known, words)}"
    if given is None and not is_terminal():
        raise CommandError(f'{flag}: Give scopes, or "" for none. {choices}')
    if given is not None:
        if unknown := known and unknown_in(given, known):
            raise CommandError(f"{flag}: {_unknown(unknown)} {choices}")
        return given
    write(f"\n{choices}")
    while True:
        answer = _answer(f"{flag} (names separated by spaces; nothing for none): ")
        unknown = unknown_in(answer, known) if known else []
        if not unknown:
            return answer
        write(_unknown(unknown))


def _unknown(tokens: Collection[str]) -> str:
    return f"Not known: {printable(' '.join(tokens))}."


def require_yes(question: str, *, given: bool, done: str = _NOTHING) -> None:
    """Ask whether to go on, unless ``--yes`` was given.

    :param done: what to say if the answer is no.
    :raises CommandError: the answer is no, or there is nobody to ask.
    """
    if given:
        return
    if not is_terminal():
        raise CommandError(f"{done} Without a terminal, give --yes to go on.")
    if _answer(f"{question} [y/N] ").lower() not in ("y", "yes"):
        raise CommandError(done)


def _answer(prompt: str) -> str:
    # Python's input() would write the prompt to standard output.
    sys.stderr.write(prompt)
    sys.stderr.flush()
    try:
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        raise CommandError(_NOTHING) from None
