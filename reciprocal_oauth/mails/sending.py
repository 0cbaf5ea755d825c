"""Sends the mails that are due, through Django's mail.

A worker reserves a mail before it sends it. If the process is killed before the database knows that
the mail was sent, the mail is sent again. It then has the same ``Message-ID`` (RFC 5322, section
3.6.4), so mail programs can show it once.
"""

import hashlib
import logging
from datetime import datetime, timedelta
from email.utils import formatdate
from typing import Any

from django.contrib.auth import get_user_model
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.db.models import F, Min
from django.utils import timezone

from ..conf import settings
from ..core.database import log_exception, tried_again
from ..models import Link, Notice
from . import text

logger = logging.getLogger("reciprocal_oauth.mails")

Kind = Notice.Kind

#: The pauses before the attempts after the first one. After the last one, the mail is given up.
_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (5, 15, 60, 240, 1440))
#: How many mails one call sends.
_AT_ONCE = 50
#: How many seconds a mail server may be silent, if the site does not set ``EMAIL_TIMEOUT``.
TIMEOUT_SECONDS = 30


def next_due_at() -> datetime | None:
    """Return when the next mail is due; ``None`` if none waits."""
    found: datetime | None = Notice.objects.aggregate(at=Min("due_at"))["at"]
    return found


def run() -> int:
    """Send mails that are due, but none after one that could not be sent: the mail server may be
    down, and other work waits. Return how many mails were tried."""
    due = Notice.objects.filter(due_at__lte=timezone.now()).order_by("due_at")
    tried = 0
    for pk in list(due.values_list("pk", flat=True)[:_AT_ONCE]):
        tried += 1
        notice = _reserve(pk)
        if notice is not None and not _deliver(notice):
            break
    return tried


@tried_again
def _reserve(pk: int) -> Notice | None:
    """Count an attempt for the mail, and set when it is tried again. Return ``None`` if another
    worker was faster."""
    notice = Notice.objects.filter(pk=pk, due_at__lte=timezone.now()).first()
    if notice is None:
        return None
    is_last = notice.attempts >= len(_PAUSES)
    again = None if is_last else timezone.now() + _PAUSES[notice.attempts]
    same = Notice.objects.filter(pk=pk, due_at=notice.due_at, attempts=notice.attempts)
    if not same.update(due_at=again, attempts=F("attempts") + 1):
        return None
    return Notice.objects.select_related("link__peer", "link__user").get(pk=pk)


def _deliver(notice: Notice) -> bool:
    """Send the mail, unless it is not true any more. Return whether that went well."""
    if not _is_wanted(notice):
        _finish(notice)
        return True
    try:
        _mail_server().send_messages([_message(notice)])
    except Exception:
        # A mail server can fail in many ways. The mail is tried again, and nothing else stops.
        last = "it is not tried again" if notice.due_at is None else "it is tried again"
        log_exception(logger, "The mail “%s” could not be sent; %s", notice, last)
        return False
    _finish(notice, sent_at=timezone.now())
    return True


def _mail_server() -> Any:
    """Return Django's connection to the mail server, with a time limit. Without one, a server that
    does not answer would stop the worker for ever."""
    # Django 6.1 has "mailers" in the place of get_connection().
    mailers = getattr(mail, "mailers", None)
    connection: Any = mail.get_connection() if mailers is None else mailers.default
    if getattr(connection, "timeout", 0) is None:
        connection.timeout = TIMEOUT_SECONDS
    return connection


def _is_wanted(notice: Notice) -> bool:
    """Return whether the site still sends such mails, and the mail still tells the person
    something that is true."""
    user, link = notice.link.user, notice.link
    if notice.kind not in settings.MAIL_EVENTS:
        return False
    if not user.is_active or not _address(user):
        return False
    if notice.kind == Kind.ENDED:
        return not link.is_active
    if notice.kind == Kind.CONNECTED:
        return link.is_active
    broken = (Link.Outgoing.BROKEN, Link.Incoming.BROKEN)
    return link.is_active and bool({link.outgoing_state, link.incoming_state} & set(broken))


def _message(notice: Notice) -> EmailMultiAlternatives:
    rendered = text.render(notice)
    message = EmailMultiAlternatives(
        subject=rendered.subject,
        body=rendered.body,
        to=[_address(notice.link.user)],
        headers={
            "Message-ID": _message_id(notice),
            "Date": formatdate(notice.created_at.timestamp()),
            # No vacation notice answers (RFC 3834, section 5).
            "Auto-Submitted": "auto-generated",
        },
    )
    if rendered.html:
        message.attach_alternative(rendered.html, "text/html")
    return message


def _address(user: object) -> str:
    return str(getattr(user, get_user_model().get_email_field_name(), "") or "")


def _message_id(notice: Notice) -> str:
    what = f"{notice.link_id} {notice.kind} {notice.occasion}"
    name = hashlib.sha256(what.encode()).hexdigest()[:32]
    return f"<{name}@{text.host_of_site() or 'localhost'}>"


@tried_again
def _finish(notice: Notice, sent_at: datetime | None = None) -> None:
    Notice.objects.filter(pk=notice.pk).update(due_at=None, sent_at=sent_at)
