"""What the outbox and the inbox have in common: a row that a worker claims and carries through."""

from datetime import datetime
from typing import Any

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .binding import BindingField
from .peers import Peer
from .reasons import Reason


class QueueItem(BaseModel):
    """A piece of work that survives everything but the deletion of its row."""

    #: Whether the attempt before the one that it is claimed for was cut off. Not stored.
    was_interrupted = False

    class State(models.TextChoices):
        PENDING = "pending", _("waiting for its turn")
        CLAIMED = "claimed", _("being worked on")
        ACCEPTED = "accepted", _("taken by the other site, not used yet")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("no longer needed")

    #: States in which a worker looks at the row once ``next_attempt_at`` has come.
    WAITING_STATES = (State.PENDING, State.ACCEPTED)
    #: States in which nothing has been decided yet.
    LIVE_STATES = (State.PENDING, State.CLAIMED, State.ACCEPTED)

    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PENDING
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now, null=True)
    lease_owner = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    reason = models.CharField(
        _("why it was given up"), max_length=30, choices=Reason.choices, blank=True
    )
    #: For whom the token or code in this row is.
    bound_to = BindingField()
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        abstract = True
        indexes = (
            # What is due. Rows that have ended are not in its way: they have no next attempt.
            models.Index(fields=["next_attempt_at"], name="reciprocal_%(class)s_due"),
            # What is being worked on, for one peer or all, and what an administrator looks for.
            models.Index(fields=["state", "peer"], name="reciprocal_%(class)s_state"),
        )

    @property
    def why_unfinished(self) -> str:
        """The reason to give up with when no attempt is left."""
        return Reason.UNREACHABLE

    @classmethod
    def finishing(cls, state: "QueueItem.State", now: datetime, **values: Any) -> dict[str, Any]:
        """The column values with which a row ends in ``state``."""
        return {
            "state": state,
            "finished_at": now,
            "next_attempt_at": None,
            "lease_owner": None,
            "lease_until": None,
            "updated_at": now,
            **values,
        }


class ClaimGate(models.Model):
    """Locked for a moment by whoever claims rows of a peer, so that all workers together hold no
    more of them than they may.

    Apart from the peer itself: on MariaDB, every new row that points to a peer locks that one.
    """

    peer = models.OneToOneField(Peer, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return str(self.pk)
