"""Connects the parts when Django starts: checks, log filter, DOT, the queues' steps, our own
receivers."""

import logging
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_save, pre_delete
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from . import signals
from .conf import settings
from .core import plugins
from .core.database import log_exception, on_commit, request_begins, request_ends
from .core.retry_policy import RetryPolicy
from .delivery import dispatchers, worker
from .links import lifecycle, lost_access, superseded
from .models import InboxItem, Link, OutboxItem, Peer
from .party_a import send
from .party_b import redeem
from .peers import reconfiguration
from .provider import composition
from .redaction import log_filter, sentry

logger = logging.getLogger("reciprocal_oauth")


def connect() -> None:
    """Called once, by the app's ``ready()``."""
    from . import checks  # noqa: F401  Registers the system checks.
    from .checks import api as api_checks  # noqa: F401

    log_filter.install()
    sentry.install()
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
            policy=lambda: RetryPolicy(settings.REDEMPTION_SCHEDULE_SECONDS),
            finished=lambda state: redeem.finished_values(),
            given_up=redeem.given_up,
        ),
    )
    for signal in (signals.access_granted, signals.handover_received, signals.link_ended):
        signal.connect(start_delivery, dispatch_uid="reciprocal_oauth.start_delivery")
    signals.direction_broken.connect(
        direction_is_broken, dispatch_uid="reciprocal_oauth.direction_is_broken"
    )
    signals.linked_both_ways.connect(link_works, dispatch_uid="reciprocal_oauth.link_works")
    post_save.connect(peer_saved, sender=Peer, dispatch_uid="reciprocal_oauth.peer_saved")
    pre_delete.connect(link_deleted, sender=Link, dispatch_uid="reciprocal_oauth.link_deleted")
    for model in (get_access_token_model(), get_refresh_token_model()):
        pre_delete.connect(
            token_deleted, sender=model, dispatch_uid=f"reciprocal_oauth.{model.__name__}_deleted"
        )
    post_save.connect(
        refresh_token_saved,
        sender=get_refresh_token_model(),
        dispatch_uid="reciprocal_oauth.refresh_token_saved",
    )
    request_started.connect(request_starts, dispatch_uid="reciprocal_oauth.request_starts")
    request_finished.connect(request_is_over, dispatch_uid="reciprocal_oauth.request_is_over")
    with suppress(ImproperlyConfigured):  # A system check says so.
        if settings.DISPATCHER == "celery":
            # In a worker nobody asks for the dispatcher, but its tasks must be known there.
            plugins.dispatcher_class("celery")


def harmless(receiver: Callable[..., None]) -> Callable[..., None]:
    """A receiver that fails is logged. It runs in the middle of what DOT or the site does, which
    must not fail for it."""

    @wraps(receiver)
    def run(*args: Any, **arguments: Any) -> None:
        try:
            receiver(*args, **arguments)
        except Exception:
            log_exception(
                logger, "%s failed; the next reciprocal_prune looks again", receiver.__name__
            )

    return run


def start_delivery(sender: type, **arguments: Any) -> None:
    """Our own receiver: a row is waiting, begin with it. The signals come after commit."""
    dispatchers.wake(arguments["link"])


@harmless
def direction_is_broken(sender: type, link: Link, direction: str, **arguments: Any) -> None:
    """A direction of a link no longer works. There may be a newer link that does."""
    if direction == lifecycle.OUTGOING:
        superseded.end_if_superseded(link)


@harmless
def link_works(sender: type, link: Link, **arguments: Any) -> None:
    """Both directions of a link work. There may be an older one that does not."""
    superseded.end_older(link)


def request_starts(sender: type, **arguments: Any) -> None:
    """A request is served in this process: rows left over from before can be worked on."""
    request_begins()
    dispatchers.request_started()


def request_is_over(sender: type, **arguments: Any) -> None:
    """What follows in this thread is no web request, unless another one begins."""
    request_ends()


def peer_saved(sender: type, instance: Peer, raw: bool, **arguments: Any) -> None:
    """A peer was saved by an administrator or by code: it may have moved."""
    if instance.moves and not raw:
        reconfiguration.moved(instance, instance.moves)


def link_deleted(sender: type, instance: Link, origin: Any = None, **arguments: Any) -> None:
    """A link goes: by hand, with its user, or with its peer, which then cannot be told."""
    with_its_peer = getattr(origin, "model", type(origin)) is Peer
    # This one may stop the deletion: the peer would keep tokens that nothing limits any more.
    if lifecycle.before_deletion(instance, revoke_there=not with_its_peer):
        on_commit(dispatchers.wake)


@harmless
def token_deleted(sender: type, instance: Any, **arguments: Any) -> None:
    """A token of DOT's goes, of a peer or of another client: by a page of DOT's, the admin, a
    logout, ``cleartokens``, or with its user."""
    lost_access.token_goes(instance)


@harmless
def refresh_token_saved(sender: type, instance: Any, raw: bool, **arguments: Any) -> None:
    """DOT's ``revoke()`` keeps the row of a refresh token, with the time."""
    if instance.revoked is not None and not raw:
        lost_access.token_goes(instance)
