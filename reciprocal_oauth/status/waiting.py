"""Finds the links for which something waits at this site because no worker takes it. Then people
must not be told that the other site is slow or cannot be reached."""

from datetime import timedelta
from typing import Any

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.utils import timezone

from ..delivery import queue
from ..models import InboxItem, Link, OutboxItem, QueueItem
from ..models.heartbeats import is_worker_missing, workers_last_seen

#: A row that is due for this number of seconds, and was never tried, waits at this site. A worker
#: that has nothing else to do takes it within ``DISPATCHER_SWEEP_SECONDS``.
LATE_SECONDS = 30.0


def with_waiting_here(links: QuerySet[Link]) -> QuerySet[Link]:
    """Annotate each of ``links`` with whether something for it waits at this site, so that
    :func:`waits_here` needs no query. This itself needs one query."""
    is_missing = is_worker_missing(workers_last_seen())
    handovers = _waiting(OutboxItem, is_missing).filter(kind=OutboxItem.Kind.HANDOVER)
    waits = Q(Exists(handovers)) | Q(Exists(_waiting(InboxItem, is_missing)))
    return links.annotate(waits_here=ExpressionWrapper(waits, output_field=BooleanField()))


def waits_here(link: Link) -> bool:
    """Return whether a code for ``link``, which this site has to hand over or to redeem, waits at
    this site: no worker runs, or none has taken it for :data:`LATE_SECONDS`.

    This function runs two queries, unless ``link`` was read with :func:`with_waiting_here`.
    """
    if "waits_here" not in vars(link):
        rows: QuerySet[Any] = with_waiting_here(Link.objects.filter(pk=link.pk))
        return bool(rows.values_list("waits_here", flat=True).first())
    return bool(vars(link)["waits_here"])


def _waiting(model: type[QueueItem], is_missing: bool) -> QuerySet[Any]:
    # What the peer has accepted waits for the peer, and is due when the code has expired.
    due = queue.due_rows(model).filter(link=OuterRef("pk"))
    due = due.exclude(state=QueueItem.State.ACCEPTED)
    if is_missing:
        return due
    before = timezone.now() - timedelta(seconds=LATE_SECONDS)
    return due.filter(attempts=0, next_attempt_at__lte=before)
