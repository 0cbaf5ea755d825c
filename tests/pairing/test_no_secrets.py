"""No code, secret or token of a pairing gets into logs, error reports, messages or dumps."""

import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
from django.core.management import call_command
from django.core.signals import got_request_exception
from django.db import OperationalError, connection
from django.test import Client
from django.views.debug import ExceptionReporter, technical_500_response

from reciprocal_oauth.exceptions import PairingError
from reciprocal_oauth.models import Pairing
from reciprocal_oauth.pairing import accepting, due, invitation, inviting, sending

from .. import sentry
from ..fakes import Reply
from .other_site import REGISTER, OtherSite, code_in, register, terms

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("PA12")]

State = Pairing.State


class Watched:
    """What this site has written anywhere, and the secrets that must not be in it."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.secrets: dict[str, str] = {}

    def add(self, **secrets: str) -> None:
        self.secrets |= secrets

    def add_answer(self, response: Any) -> None:
        answer = response.json()
        names = ("client_secret", "registration_access_token")
        self.add(**{f"its {name}": answer[name] for name in names})

    def found(self) -> list[str]:
        everything = "\n".join(self.texts)
        return [name for name, secret in self.secrets.items() if secret in everything]


class _Handler(logging.Handler):
    """Keeps the records of the log, and the reports that would be sent of those with an error."""

    def __init__(self, watched: Watched) -> None:
        super().__init__(logging.DEBUG)
        self.watched = watched

    def emit(self, record: logging.LogRecord) -> None:
        self.watched.texts.append(f"{self.format(record)} {record.args!r}")
        if record.exc_info and record.levelno >= logging.ERROR:
            self.watched.texts.append(_report(None, *record.exc_info))


def _report(request: Any, *exception: Any) -> str:
    reporter = ExceptionReporter(request, *exception, is_email=True)
    shown = technical_500_response(request, *exception).content.decode() if request else ""
    return "\n".join([reporter.get_traceback_text(), reporter.get_traceback_html(), shown])


@pytest.fixture
def watched(other: OtherSite) -> Iterator[Watched]:
    """All loggers say everything, and all error reports are kept, also what sentry-sdk sends."""
    watched = Watched()
    watched.add(
        our_secret=other.answer["client_secret"],
        our_token=other.answer["registration_access_token"],
        reverse_token=other.reverse_token,
    )
    handler = _Handler(watched)
    names = [name for name in logging.root.manager.loggerDict if not name.startswith("django.db")]
    loggers = [logging.getLogger(), *map(logging.getLogger, names)]
    before = [(logger, logger.level, logger.disabled) for logger in loggers]

    def note(sender: Any, request: Any, **kwargs: Any) -> None:
        watched.texts.append(_report(request, *sys.exc_info()))

    logging.getLogger().addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
        logger.disabled = False
    got_request_exception.connect(note)
    with sentry.sending() if sentry.IS_INSTALLED else nullcontext() as sent:
        yield watched
        watched.texts += sent.texts if sent else []
    got_request_exception.disconnect(note)
    logging.getLogger().removeHandler(handler)
    for logger, level, disabled in before:
        logger.setLevel(level)
        logger.disabled = disabled
    assert watched.found() == []


def look_at_the_tables(watched: Watched) -> None:
    """What stands in the table, and what ``dumpdata`` writes, is looked at too."""
    written = io.StringIO()
    call_command("dumpdata", "reciprocal_oauth", stdout=written)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {Pairing._meta.db_table}")  # noqa: S608 - our own table
        watched.texts += [written.getvalue(), *map(str, cursor.fetchall())]
    watched.texts += [f"{each!r} {each}" for each in Pairing.objects.all()]
    assert watched.found() == []


def test_none_is_seen_when_this_site_invites(other: OtherSite, watched: Watched) -> None:
    pairing, text = inviting.invite(terms(), partner=inviting.look_up(other.issuer))
    watched.add(code=code_in(text))
    look_at_the_tables(watched)
    client = Client()
    response = register(code_in(text), other.registration(), client)
    watched.add_answer(response)
    register(code_in(text), b"{", client)
    register("x" * 43, other.registration(), client)
    look_at_the_tables(watched)

    other.answers[REGISTER] = Reply.json(503)
    sending.send(pairing)
    look_at_the_tables(watched)
    other.answers[REGISTER] = Reply.json(201, **other.answer)
    sending.send(pairing)
    due.attempt(pairing)

    assert pairing.state == State.COMPLETE
    assert pairing.findings
    assert not client.cookies, "no session"
    look_at_the_tables(watched)


def test_none_is_seen_when_this_site_accepts(other: OtherSite, watched: Watched) -> None:
    text = other.invitation()
    watched.add(code=text.rpartition("code=")[2])
    offer = accepting.look_up(text)
    pairing = accepting.accept(offer, terms())
    token = json.loads(pairing.body.reveal())["reciprocal_registration_token"]
    watched.add(our_reverse_token=token)
    watched.texts += [repr(offer), str(offer), repr(offer.invitation)]
    look_at_the_tables(watched)
    early = register(token, other.registration(reciprocal_registration_token=...))
    assert early.status_code == 503

    sending.send(pairing)
    look_at_the_tables(watched)
    watched.add_answer(register(token, other.registration(reciprocal_registration_token=...)))
    due.attempt(Pairing.objects.get())

    assert Pairing.objects.get().findings
    look_at_the_tables(watched)


@pytest.mark.parametrize("text", ["{good}&code={code}", "{good}x", "http{rest}", "{good}#{code}"])
def test_a_string_that_is_wrong_is_not_shown(other: OtherSite, watched: Watched, text: str) -> None:
    good = other.invitation().replace("http", "https")
    code = good.rpartition("code=")[2]
    watched.add(code=code)

    with pytest.raises(PairingError) as refused:
        invitation.read(text.format(good=good, code=code, rest=good.removeprefix("https")))

    below = refused.tb.tb_next  # Without the variables of this test.
    watched.texts += [str(refused.value), _report(None, refused.type, refused.value, below)]


@pytest.mark.parametrize("reply", ["in the description", "in the name", "in another member"])
def test_a_site_that_sends_secrets_back_does_not_get_them_shown(
    accepted: Pairing, other: OtherSite, watched: Watched, reply: str
) -> None:
    code = accepted.code.reveal()
    watched.add(code=code)
    if reply == "in the description":
        text = f"The code {code} is wrong."
        other.answers[REGISTER] = Reply.json(
            400, error="invalid_client_metadata", error_description=text
        )
    elif reply == "in another member":
        other.answer["token_endpoint_auth_method"] = code
    else:
        other.answers[REGISTER] = Reply.json(400, error=code)

    sending.send(accepted)

    watched.texts.append(accepted.last_error)
    assert accepted.last_error


FAULTS = {
    "while the body is read": "reciprocal_oauth.pairing.messages.read",
    "while a secret is made": "reciprocal_oauth.pairing.answering.generate_client_id",
    "while the application is checked": "reciprocal_oauth.pairing.answering.application_for",
    "while the response is made": "reciprocal_oauth.pairing.answering.answer_members",
}


def forced(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("forced fault")


@pytest.mark.parametrize("path", FAULTS.values(), ids=FAULTS)
def test_a_report_of_a_fault_while_answering_shows_none(
    invited: tuple[Pairing, str],
    other: OtherSite,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
) -> None:
    watched.add(code=invited[1])
    monkeypatch.setattr(path, forced)

    response = register(invited[1], other.registration(), Client(raise_request_exception=False))

    assert response.status_code == 500
    assert any("forced fault" in text for text in watched.texts)


SENDING_FAULTS = {
    "while the metadata is fetched": "reciprocal_oauth.pairing.sending.discover",
    "while the request is sent": "requests.Session.send",
    "while the response is read": "reciprocal_oauth.client.registration._read",
    "while the response is stored": "reciprocal_oauth.pairing.sending._locked",
    "while the peer is made": "reciprocal_oauth.pairing.completion.peer_values",
}


@pytest.mark.parametrize("path", SENDING_FAULTS.values(), ids=SENDING_FAULTS)
@pytest.mark.parametrize("words", ["accepter draft", "inviter confirmed"])
def test_a_report_of_a_fault_while_sending_shows_none(
    in_state: Callable[[str], tuple[Pairing, str]],
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    words: str,
) -> None:
    pairing, token = in_state(words)
    watched.add(token=token, body=pairing.body.reveal() or "no body yet")
    if pairing.code:
        watched.add(code=pairing.code.reveal())
    if words.startswith("inviter"):
        watched.add(issued_secret=pairing.issued_client_secret.reveal())
    monkeypatch.setattr(path, forced)
    Pairing.objects.update(next_attempt_at=pairing.created_at)

    due.run()

    pairing.refresh_from_db()
    reaches = words.startswith("inviter") or "peer_values" not in path
    assert (pairing.state in Pairing.TO_SEND) == reaches
    assert any("forced fault" in text for text in watched.texts) == (
        reaches and "Session" not in path
    )


def test_a_database_that_is_away_is_told_in_one_line(
    invited: tuple[Pairing, str],
    other: OtherSite,
    watched: Watched,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    watched.add(code=invited[1])

    def away(*args: Any, **kwargs: Any) -> None:
        raise OperationalError(f"server closed the connection\nDETAIL: {invited[1]}")

    with monkeypatch.context() as patch:
        patch.setattr(Pairing, "save", away)
        response = register(invited[1], other.registration())

    assert (response.status_code, response.json()) == (503, {"error": "temporarily_unavailable"})
    assert int(response["Retry-After"]) > 0
    assert register(invited[1], other.registration()).status_code == 201
