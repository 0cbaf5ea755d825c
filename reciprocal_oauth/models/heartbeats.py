"""The signs of life of the workers, which are the processes that deliver the rows of the queues."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from .base import BaseModel


class Heartbeat(BaseModel):
    """The last sign of life of the workers of one kind on one host."""

    class Kind(models.TextChoices):
        """What the worker is."""

        THREAD = "thread", _("threads of a web process")
        COMMAND = "command", _("the command reciprocal_deliver")
        CELERY = "celery", _("a Celery worker")
        TASKS = "tasks", _("a worker of django.tasks")
        OTHER = "other", _("a dispatcher of this site")

    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices)
    host = models.CharField(_("host"), max_length=255)
    seen_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")
        ordering = ["-seen_at"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "host"], name="reciprocal_heartbeat_once")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.host}"


def workers_last_seen() -> datetime | None:
    """Return when any worker was last seen; ``None`` if none has ever run."""
    newest: datetime | None = Heartbeat.objects.aggregate(newest=Max("seen_at"))["newest"]
    return newest


def is_worker_missing(last_seen: datetime | None) -> bool:
    """Return whether this site has no worker now, so that nothing is delivered. With the dispatcher
    ``eager``, a site needs no worker.

    :param last_seen: the result of :func:`workers_last_seen`.
    """
    if settings.DISPATCHER == "eager":
        return False
    longest = timedelta(seconds=settings.WORKER_MISSING_SECONDS)
    return last_seen is None or timezone.now() - last_seen > longest
