"""Connects the parts of the app when Django starts.

These parts are the system checks, the removal of secrets from logs and error reports, the
extensions of django-oauth-toolkit (DOT), the handlers of the queues and the receivers of signals.
"""

from contextlib import suppress

from django.core.exceptions import ImproperlyConfigured
from django.core.signals import request_finished, request_started
from django.db.models.signals import post_save, pre_delete
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from . import signals
from .conf import settings
from .core import plugins, telemetry
from .core.retry_policy import RetryPolicy
from .delivery import chores, worker
from .delivery import receivers as delivery_receivers
from .links import receivers as link_receivers
from .mails import events as mail_events
from .mails import sending as mail_sending
from .models import InboxItem, Link, OutboxItem, Peer
from .pairing import due
from .pairing import receivers as pairing_receivers
from .party_a import send
from .party_b import redeem
from .peers import application, logos, reconfiguration
from .provider import composition
from .redaction import log_filter, sentry


def connect() -> None:
    """Connect all parts of the app. ``ReciprocalOAuthConfig.ready()`` calls this function once."""
    from . import checks  # noqa: F401  The import registers the system checks.
    from .checks import api as api_checks  # noqa: F401

    log_filter.install()
    sentry.install()
    composition.install()
    worker.register(
        OutboxItem,
        worker.QueueHandler(
            attempt=send.attempt,
            policy=lambda: RetryPolicy(settings.RETRY_SCHEDULE_SECONDS),
            final_values=send.final_values,
            on_failed=send.on_failed,
        ),
    )
    worker.register(
        InboxItem,
        worker.QueueHandler(
            attempt=redeem.attempt,
            policy=lambda: RetryPolicy(settings.REDEMPTION_SCHEDULE_SECONDS),
            final_values=lambda state: redeem.final_values(),
            on_failed=redeem.log_failed,
        ),
    )
    chores.register("pairing", chores.Chore(run=due.run, next_due_at=due.next_due_at))
    chores.register("logos", chores.Chore(run=logos.run, next_due_at=logos.next_due_at))
    chores.register(
        "mails", chores.Chore(run=mail_sending.run, next_due_at=mail_sending.next_due_at)
    )
    access_token, refresh_token = get_access_token_model(), get_refresh_token_model()
    for signal, receiver, sender in (
        (signals.access_granted, delivery_receivers.start_delivery, None),
        (signals.handover_received, delivery_receivers.start_delivery, None),
        (signals.link_ended, delivery_receivers.start_delivery, None),
        (signals.linked_both_ways, link_receivers.count_linked, None),
        (signals.connection_failed, link_receivers.count_failed_connection, None),
        (signals.link_ended, link_receivers.count_ended, None),
        (signals.delivery_failed, delivery_receivers.count_failure, None),
        (signals.direction_broken, link_receivers.on_direction_broken, None),
        (signals.linked_both_ways, link_receivers.on_linked_both_ways, None),
        (signals.linked_both_ways, mail_events.on_linked, None),
        (signals.linked_one_way, mail_events.on_linked, None),
        (signals.link_ended, mail_events.on_link_ended, None),
        (signals.direction_broken, mail_events.on_direction_broken, None),
        (post_save, reconfiguration.peer_saved, Peer),
        (post_save, application.peer_saved, Peer),
        (post_save, application.set_algorithm, Peer),
        (pre_delete, pairing_receivers.peer_deleted, Peer),
        (pre_delete, delivery_receivers.link_deleted, Link),
        (pre_delete, link_receivers.on_token_deleted, access_token),
        (pre_delete, link_receivers.on_token_deleted, refresh_token),
        (post_save, link_receivers.on_refresh_token_saved, refresh_token),
        (request_started, delivery_receivers.request_starts, None),
        (request_finished, delivery_receivers.request_is_over, None),
    ):
        signal.connect(receiver, sender)
    telemetry.install()
    with suppress(ImproperlyConfigured):  # A system check reports a wrong setting.
        if settings.DISPATCHER == "celery":
            # Import the dispatcher now, because its module defines the tasks. A Celery worker must
            # know the tasks, and nothing else in the worker imports this module.
            plugins.dispatcher_class("celery")
