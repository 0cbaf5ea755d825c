"""The preset of a vendor in the command ``reciprocal_peer``: the answers that the user has given,
the questions at a terminal, and what to enter in the console of the vendor."""

import getpass
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError
from django.views.decorators.debug import sensitive_variables

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import preset_values
from reciprocal_oauth.peers.preset_values import PresetValues
from reciprocal_oauth.peers.sheet import ConsoleLine
from reciprocal_oauth.vendors import Preset, preset_of, presets
from reciprocal_oauth.vendors.preset import Question

from ._output import printable
from ._peer_flags import PEER_FLAGS, option

#: Writes a line to the terminal of the user, but not to standard output: with ``--json``, standard
#: output contains only the JSON document.
Write = Callable[[str], None]


class PresetAnswers:
    """The preset of a peer and the answers of the user.

    :ivar preset: the preset; ``None`` if there is none for the dialect of the peer.
    :ivar peer: the stored peer; ``None`` if the peer is new.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.peer = Peer.objects.filter(slug=options["slug"]).first()
        dialect = options["dialect"] or (self.peer.dialect if self.peer else "")
        self.preset: Preset | None = preset_of(dialect)
        self._answers = self._parsed(options)

    def _parsed(self, options: Mapping[str, Any]) -> dict[str, str]:
        """Parse the values of ``--answer``.

        :raises CommandError: a value is not ``NAME=VALUE``, or there is no such question.
        """
        given = options["answer"] or ()
        texts = [given] if isinstance(given, str) else given
        if texts and self.preset is None:
            known = ", ".join(each.dialect for each in presets())
            raise CommandError(f"--answer: Give --dialect too, with one of: {known}.")
        names = [question.name for question in self.preset.questions] if self.preset else []
        answers: dict[str, str] = {}
        for text in texts:
            name, equals, value = text.partition("=")
            if not equals or name not in names:
                raise CommandError(
                    f"--answer: Give NAME=VALUE. NAME is one of: {', '.join(names)}."
                )
            answers[name] = value.strip()
        return answers

    def hide_secret(self, options: dict[str, Any]) -> None:
        """Treat the answer ``-`` to the question for the client secret like ``--client-secret -``.

        :raises CommandError: the user has answered a question and also given the flag of the field
            that stores the answer.
        """
        for question in self.preset.questions if self.preset else ():
            if not question.field or question.name not in self._answers:
                continue
            flag = PEER_FLAGS[question.field]
            if options[option(flag)] is not None:
                raise CommandError(f"{flag}: Give this flag or --answer {question.name}, not both.")
            if question.is_secret and self._answers[question.name] == "-":
                options[option(flag)] = self._answers.pop(question.name)

    def values(
        self, given: Mapping[str, Any], *, has_redirect_uris: bool, ask: Callable[..., None] | None
    ) -> PresetValues:
        """Return the values to save: those in ``given``, and those of the preset for a new peer, or
        those that change with the answers for a stored peer.

        :param given: the values for which the user has given a flag, by field name.
        :param has_redirect_uris: whether the user has given redirect URIs.
        :param ask: a function that asks the user for missing answers: see :func:`ask`. ``None`` if
            there is no terminal.
        :raises CommandError: an answer is missing or has a wrong form. The message lists all.
        """
        if self.preset is None or (self.peer is not None and not self._answers):
            return PresetValues(given, None)
        if self.peer is not None:
            changes = self._changes(self.preset, self.peer)
            return replace(changes, fields={**changes.fields, **given})
        questions = preset_values.questions_for(
            self.preset, given=given, has_redirect_uris=has_redirect_uris
        )
        answers = {
            question.name: str(given[question.field])
            for question in self.preset.questions
            if question.field in given and not question.is_secret
        } | self._answers
        unanswered = [each for each in questions if each.name not in answers]
        if unanswered and ask is not None:
            answered = [each for each in questions if each.name in answers]
            _refuse(preset_values.problems_of(answered, answers), questions)
            ask(self.preset, unanswered, answers)
        _refuse(preset_values.problems_of(questions, answers), questions)
        return preset_values.values_for(
            self.preset, answers, given=given, has_redirect_uris=has_redirect_uris
        )

    def _changes(self, preset: Preset, peer: Peer) -> PresetValues:
        questions = [each for each in preset.questions if each.name in self._answers]
        _refuse(preset_values.problems_of(questions, self._answers), questions)
        try:
            return preset_values.new_values(preset, peer, self._answers)
        except KeyError as error:
            raise CommandError(
                f"--answer {error.args[0]}: This answer is needed too: the fields of the peer do "
                "not show it."
            ) from error


@sensitive_variables()
def ask(questions: Sequence[Question], answers: dict[str, str], write: Write) -> None:
    """Ask the user at the terminal for the answers to ``questions``, one after the other, until
    each has the right form. Put them into ``answers``.

    :raises CommandError: the user has ended the input.
    """
    for question in questions:
        write("")
        write(f"{question.label}\n  {preset_values.where_to_find(question)}")
        shown = "  It is not shown while you enter it." if question.is_secret else ""
        write(shown or f"  Example: {question.example}")
        while True:
            answer = _read(question)
            problems = preset_values.problems_of([question], {question.name: answer})
            if not problems:
                break
            write(" ".join(problems[question.name]))
        answers[question.name] = answer


@sensitive_variables()
def _read(question: Question) -> str:
    prompt = f"[{question.default}] > " if question.default else "> "
    try:
        if question.is_secret:
            return getpass.getpass(prompt).strip()
        # Python's input() would write the prompt to standard output.
        sys.stderr.write(prompt)
        sys.stderr.flush()
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        raise CommandError("Nothing was saved.") from None


def console_text(preset: Preset, lines: Sequence[ConsoleLine]) -> str:
    """Return what to enter in the console of the vendor, and what the vendor cannot do."""
    parts = []
    if lines:
        parts.append(f"Enter this in the console of {preset.name}, in this order:")
        for line in lines:
            parts.append(f"  {printable(line.label)}")
            parts += [f"    {printable(value)}" for value in _shown(line).splitlines()]
            if line.note:
                parts.append(f"    ({printable(line.note)})")
    if preset.limits:
        parts += ["", "Limits:", *(f"  - {limit}" for limit in preset.limits)]
    return "\n".join(parts)


def _shown(line: ConsoleLine) -> str:
    if line.is_secret and not line.value:
        return "(the client secret; it was shown when it was generated)"
    return line.value or ("(none)" if line.is_scope else "(not available on this site)")


def vendors_text() -> str:
    """Return the vendors and the questions of their presets, as text for people."""
    parts = []
    for preset in presets():
        parts.append(f"{preset.name}: reciprocal_peer add SLUG --dialect {preset.dialect}")
        for question in preset.questions:
            parts.append(f"  --answer {question.name}=…  {question.label}")
            parts += [f"      {line}" for line in _explanation(question)]
    return "\n".join(parts)


def _explanation(question: Question) -> list[str]:
    lines = [preset_values.where_to_find(question)]
    if question.is_secret:
        lines.append("A secret: with -, the command reads it from standard input.")
    else:
        lines.append(f"Example: {question.example}")
    if question.default:
        lines.append(f"Default: {question.default}")
    elif question.default is not None:
        lines.append("It can be left out.")
    return lines


def vendors_document() -> list[dict[str, Any]]:
    """Return the vendors and the questions of their presets, for a JSON document."""
    return [
        {
            "dialect": preset.dialect,
            "name": preset.name,
            "questions": [
                {
                    "name": each.name,
                    "label": each.label,
                    "where": str(each.where),
                    "example": each.example,
                    "default": each.default,
                    "secret": each.is_secret,
                }
                for each in preset.questions
            ],
            "limits": [str(limit) for limit in preset.limits],
        }
        for preset in presets()
    ]


def _refuse(problems: Mapping[str, list[str]], questions: Sequence[Question]) -> None:
    if not problems:
        return
    flags = {
        question.name: f"--answer {question.name}"
        + (f" or {PEER_FLAGS[question.field]}" if question.field in PEER_FLAGS else "")
        for question in questions
    }
    places = {each.name: preset_values.where_to_find(each) for each in questions}
    lines = [
        f"{flags[name]}: {reason} {places[name]}"
        for name, reasons in problems.items()
        for reason in reasons
    ]
    raise CommandError("\n  ".join(["Nothing was saved.", *map(printable, lines)]))
