"""Connects the parts when Django starts: checks, log filter, DOT, the queues' steps, our own
receivers."""

import logging
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_started
from django.db.models.signals import pre_delete

from . import lifecycle, log_filter, signals
from .conf import settings
from .delivery import worker
from .delivery.dispatchers import Dispatcher, get_dispatcher
from .delivery.retry import RetryPolicy
from .models import InboxItem, Link, OutboxItem, Peer
from .party_a import send
from .party_b import redeem
from .provider import composition
from .transactions import on_commit

logger = logging.getLogger("reciprocal_oauth.delivery")


def connect() -> None:
    """Called once, by the app's ``ready()``."""
    from . import checks  # noqa: F401  Registers the system checks.

    log_filter.install()
    composition.install()
    worker.register(
        OutboxItem,
        worker.Step(
            attempt=send.attempt,
            policy=lambda: RetryPolicy(settings.RETRY_SCHEDULE_SECONDS),
            finished=send.finished_values,
            given_up=send.given_up,
        ),
    )
    worker.register(
        InboxItem,
        worker.Step(
            attempt=redeem.attempt,
            policy=lambda: RetryPolicy(redeem.SCHEDULE_SECONDS),
            finished=lambda state: redeem.finished_values(),
            given_up=redeem.given_up,
        ),
    )
    for signal in (signals.access_granted, signals.handover_received, signals.link_ended):
        signal.connect(start_delivery, dispatch_uid="reciprocal_oauth.start_delivery")
    pre_delete.connect(link_deleted, sender=Link, dispatch_uid="reciprocal_oauth.link_deleted")
    request_started.connect(first_request, dispatch_uid="reciprocal_oauth.first_request")


def start_delivery(sender: type, **arguments: Any) -> None:
    """Our own receiver: a row is waiting, begin with it. The signals come after commit."""
    _wake(arguments["link"])


def first_request(sender: type, **arguments: Any) -> None:
    """A request is served in this process: rows left over from before can be worked on."""
    if dispatcher := _dispatcher():
        dispatcher.request_started()


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """A link goes: by hand, with its user, or with its peer, which then cannot be told."""
    with_its_peer = getattr(origin, "model", type(origin)) is Peer
    if lifecycle.before_deletion(instance, revoke_there=not with_its_peer):
        on_commit(_wake)


def _wake(link: Link | None = None) -> None:
    if dispatcher := _dispatcher():
        dispatcher.wake(link)


def _dispatcher() -> Dispatcher | None:
    try:
        return get_dispatcher()
    except ImproperlyConfigured:
        # A system check says so at start. Nothing is lost: the rows wait.
        logger.exception("Nothing is delivered")
        return None
