"""The base class of the rows of the outbox and the inbox. Each row is a delivery. A worker claims
the row (no other worker then takes it) and carries out the delivery."""

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
    """A delivery in the outbox or the inbox. The row is kept when a process crashes or restarts."""

    #: ``True`` if a process crashed or stopped during the previous attempt of this delivery. The
    #: worker sets this attribute when it claims the row. It is not stored in the database.
    was_interrupted = False

    class State(models.TextChoices):
        """The state of a delivery."""

        PENDING = "pending", _("waiting for its turn")
        CLAIMED = "claimed", _("being delivered")
        ACCEPTED = "accepted", _("accepted by the other site, not used yet")
        DONE = "done", _("done")
        FAILED = "failed", _("failed")
        CANCELLED = "cancelled", _("no longer needed")

    #: The states of a row that waits. A worker claims such a row (takes it for delivery) when the
    #: time ``next_attempt_at`` is reached.
    WAITING_STATES = (State.PENDING, State.ACCEPTED)
    #: The states of a row that is not finished.
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
    #: The token or code in this row belongs to this client ID of this site and to these origins of
    #: the peer.
    bound_to = BindingField()
    #: The position of this delivery in a trace (the header ``traceparent`` of W3C Trace Context).
    #: With it, the work of a worker belongs to the request that caused it. Empty without a trace.
    trace_parent = models.CharField(max_length=64, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)
    finished_at = models.DateTimeField(_("finished"), null=True, blank=True)

    class Meta:
        abstract = True
        indexes = (
            # This index finds the rows whose next attempt is due. Finished rows do not slow this
            # search down, because their ``next_attempt_at`` is null.
            models.Index(fields=["next_attempt_at"], name="reciprocal_%(class)s_due"),
            # This index finds the claimed rows of one peer or of all peers. The filters in the
            # Django admin use it too.
            models.Index(fields=["state", "peer"], name="reciprocal_%(class)s_state"),
        )

    @property
    def failure_reason(self) -> str:
        """Return the reason to store in this row if its last allowed attempt ended with a crash
        or an unexpected exception."""
        return Reason.UNREACHABLE

    @classmethod
    def final_values(cls, state: "QueueItem.State", now: datetime, **values: Any) -> dict[str, Any]:
        """Return the column values to store when a row is finished with the state ``state``.

        :param values: further column values to include.
        """
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
    """A row for each peer, used as a lock. A worker locks this row while it claims deliveries of
    the peer (takes them for itself), so that all workers together comply with the setting
    ``DELIVERIES_PER_PEER``.

    Workers do not lock the row of the model ``Peer`` itself. On MariaDB, an ``INSERT`` of a row
    that refers to a peer needs a lock on the row of the peer. So the ``INSERT`` would have to wait
    for the workers.
    """

    peer = models.OneToOneField(Peer, on_delete=models.CASCADE, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return str(self.pk)
