"""Notes which mails are to be sent. The receivers here run after the commit of the event.

A row of :class:`~reciprocal_oauth.models.Notice` stands for each mail. Its columns ``link``,
``kind`` and ``occasion`` are unique together, so one event leads to one mail, even if two workers
notice it.
"""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from ..conf import settings
from ..core.database import tried_again
from ..links.lifecycle import INCOMING
from ..links.receivers import log_failures
from ..models import Link, Notice, Reason

Kind = Notice.Kind

#: How long a mail about a problem waits. Both directions of a link often stop working together, and
#: some problems are over soon.
_ATTENTION_WAITS = timedelta(minutes=2)
#: The reasons for the end of a link about which no mail is sent: the person has a newer connection,
#: or no account.
_SILENT_ENDS = {Reason.REPLACED, Reason.USER_INACTIVE}
#: The reasons for a broken direction that the person has chosen.
_CHOSEN = {Reason.REVOKED_HERE, Reason.NOTHING_LEFT}


@log_failures
def on_linked(sender: type, link: Link, **arguments: Any) -> None:
    """Note the mail “connected”: the link now works, in both directions or in one."""
    occasion = link.linked_at.isoformat() if link.linked_at else f"one-way:{link.outgoing_grant}"
    _note(link, Kind.CONNECTED, occasion)


@log_failures
def on_link_ended(sender: type, link: Link, reason: str, **arguments: Any) -> None:
    """Note the mail “ended”, unless the person has a newer connection."""
    if reason not in _SILENT_ENDS:
        _note(link, Kind.ENDED, link.ended_at.isoformat() if link.ended_at else "")


@log_failures
def on_direction_broken(
    sender: type, link: Link, direction: str, reason: str, **arguments: Any
) -> None:
    """Note the mail “needs attention”: one direction has stopped working, and the person has not
    chosen this."""
    if reason in _CHOSEN:
        return
    grant = link.incoming_family if direction == INCOMING else link.outgoing_grant
    _note(link, Kind.NEEDS_ATTENTION, f"{direction}:{grant or link.generation}", _ATTENTION_WAITS)


@tried_again
def _note(link: Link, kind: str, occasion: str, wait: timedelta = timedelta()) -> None:
    if kind not in settings.MAIL_EVENTS:
        return
    if kind == Kind.NEEDS_ATTENTION and _waits(link):
        return
    Notice.objects.get_or_create(
        link=link, kind=kind, occasion=occasion, defaults={"due_at": timezone.now() + wait}
    )


def _waits(link: Link) -> bool:
    """Return whether a mail about a problem of ``link`` is going to be sent already. It will tell
    the state of both directions."""
    waiting = Notice.objects.filter(
        link=link, kind=Kind.NEEDS_ATTENTION, attempts=0, due_at__isnull=False
    )
    return waiting.exists()
