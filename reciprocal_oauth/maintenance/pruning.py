"""Finds rows that are no longer needed, and deletes them in batches.

A row is deleted when it is finished and older than its setting (``RETENTION_*_DAYS``), or when its
link has very many newer ones. The newest events of an active link are kept, whatever their age.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Exists, Min, Model, OuterRef, Q, QuerySet
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from ..conf import settings
from ..core.database import atomic, tried_again
from ..models import (
    AuthorizationRequest,
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    QueueItem,
    ReciprocalCode,
)
from ..models.events import SHOWN_EVENTS_PER_LINK

#: Rows that one transaction deletes. It takes milliseconds, and SQLite allows 999 parameters.
BATCH_ROWS = 500
#: Finished rows of one kind that are kept for one link at most.
MAX_FINISHED_PER_LINK = 500
#: Links with too many rows that one run checks, those with the most rows first. The next run checks
#: others.
MAX_FULL_LINKS = 100
_FINISHED = Q(state__in=(QueueItem.State.DONE, QueueItem.State.CANCELLED))
#: Failed inbox rows count as finished too: they no longer contain their code, so nobody can try
#: again, and a peer may hand over ``HANDOVERS_PER_MINUTE`` codes that it then refuses to redeem.
_FINISHED_IN_INBOX = _FINISHED | Q(state=QueueItem.State.FAILED)
#: Codes that cannot be redeemed, and never were. A replay of them has no tokens to revoke.
_REVOKED = Q(state=ReciprocalCode.State.REVOKED)
#: Added to the lifetime of an authorization request: its response may still be processed, and the
#: person may reload the page.
REQUEST_MARGIN = timedelta(days=1)
#: A longer retention is shortened to this: Python has no dates before the year 1.
MAX_DAYS = 36500.0


def prunable() -> dict[str, QuerySet[Any]]:
    """The rows that are no longer needed, by kind, in the order in which they must be deleted.

    Links are last: the rows that refer to a link are deleted first.
    """
    now = timezone.now()
    finished, code, event = _finished_item(now), _spent_code(now), _old_event(now)
    ended = Q(status=Link.Status.ENDED, ended_at__lt=_before(now, settings.RETENTION_HISTORY_DAYS))
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    return {
        "outbox": OutboxItem.objects.filter(finished | _of_full_link(OutboxItem, _FINISHED)),
        "inbox": InboxItem.objects.filter(finished | _of_full_link(InboxItem, _FINISHED_IN_INBOX)),
        "codes": ReciprocalCode.objects.filter(code | _of_full_link(ReciprocalCode, _REVOKED)),
        "authorization_requests": AuthorizationRequest.objects.filter(
            created_at__lt=now - lifetime - REQUEST_MARGIN
        ),
        "events": LinkEvent.objects.filter(event | _old_of_active_link(now)),
        "links": Link.objects.filter(
            ended,
            ~_link_has(OutboxItem, ~finished),
            ~_link_has(InboxItem, ~finished),
            ~_link_has(ReciprocalCode, ~code),
            ~_link_has(LinkEvent, ~event),
        ),
    }


def delete(rows: QuerySet[Any]) -> int:
    """Delete ``rows`` in batches, each in a transaction of its own.

    A row that has changed meanwhile, and is no longer in ``rows``, is kept.

    :returns: how many rows were deleted, without the rows that were deleted by cascade.
    """
    deleted = 0
    last: Any = None
    while pks := _next_batch(rows, last):
        deleted += _delete_batch(rows.filter(pk__in=pks))
        last = pks[-1]
    return deleted


def _next_batch(rows: QuerySet[Any], last: Any) -> Sequence[Any]:
    if last is not None:
        # Start after the last deleted row: PostgreSQL would read the deleted ones again each time.
        rows = rows.filter(pk__gt=last)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _delete_batch(batch: QuerySet[Any]) -> int:
    with atomic():
        if batch.model is Link:
            # Django reads links before it deletes them, because it sends signals. The lock makes
            # sure that no link becomes active in between. Rows of other models are deleted by one
            # conditional statement.
            list(batch.select_for_update().values_list("pk"))
        _, counts = batch.delete()
    return counts.get(batch.model._meta.label, 0)


def _before(now: datetime, days: float) -> datetime:
    return now - timedelta(days=min(days, MAX_DAYS))


def _finished_item(now: datetime) -> Q:
    """Finished rows of a queue. Failed ones are kept longer: an administrator may send them
    again."""
    return Q(_FINISHED, finished_at__lt=_before(now, settings.RETENTION_FINISHED_DAYS)) | Q(
        state=QueueItem.State.FAILED, finished_at__lt=_before(now, settings.RETENTION_FAILED_DAYS)
    )


def _spent_code(now: datetime) -> Q:
    """Codes that expired long ago and for which the peer holds no working token.

    While such a token works, a replay of the code must be noticed, because it revokes the token
    (RFC 6749, section 4.1.2).
    """
    before = _before(now, settings.RETENTION_FINISHED_DAYS)
    of_family = Q(token_family=OuterRef("token_family"))
    refresh_token = get_refresh_token_model()._base_manager.filter(
        of_family,
        # DOT may still accept a token that was revoked a moment ago
        # (REFRESH_TOKEN_GRACE_PERIOD_SECONDS).
        Q(revoked__isnull=True) | Q(revoked__gt=before) | Q(access_token__expires__gt=now),
    )
    access_tokens = get_access_token_model()._base_manager.filter(expires__gt=now)
    # After the refresh token was rotated, the new access token refers to the old refresh token
    # (``source_refresh_token``), and that one has the family of the code.
    rotated = access_tokens.filter(source_refresh_token__token_family=OuterRef("token_family"))
    # An access token that was issued without a refresh token has no family. So any access token of
    # the same user and application may be the one that the code was redeemed for.
    alone = access_tokens.filter(
        user_id=OuterRef("link__user_id"), application_id=OuterRef("link__peer__application_id")
    )
    has_token = (
        Q(Exists(refresh_token))
        | Q(Exists(rotated))
        | (Q(token_family__isnull=True) & Q(Exists(alone)))
    )
    return Q(expires_at__lt=before) & ~(Q(state=ReciprocalCode.State.REDEEMED) & has_token)


def _old_event(now: datetime) -> Q:
    before = _before(now, settings.RETENTION_HISTORY_DAYS)
    return Q(at__lt=before, link__status=Link.Status.ENDED, link__ended_at__lt=before)


def _old_of_active_link(now: datetime) -> Q:
    """Old events of active links, without those that a page shows."""
    before = _before(now, settings.RETENTION_HISTORY_DAYS)
    events = LinkEvent.objects.filter(link__status=Link.Status.ACTIVE)
    return Q(at__lt=before) & _beyond(events, keep=SHOWN_EVENTS_PER_LINK, time="at", before=before)


def _of_full_link(model: type[Model], finished: Q) -> Q:
    """The oldest ``finished`` rows of links that have more than ``MAX_FINISHED_PER_LINK``."""
    rows = model._base_manager.filter(finished)
    keep = MAX_FINISHED_PER_LINK
    return finished & _beyond(rows, keep=keep, time="created_at", before=timezone.now())


def _beyond(rows: QuerySet[Any], *, keep: int, time: str, before: datetime) -> Q:
    """The oldest of ``rows`` of each link that has more than ``keep`` of them and at least one that
    is older than ``before``.

    One query finds the links, and one for each link finds the time limit. A subquery in the
    condition would run for every row, and read all rows of the link each time.
    """
    found = rows.order_by().values("link").annotate(count=Count("pk"), oldest=Min(time))
    full = found.filter(count__gt=keep, oldest__lt=before).order_by("-count")
    beyond = Q(pk__in=[])
    for link in full.values_list("link", flat=True)[:MAX_FULL_LINKS]:
        newest_first = rows.filter(link=link).order_by(f"-{time}").values_list(time, flat=True)
        if kept_since := newest_first[keep - 1 : keep].first():
            beyond |= Q(link=link, **{f"{time}__lt": kept_since})
    return beyond


def _link_has(model: type[Model], condition: Q) -> Exists:
    """Whether the link of the outer query has a row of ``model`` with this condition."""
    return Exists(model._base_manager.filter(condition, link=OuterRef("pk")))
