"""What the tables need no longer: found by its age, and deleted in batches.

A row goes when nothing can come of it any more and its time is over (``RETENTION_*_DAYS``), or
when its link has very many that are newer. Of the history of an active link the newest lines stay,
however old they are.
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

#: Rows that one transaction deletes: it is over in milliseconds, and SQLite takes 999 parameters.
BATCH_ROWS = 500
#: Rows of one link that are over, and of one kind, that are kept at most.
MAX_OVER_OF_LINK = 500
#: Links with more rows than they may keep that one run looks at, the fullest first. The next run
#: goes on with others.
MAX_FULL_LINKS = 100
_OVER = Q(state__in=(QueueItem.State.DONE, QueueItem.State.CANCELLED))
#: Codes that a peer handed over have no second chance either once they were given up: they are no
#: longer kept, and the peer may send as many as ``HANDOVERS_PER_MINUTE`` that it then refuses.
_RECEIVED_OVER = _OVER | Q(state=QueueItem.State.FAILED)
#: Codes that were never redeemed: no replay has to be noticed of them.
_DEAD = Q(state=ReciprocalCode.State.REVOKED)
#: Added to the life of a visit to a peer: its answer may still be worked on, and the person may
#: load the page again.
VISIT_MARGIN = timedelta(days=1)
#: A retention beyond this means for ever; dates do not reach back as far as numbers do.
MAX_DAYS = 36500.0


def prunable() -> dict[str, QuerySet[Any]]:
    """The rows that are no longer needed, by what they are, in the order to delete them in.

    A link comes last: all that refers to it has to go first.
    """
    now = timezone.now()
    finished, code, event = _finished_item(now), _spent_code(now), _old_event(now)
    ended = Q(status=Link.Status.ENDED, ended_at__lt=_before(now, settings.RETENTION_HISTORY_DAYS))
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    return {
        "outbox": OutboxItem.objects.filter(finished | _over_of_full_link(OutboxItem, _OVER)),
        "inbox": InboxItem.objects.filter(finished | _over_of_full_link(InboxItem, _RECEIVED_OVER)),
        "codes": ReciprocalCode.objects.filter(code | _over_of_full_link(ReciprocalCode, _DEAD)),
        "authorization_requests": AuthorizationRequest.objects.filter(
            created_at__lt=now - lifetime - VISIT_MARGIN
        ),
        "events": LinkEvent.objects.filter(event | _old_of_active_link(now)),
        "links": Link.objects.filter(
            ended,
            ~_any_of_link(OutboxItem, ~finished),
            ~_any_of_link(InboxItem, ~finished),
            ~_any_of_link(ReciprocalCode, ~code),
            ~_any_of_link(LinkEvent, ~event),
        ),
    }


def delete(rows: QuerySet[Any]) -> int:
    """Delete ``rows`` in batches, each in a transaction of its own; memory stays constant.

    What has changed since it was looked at, and no longer belongs to ``rows``, stays.

    :returns: how many rows were deleted, without those that went with them.
    """
    deleted = 0
    last: Any = None
    while pks := _next_batch(rows, last):
        deleted += _delete_batch(rows.filter(pk__in=pks))
        last = pks[-1]
    return deleted


def _next_batch(rows: QuerySet[Any], last: Any) -> Sequence[Any]:
    if last is not None:
        # Past what was deleted: PostgreSQL would step over its remains each time.
        rows = rows.filter(pk__gt=last)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _delete_batch(batch: QuerySet[Any]) -> int:
    with atomic():
        if batch.model is Link:
            # Django reads links before it deletes them, to tell their receivers. Locked, none can
            # be opened again in between. All other rows are deleted by one conditional statement.
            list(batch.select_for_update().values_list("pk"))
        _, counts = batch.delete()
    return counts.get(batch.model._meta.label, 0)


def _before(now: datetime, days: float) -> datetime:
    return now - timedelta(days=min(days, MAX_DAYS))


def _finished_item(now: datetime) -> Q:
    """Rows of a queue that have ended; an administrator may send those that were given up again,
    so they stay longer."""
    over = (QueueItem.State.DONE, QueueItem.State.CANCELLED)
    return Q(state__in=over, finished_at__lt=_before(now, settings.RETENTION_FINISHED_DAYS)) | Q(
        state=QueueItem.State.FAILED, finished_at__lt=_before(now, settings.RETENTION_FAILED_DAYS)
    )


def _spent_code(now: datetime) -> Q:
    """Codes of the ledger that are long expired, and of which no token can live any more.

    As long as one can, a replay of the code has to be noticed: it costs the tokens their life
    (RFC 6749, section 4.1.2).
    """
    before = _before(now, settings.RETENTION_FINISHED_DAYS)
    of_family = Q(token_family=OuterRef("token_family"))
    refresh_token = get_refresh_token_model()._base_manager.filter(
        of_family,
        # DOT may accept a token that was revoked just now (REFRESH_TOKEN_GRACE_PERIOD_SECONDS).
        Q(revoked__isnull=True) | Q(revoked__gt=before) | Q(access_token__expires__gt=now),
    )
    access_tokens = get_access_token_model()._base_manager.filter(expires__gt=now)
    # After a rotation, the refresh token that it was made from names the family.
    rotated = access_tokens.filter(source_refresh_token__token_family=OuterRef("token_family"))
    # Without a refresh token there is no family: any token of the person at the peer may be it.
    alone = access_tokens.filter(
        user_id=OuterRef("link__user_id"), application_id=OuterRef("link__peer__application_id")
    )
    lives = (
        Q(Exists(refresh_token))
        | Q(Exists(rotated))
        | (Q(token_family__isnull=True) & Q(Exists(alone)))
    )
    return Q(expires_at__lt=before) & ~(Q(state=ReciprocalCode.State.REDEEMED) & lives)


def _old_event(now: datetime) -> Q:
    before = _before(now, settings.RETENTION_HISTORY_DAYS)
    return Q(at__lt=before, link__status=Link.Status.ENDED, link__ended_at__lt=before)


def _old_of_active_link(now: datetime) -> Q:
    """Lines that are long over, without those that a page shows."""
    before = _before(now, settings.RETENTION_HISTORY_DAYS)
    lines = LinkEvent.objects.filter(link__status=Link.Status.ACTIVE)
    return Q(at__lt=before) & _beyond(lines, keep=SHOWN_EVENTS_PER_LINK, time="at", before=before)


def _over_of_full_link(model: type[Model], over: Q) -> Q:
    rows = model._base_manager.filter(over)
    return over & _beyond(rows, keep=MAX_OVER_OF_LINK, time="created_at", before=timezone.now())


def _beyond(rows: QuerySet[Any], *, keep: int, time: str, before: datetime) -> Q:
    """The oldest of ``rows`` where a link has more than ``keep`` of them, some from ``before``.

    The links are found by one query and their limits by one each: a subquery in the condition would
    be asked for every row, and read all rows of its link each time.
    """
    found = rows.order_by().values("link").annotate(count=Count("pk"), oldest=Min(time))
    full = found.filter(count__gt=keep, oldest__lt=before).order_by("-count")
    beyond = Q(pk__in=[])
    for link in full.values_list("link", flat=True)[:MAX_FULL_LINKS]:
        newest_first = rows.filter(link=link).order_by(f"-{time}").values_list(time, flat=True)
        if kept_since := newest_first[keep - 1 : keep].first():
            beyond |= Q(link=link, **{f"{time}__lt": kept_since})
    return beyond


def _any_of_link(model: type[Model], condition: Q) -> Exists:
    return Exists(model._base_manager.filter(condition, link=OuterRef("pk")))
