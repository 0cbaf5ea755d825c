"""Turns the preset of a vendor, and the answers to its questions, into values for the fields of the
model ``Peer`` and into the redirect URIs of its application.

The Django admin and the ``reciprocal_peer`` command use this module.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..core import scopes
from ..models import Peer
from ..secret import Secret
from ..vendors import Preset
from ..vendors.preset import Question, filled, names_in, values_in

#: The fields of ``Peer`` whose value is a list of lines with the form ``NAME=VALUE``.
_LINES = ("authorization_parameters", "dialect_options")
#: The fields of ``Peer`` that decide where this site sends its requests, and with which
#: credentials. :func:`differences` compares them.
_COMPARED = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
    "token_endpoint_auth_method",
)

_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class PresetValues:
    """What a preset and the answers to its questions say about a peer.

    :ivar fields: the values for the fields of the peer, by name.
    :ivar redirect_uris: all redirect URIs of the application of the peer; ``None`` if they stay
        the same.
    """

    fields: Mapping[str, Any]
    redirect_uris: Sequence[str] | None


def questions_for(
    preset: Preset, *, given: Mapping[str, Any] = _NONE, has_redirect_uris: bool = False
) -> list[Question]:
    """Return the questions of ``preset`` that somebody must answer to add a peer.

    :param given: the values of the peer that are known otherwise, by field name.
    :param has_redirect_uris: whether the redirect URIs of its application are known otherwise.
    """
    templates = [str(value) for value in _values_without(preset, given).values()]
    if not has_redirect_uris:
        templates += preset.redirect_uris
    used = set().union(*map(names_in, templates))
    return [
        question
        for question in preset.questions
        if question.field not in given and (question.field or question.name in used)
    ]


@sensitive_variables()
def problems_of(questions: Iterable[Question], answers: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the error messages about ``answers``, by the name of the question: the answer is
    missing, or has another form than the console shows. A message never contains an answer."""
    problems = {}
    for question in questions:
        answer = answers.get(question.name, "")
        if not answer and question.default is None:
            text = _("“%(label)s” is missing.")
            problems[question.name] = [text % {"label": question.label}]
        elif answer and not question.accepts(answer):
            text = _("“%(label)s” has another form, such as %(example)s.")
            names = {"label": question.label, "example": question.example}
            problems[question.name] = [text % names]
    return problems


def where_to_find(question: Question) -> str:
    """Return a sentence that says where the console of the vendor shows the answer."""
    return _("Where the console shows it: %(where)s.") % {"where": str(question.where).rstrip(".")}


@sensitive_variables()
def values_for(
    preset: Preset,
    answers: Mapping[str, str],
    *,
    given: Mapping[str, Any] = _NONE,
    has_redirect_uris: bool = False,
) -> PresetValues:
    """Return the values for a new peer.

    :param answers: the answers to :func:`questions_for`, by name, without problems.
    :param given: the values of the peer that are known otherwise, by field name. The result has
        them too. A field that consists of lines ``NAME=VALUE`` has the lines of the preset too.
    :param has_redirect_uris: whether the redirect URIs of its application are known otherwise.
    """
    known = _with_defaults(preset, answers)
    fields: dict[str, Any] = {
        "dialect": preset.dialect,
        "name": preset.name,
        **{
            field: _filled(field, value, known)
            for field, value in _values_without(preset, given).items()
        },
        **_answered(preset, known),
    }
    for field, value in given.items():
        is_added = field in _LINES and value and fields.get(field)
        fields[field] = f"{fields[field]}\n{value}" if is_added else value
    if fields.get("authorization_endpoint") and not fields.get("preconfigured_scope"):
        # No vendor sends the parameter ``reciprocal``. Without an agreed scope, people who start at
        # this site would not be asked for the access of the vendor, so there would be no code.
        allowed = fields.get("allowed_scope", "")
        fields["preconfigured_scope"] = scopes.without_openid(allowed)
    uris = [filled(uri, known) for uri in preset.redirect_uris] if not has_redirect_uris else None
    return PresetValues(fields, uris)


@sensitive_variables()
def new_values(preset: Preset, peer: Peer, answers: Mapping[str, str]) -> PresetValues:
    """Return the values of a stored peer that change with ``answers``. Everything else that the
    preset says stays as it is.

    :param answers: the new answers to some of the questions, by name, without problems.
    :raises KeyError: another answer is needed too, and it cannot be read from ``peer``. The
        argument of the exception is the name of its question.
    """
    before = stored_answers(preset, peer)
    known = _with_defaults(preset, {**before, **answers})
    fields = {
        field: _kept_lines(field, text, peer, _filled(field, text, known))
        for field, text in _templates(preset)
        if names_in(text) & answers.keys()
    }
    fields |= {
        name: value
        for name, value in _answered(preset, known).items()
        if any(each.field == name and each.name in answers for each in preset.questions)
    }
    changed = [uri for uri in preset.redirect_uris if names_in(uri) & answers.keys()]
    if not changed:
        return PresetValues(fields, None)
    stored = peer.application.redirect_uris.split()
    kept = [uri for uri in stored if all(values_in(each, uri) is None for each in changed)]
    return PresetValues(fields, list(dict.fromkeys(kept + [filled(u, known) for u in changed])))


def stored_answers(preset: Preset, peer: Peer) -> dict[str, str]:
    """Return the answers that can be read from the fields of ``peer`` and from the redirect URIs of
    its application, by the name of the question. A secret is never among them."""
    found: dict[str, str] = {}
    for field, template in _templates(preset):
        for line in template.splitlines():
            _read(line, str(getattr(peer, field)).splitlines(), found)
    uris = peer.application.redirect_uris.split() if peer.application_id is not None else []
    for template in preset.redirect_uris:
        _read(template, uris, found)
    for question in preset.questions:
        if question.field and not question.is_secret and (value := getattr(peer, question.field)):
            found[question.name] = str(value)
    return found


def missing_redirect_uris(preset: Preset, peer: Peer) -> list[str]:
    """Return the redirect URIs of the preset that the application of ``peer`` does not have. A part
    of a URI that is not known is ``…``."""
    stored = peer.application.redirect_uris.split()
    unknown = dict.fromkeys((question.name for question in preset.questions), "…")
    known = {**unknown, **_defaults(preset), **stored_answers(preset, peer)}
    return [
        filled(template, known)
        for template in preset.redirect_uris
        if all(values_in(template, uri) is None for uri in stored)
        or ("…" not in (wanted := filled(template, known)) and wanted not in stored)
    ]


def differences(preset: Preset, peer: Peer) -> dict[str, str]:
    """Return the values of the preset for the addresses of ``peer`` and for its authentication
    method, by field name, if ``peer`` has other values."""
    known = _with_defaults(preset, stored_answers(preset, peer))
    found = {}
    for field, value in preset.values.items():
        if field not in _COMPARED or not names_in(str(value)) <= known.keys():
            continue
        if (wanted := filled(str(value), known)) != str(getattr(peer, field)):
            found[field] = wanted
    return found


def _values_without(preset: Preset, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the preset for fields that are not in ``given``. Of a field that
    consists of lines ``NAME=VALUE``, only those lines are left out whose names are in ``given``."""
    values = {name: value for name, value in preset.values.items() if name not in given}
    for field in _LINES:
        if field in preset.values and given.get(field):
            values[field] = "\n".join(_lines_without(preset.values[field], given[field]))
    return values


def _kept_lines(field: str, template: str, peer: Peer, value: str) -> str:
    """Return ``value`` with those lines of the stored field that the preset knows nothing of."""
    if field not in _LINES:
        return value
    return "\n".join(filter(None, [*_lines_without(getattr(peer, field), template), value]))


def _lines_without(text: str, others: str) -> list[str]:
    """Return the lines ``NAME=VALUE`` of ``text`` whose names are not in ``others``."""
    names = {line.partition("=")[0].strip() for line in others.splitlines()}
    return [line for line in text.splitlines() if line.partition("=")[0].strip() not in names]


def _templates(preset: Preset) -> list[tuple[str, str]]:
    return [(field, value) for field, value in preset.values.items() if isinstance(value, str)]


def _defaults(preset: Preset) -> dict[str, str]:
    return {each.name: each.default for each in preset.questions if each.default is not None}


def _with_defaults(preset: Preset, answers: Mapping[str, str]) -> dict[str, str]:
    return _defaults(preset) | {name: answer for name, answer in answers.items() if answer}


def _filled(field: str, value: Any, answers: Mapping[str, str]) -> Any:
    if not isinstance(value, str):
        return value
    if field not in _LINES:
        return filled(value, answers)
    lines = [(line, filled(line, answers)) for line in value.splitlines()]
    return "\n".join(
        line for template, line in lines if not (names_in(template) and line.endswith("="))
    )


@sensitive_variables()
def _answered(preset: Preset, answers: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of the peer that store an answer, with their values."""
    return {
        each.field: Secret(answers[each.name]) if each.is_secret else answers[each.name]
        for each in preset.questions
        if each.field and each.name in answers
    }


def _read(template: str, texts: Iterable[str], found: dict[str, str]) -> None:
    """Read the answers from the first of ``texts`` that has the form of ``template``."""
    for text in texts if names_in(template) else ():
        if (values := values_in(template, text)) is not None:
            for name, value in values.items():
                found.setdefault(name, value)
            return
