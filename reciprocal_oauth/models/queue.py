"""The base of the outbox and the inbox: rows that a worker claims and delivers."""

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
    """A delivery in one of the two queues. It is kept across crashes and restarts."""

    #: Whether the process stopped during the attempt before this one. Not stored.
    was_interrupted = False

    class State(models.TextChoices):
        """The state of a delivery."""

        PENDING = "pending", _("waiting for its turn")
        CLAIMED = "claimed", _("being delivered")
        ACCEPTED = "accepted", _("accepted by the other site, not used yet")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("no longer needed")

    #: States in which a worker claims the row when ``next_attempt_at`` is reached.
    WAITING_STATES = (State.PENDING, State.ACCEPTED)
    #: States in which the row is not finished.
    LIVE_STATES = (State.PENDING, State.CLAIMED, State.ACCEPTED)

    state = models.CharField(
        _("state"), max_length=10, choices=State.choices, default=State.PENDING
    )
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt"), default=timezone.now, null=True)
    lease_owner = models.CharField(max_length=64, null=True, blank=True, editable=False)  # noqa: DJ001
    lease_until = models.DateTimeField(null=True, blank=True, editable=False)
    last_error = models.CharField(_("last error"), max_length=500, blank=True)
    reason = models.CharField(_("why it failed"), max_length=30, choices=Reason.choices, blank=True)
    #: The client ID and the addresses that the token or code in this row belongs to.
    bound_to = BindingField()
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        abstract = True
        indexes = (
            # For rows that are due. Finished rows have no next attempt, so the index skips them.
            models.Index(fields=["next_attempt_at"], name="reciprocal_%(class)s_due"),
            # For claimed rows, of one peer or of all, and for the filters of the admin.
            models.Index(fields=["state", "peer"], name="reciprocal_%(class)s_state"),
        )

    @property
    def failure_reason(self) -> str:
        """The reason to store when the last attempt has failed."""
        return Reason.UNREACHABLE

    @classmethod
    def final_values(cls, state: "QueueItem.State", now: datetime, **values: Any) -> dict[str, Any]:
        """The column values of a row that is finished in ``state``."""
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
    """A row that a worker locks while it claims deliveries of a peer, so that all workers together
    do not exceed the limit for that peer.

    It is not the row of the peer: on MariaDB, every new row that refers to a peer locks the row of
    the peer.
    """

    peer = models.OneToOneField(Peer, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return str(self.pk)
