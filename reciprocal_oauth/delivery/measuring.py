"""Tells the listeners of :mod:`..core.telemetry` what happens to the rows of the queues."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.core.exceptions import ObjectDoesNotExist
from django.db.models import QuerySet
from django.utils import timezone

from ..core import telemetry
from ..core.database import on_commit
from ..core.telemetry import Count, Duration, Span, Step
from ..models import InboxItem, OutboxItem, QueueItem
from ..models.results import Done, Recorded, Result


@contextmanager
def attempt(item: QueueItem) -> Iterator[Span]:
    """Tell about one attempt at ``item``. It belongs to the trace of the request that queued it."""
    if not telemetry.is_on():
        with telemetry.span(Step.DELIVERY) as span:
            yield span
        return
    peer, parent = _slug(item), item.trace_parent
    with telemetry.span(Step.DELIVERY, peer, parent=parent, kind=_kind(item)) as span:
        yield span


def count_attempt(item: QueueItem, result: Result) -> None:
    """Count the stored result of one attempt. If the delivery is done, also tell its age."""
    if not telemetry.is_on():
        return
    peer, kind = _slug(item), _kind(item)
    telemetry.count(Count.DELIVERY_ATTEMPTS, peer=peer, kind=kind, result=result_name(result))
    if isinstance(result, Done | Recorded):
        age = (timezone.now() - item.created_at).total_seconds()
        telemetry.observe(Duration.DELIVERY_AGE, age, peer=peer, kind=kind)


def count_redeemed(handovers: QuerySet[OutboxItem]) -> None:
    """Tell the age of hand-overs whose codes the peer has redeemed. Call this in the transaction
    that marks them as done, before they are marked."""
    if not telemetry.is_on():
        return
    now = timezone.now()
    for peer, created_at in handovers.values_list("peer__slug", "created_at"):
        age = (now - created_at).total_seconds()
        on_commit(
            partial(telemetry.observe, Duration.DELIVERY_AGE, age, peer=peer, kind="handover")
        )


def count_failure(item: QueueItem) -> None:
    """Count that ``item`` has failed and is not tried again."""
    if telemetry.is_on():
        telemetry.count(
            Count.DELIVERY_FAILURES, peer=_slug(item), kind=_kind(item), reason=item.reason
        )


def result_name(result: Result) -> str:
    """Return the word for a result: ``done``, ``accepted``, ``retry``, ``failed`` or
    ``cancelled``."""
    return "done" if isinstance(result, Recorded) else type(result).__name__.lower()


def _kind(item: QueueItem) -> str:
    if isinstance(item, OutboxItem):
        return str(item.kind)
    return "redemption" if isinstance(item, InboxItem) else telemetry.UNKNOWN


def _slug(item: QueueItem) -> str:
    try:
        slug: str = item.peer.slug  # type: ignore[attr-defined]
    except ObjectDoesNotExist:  # Somebody has deleted the peer.
        return telemetry.UNKNOWN
    return slug
