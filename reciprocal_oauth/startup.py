"""Connects the parts when Django starts: checks, redaction, django-oauth-toolkit, the steps of the
queues, the receivers of signals."""

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_save, pre_delete
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from . import signals
from .conf import settings
from .core import plugins
from .core.retry_policy import RetryPolicy
from .delivery import receivers as delivery_receivers
from .delivery import worker
from .links import receivers as link_receivers
from .models import InboxItem, Link, OutboxItem, Peer
from .party_a import send
from .party_b import redeem
from .peers import reconfiguration
from .provider import composition
from .redaction import log_filter, sentry


def connect() -> None:
    """Called once, by the app's ``ready()``."""
    from . import checks  # noqa: F401  Registers the system checks.
    from .checks import api as api_checks  # noqa: F401

    log_filter.install()
    sentry.install()
    composition.install()
    worker.register(
        OutboxItem,
        worker.QueueHandler(
            attempt=send.attempt,
            policy=lambda: RetryPolicy(settings.RETRY_SCHEDULE_SECONDS),
            final_values=send.finished_values,
            on_failed=send.given_up,
        ),
    )
    worker.register(
        InboxItem,
        worker.QueueHandler(
            attempt=redeem.attempt,
            policy=lambda: RetryPolicy(settings.REDEMPTION_SCHEDULE_SECONDS),
            final_values=lambda state: redeem.finished_values(),
            on_failed=redeem.given_up,
        ),
    )
    for signal in (signals.access_granted, signals.handover_received, signals.link_ended):
        signal.connect(
            delivery_receivers.start_delivery, dispatch_uid="reciprocal_oauth.start_delivery"
        )
    signals.direction_broken.connect(
        link_receivers.on_direction_broken, dispatch_uid="reciprocal_oauth.on_direction_broken"
    )
    signals.linked_both_ways.connect(
        link_receivers.on_linked_both_ways, dispatch_uid="reciprocal_oauth.on_linked_both_ways"
    )
    post_save.connect(
        reconfiguration.peer_saved, sender=Peer, dispatch_uid="reciprocal_oauth.peer_saved"
    )
    pre_delete.connect(
        delivery_receivers.link_deleted, sender=Link, dispatch_uid="reciprocal_oauth.link_deleted"
    )
    for model in (get_access_token_model(), get_refresh_token_model()):
        pre_delete.connect(
            link_receivers.on_token_deleted,
            sender=model,
            dispatch_uid=f"reciprocal_oauth.{model.__name__}_deleted",
        )
    post_save.connect(
        link_receivers.on_refresh_token_saved,
        sender=get_refresh_token_model(),
        dispatch_uid="reciprocal_oauth.on_refresh_token_saved",
    )
    request_started.connect(
        delivery_receivers.request_starts, dispatch_uid="reciprocal_oauth.request_starts"
    )
    request_finished.connect(
        delivery_receivers.request_is_over, dispatch_uid="reciprocal_oauth.request_is_over"
    )
    with suppress(ImproperlyConfigured):  # A system check says so.
        if settings.DISPATCHER == "celery":
            # In a worker nobody asks for the dispatcher, but its tasks must be known there.
            plugins.dispatcher_class("celery")
