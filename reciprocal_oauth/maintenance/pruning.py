"""Finds rows that are no longer needed, and deletes them in batches.

A finished row (for example, a delivery that is done) is deleted when it is older than a setting
(``RETENTION_*_DAYS``) allows, or when its link has ``MAX_FINISHED_PER_LINK`` newer finished rows in
the same table. The newest events of an active link are kept, however old they are.
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
    Heartbeat,
    InboxItem,
    Link,
    LinkEvent,
    Notice,
    OutboxItem,
    Pairing,
    QueueItem,
    ReciprocalCode,
    SiteKey,
    UsedAssertion,
)
from ..models.events import SHOWN_EVENTS_PER_LINK
from ..models.heartbeats import workers_last_seen

#: The number of rows that one transaction deletes. Such a transaction takes only milliseconds, and
#: the query has fewer than 999 parameters, which is the limit of SQLite.
BATCH_ROWS = 500
#: The largest number of finished rows that are kept for one link in each table (outbox, inbox,
#: reciprocal codes).
MAX_FINISHED_PER_LINK = 500
#: If a link has too many rows in a table, a run deletes its oldest rows. One run does this for at
#: most this many links in each table, and begins with the links that have the most rows. The next
#: run continues with the remaining links.
MAX_FULL_LINKS = 100
_FINISHED = Q(state__in=(QueueItem.State.DONE, QueueItem.State.CANCELLED))
#: In the inbox, failed rows count as finished too, because they no longer contain the reciprocal
#: code and cannot be tried again. A peer can cause very many failed rows: it can send up to
#: ``HANDOVERS_PER_MINUTE`` codes in a minute, and refuse each code when this site redeems it.
_FINISHED_IN_INBOX = _FINISHED | Q(state=QueueItem.State.FAILED)
#: Reciprocal codes that were revoked before the peer redeemed them. If a link has more than
#: ``MAX_FINISHED_PER_LINK`` such codes, the oldest can be deleted before their retention time ends,
#: because the peer got no tokens for them.
_REVOKED = Q(state=ReciprocalCode.State.REVOKED)
#: An authorization request is kept for at least this time after its lifetime has ended. In this
#: time, this site can finish processing the response, and the user can reload the page.
REQUEST_MARGIN = timedelta(days=1)
#: How long the last sign of life of a worker is kept. Hosts that no longer exist, such as replaced
#: containers, then disappear from the status of the site.
HEARTBEAT_AGE = timedelta(days=7)
#: The longest retention time, in days. A longer setting is shortened to this number, because Python
#: has no dates before the year 1.
MAX_DAYS = 36500.0


def prunable() -> dict[str, QuerySet[Any]]:
    """Return querysets of the rows that are no longer needed. The keys of the dictionary say what
    the rows are, for example ``"outbox"`` or ``"links"``.

    The caller deletes the rows in the order of the dictionary. The links come last, because the
    rows that refer to a link must be deleted before the link.
    """
    now = timezone.now()
    # A key that is no longer published has no private part. Nobody needs it.
    retired = SiteKey.objects.filter(state=SiteKey.State.RETIRED, retires_at__lte=now)
    finished, code, event = _finished_item(now), _spent_code(now), _old_event(now)
    ended = Q(status=Link.Status.ENDED, ended_at__lt=_before(now, settings.RETENTION_HISTORY_DAYS))
    return {
        "outbox": OutboxItem.objects.filter(finished | _of_full_link(OutboxItem, _FINISHED)),
        "inbox": InboxItem.objects.filter(finished | _of_full_link(InboxItem, _FINISHED_IN_INBOX)),
        "codes": ReciprocalCode.objects.filter(code | _of_full_link(ReciprocalCode, _REVOKED)),
        "authorization_requests": AuthorizationRequest.objects.filter(_old_request(now)),
        "site_keys": retired,
        # The newest one stays: it says since when no worker has run.
        "workers": Heartbeat.objects.filter(
            seen_at__lt=min(now - HEARTBEAT_AGE, workers_last_seen() or now)
        ),
        "assertions": UsedAssertion.objects.filter(expires_at__lt=now),
        "events": LinkEvent.objects.filter(event | _old_of_active_link(now)),
        "notices": Notice.objects.filter(
            due_at__isnull=True, created_at__lt=_before(now, settings.RETENTION_FINISHED_DAYS)
        ),
        "pairings": Pairing.objects.filter(_finished_pairing(now)),
        "links": Link.objects.filter(
            ended,
            ~_link_has(OutboxItem, ~finished),
            ~_link_has(InboxItem, ~finished),
            ~_link_has(ReciprocalCode, ~code),
            ~_link_has(LinkEvent, ~event),
        ),
    }


def delete(rows: QuerySet[Any]) -> int:
    """Delete ``rows`` in batches. Each batch has its own transaction.

    If another process changes a row before its batch is deleted, and the row no longer meets the
    conditions of the queryset ``rows``, the row is kept.

    :returns: the number of deleted rows, without the rows that were deleted by cascade.
    """
    deleted = 0
    last: Any = None
    while pks := _next_batch(rows, last):
        deleted += _delete_batch(rows.filter(pk__in=pks))
        last = pks[-1]
    return deleted


def _next_batch(rows: QuerySet[Any], last: Any) -> Sequence[Any]:
    if last is not None:
        # Start after the last deleted row. Otherwise, PostgreSQL would read the deleted rows again
        # for each batch.
        rows = rows.filter(pk__gt=last)
    return list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH_ROWS])


@tried_again
def _delete_batch(batch: QuerySet[Any]) -> int:
    with atomic():
        if batch.model is Link:
            # Django reads the links, sends signals and deletes the links after that. Lock the links
            # first, so that no link becomes active between the reading and the deletion. The rows
            # of other models need no lock, because one conditional statement deletes them.
            list(batch.select_for_update().values_list("pk"))
        _, counts = batch.delete()
    return counts.get(batch.model._meta.label, 0)


def _before(now: datetime, days: float) -> datetime:
    return now - timedelta(days=min(days, MAX_DAYS))


def _finished_item(now: datetime) -> Q:
    """Return the condition for old finished rows of the outbox or the inbox. Failed rows have a
    retention time of their own (``RETENTION_FAILED_DAYS``), because an administrator may want to
    see them, and can send failed deliveries of the outbox again."""
    return Q(_FINISHED, finished_at__lt=_before(now, settings.RETENTION_FINISHED_DAYS)) | Q(
        state=QueueItem.State.FAILED, finished_at__lt=_before(now, settings.RETENTION_FAILED_DAYS)
    )


def _old_request(now: datetime) -> Q:
    """Return the condition for old authorization requests. An administrator looks for the reason of
    those that failed, so they are kept as long as failed deliveries."""
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    finished, failed = settings.RETENTION_FINISHED_DAYS, settings.RETENTION_FAILED_DAYS
    return Q(created_at__lt=now - lifetime - REQUEST_MARGIN) & (
        Q(problem="", created_at__lt=_before(now, finished))
        | (~Q(problem="") & Q(created_at__lt=_before(now, failed)))
    )


def _finished_pairing(now: datetime) -> Q:
    """Return the condition for pairings that were over long ago. A complete pairing is kept while
    its peer exists, because this site manages its registration at the peer with it."""
    is_over = ~Q(state__in=(*Pairing.UNDER_WAY, Pairing.State.COMPLETE))
    is_over |= Q(state=Pairing.State.COMPLETE, peer__isnull=True)
    before = _before(now, settings.RETENTION_FINISHED_DAYS)
    return Q(is_over, updated_at__lt=before) & ~Q(task=Pairing.Task.END)


def _spent_code(now: datetime) -> Q:
    """Return the condition for reciprocal codes that expired long ago and for which the peer holds
    no working token.

    A code is kept while the peer has a token that it got for the code. If the peer sends the code
    again, this site must notice it and revoke the token (RFC 6749, section 4.1.2).
    """
    before = _before(now, settings.RETENTION_FINISHED_DAYS)
    of_family = Q(token_family=OuterRef("token_family"))
    refresh_token = get_refresh_token_model()._base_manager.filter(
        of_family,
        # Also find refresh tokens that were revoked only after ``before``. DOT still accepts a
        # revoked refresh token for a short time (REFRESH_TOKEN_GRACE_PERIOD_SECONDS).
        Q(revoked__isnull=True) | Q(revoked__gt=before) | Q(access_token__expires__gt=now),
    )
    access_tokens = get_access_token_model()._base_manager.filter(expires__gt=now)
    # Find access tokens that the peer got with a refresh token. Such an access token refers to that
    # refresh token (``source_refresh_token``), which has the ``token_family`` that the reciprocal
    # code stores.
    rotated = access_tokens.filter(source_refresh_token__token_family=OuterRef("token_family"))
    # If DOT issued an access token without a refresh token, the code stores no ``token_family``, so
    # this query cannot tell which access token the peer got for the code. It finds all access
    # tokens of the same user and application.
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
    """Return the condition for old events of active links, except the newest
    ``SHOWN_EVENTS_PER_LINK`` events of each link, which pages show."""
    before = _before(now, settings.RETENTION_HISTORY_DAYS)
    events = LinkEvent.objects.filter(link__status=Link.Status.ACTIVE)
    return Q(at__lt=before) & _beyond(events, keep=SHOWN_EVENTS_PER_LINK, time="at", before=before)


def _of_full_link(model: type[Model], finished: Q) -> Q:
    """Return the condition for surplus finished rows: a link keeps its newest
    ``MAX_FINISHED_PER_LINK`` finished rows of ``model``, and all older finished rows are surplus.

    :param finished: the condition for finished rows.
    """
    rows = model._base_manager.filter(finished)
    keep = MAX_FINISHED_PER_LINK
    return finished & _beyond(rows, keep=keep, time="created_at", before=timezone.now())


def _beyond(rows: QuerySet[Any], *, keep: int, time: str, before: datetime) -> Q:
    """Return the condition for the surplus rows of each link. A link keeps its newest ``keep`` rows
    among ``rows``, and all older rows are surplus. Links without a row that is older than
    ``before`` are skipped.

    One query finds the links. For each link, another query finds the time of the oldest row to
    keep. A subquery in the condition would be slower: it would run for every row, and read all rows
    of the link each time.

    :param time: the name of the field by which the rows are sorted, for example ``created_at``.
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
    """Return an expression for a query of links. It is true for a link if a row of ``model`` refers
    to the link and meets ``condition``."""
    return Exists(model._base_manager.filter(condition, link=OuterRef("pk")))
