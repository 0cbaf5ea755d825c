"""Does what is due for the pairings: registrations to send again, the test of a new peer, a new
secret, and the end of what has expired or was ended. The dispatchers and the command
``reciprocal_deliver`` call it, so a pairing goes on although a process was killed."""

import logging
from datetime import datetime
from typing import Any

from django.db.models import Min, Q
from django.db.models.functions import Now
from django.utils import timezone

from ..core.database import atomic, log_exception, tried_again
from ..exceptions import DecryptionError, PeerError
from ..models import Pairing, Peer
from ..peers import connection_check, registration_access
from ..secret import Secret
from . import inviting, renewing, sending

logger = logging.getLogger("reciprocal_oauth.pairing")

State, Task = Pairing.State, Pairing.Task
#: The pairings that no process has reserved.
_FREE = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
#: How many pairings one call works on.
_AT_ONCE = 50


def next_due_at() -> datetime | None:
    """Return when the next pairing is due; ``None`` if none is. One that a process has reserved is
    due when that ends: the process may have been killed."""
    reserved = Q(lease_until__gte=Now(), next_attempt_at__isnull=False)
    found: dict[str, Any] = Pairing.objects.aggregate(
        at=Min("next_attempt_at", filter=_FREE), reserved=Min("lease_until", filter=reserved)
    )
    return min((at for at in found.values() if at is not None), default=None)


def run() -> int:
    """Work on the pairings that are due. Return how many there were."""
    due = Pairing.objects.filter(_FREE, next_attempt_at__lte=timezone.now())
    due = due.order_by("next_attempt_at")
    keys = list(due.values_list("pk", flat=True)[:_AT_ONCE])
    for pk in keys:
        pairing = Pairing.objects.filter(pk=pk).first()
        if pairing is None:
            continue
        try:
            attempt(pairing)
        except Exception:
            log_exception(logger, "%s could not go on", pairing)
    return len(keys)


def attempt(pairing: Pairing) -> None:
    """Do what is due for one pairing. ``pairing`` is read again."""
    if pairing.state in Pairing.TO_SEND and pairing.expires_at > timezone.now():
        sending.send(pairing)
    elif pairing.task == Task.TEST:
        test(pairing)
    elif pairing.task in (Task.ROTATE, Task.END):
        renewing.attempt(pairing)
    else:
        _expire(pairing)
    if Pairing.objects.filter(pk=pairing.pk).exists():
        pairing.refresh_from_db()


def test(pairing: Pairing) -> None:
    """Test the connection with the new peer, and store the findings.

    Ask the other site first how far it is. It may not have stored our registration yet, and then it
    would refuse our credentials. Asking with the registration access token also tells it that this
    site has got everything.
    """
    claimed = sending.claim(pairing, Q(task=Task.TEST))
    if claimed is None:
        return
    if claimed.peer_id is None:  # Somebody has deleted it.
        _store_findings(claimed, [])
        return
    try:
        # At a site that knows only RFC 7591, an administrator has registered this site by hand.
        found = registration_access.read(claimed) if claimed.our_management_uri else None
        if found is not None and found.metadata.get("reciprocal_state") == "waiting":
            raise PeerError("The other site has not completed the pairing yet.")
    except DecryptionError:
        logger.error("%s: its token cannot be read with the keys of this site", claimed)
    except PeerError as error:
        if claimed.expires_at > timezone.now():
            sending.postpone(claimed, error)
            return
    peer = Peer.objects.select_related("application").get(pk=claimed.peer_id)
    findings = [finding.as_dict() for finding in connection_check.run(peer)]
    _store_findings(claimed, findings)


@tried_again
def _store_findings(claimed: Pairing, findings: list[dict[str, str]]) -> None:
    rows = Pairing.objects.filter(pk=claimed.pk, lease_owner=claimed.lease_owner)
    rows.filter(task=Task.TEST).update(
        task=Task.NONE,
        findings=findings,
        attempts=0,
        last_error="",
        lease_until=None,
        next_attempt_at=claimed.expires_at,
    )


@tried_again
def _expire(pairing: Pairing) -> None:
    """End a pairing that took too long. Of a complete one, delete the response that was kept for a
    repeated request."""
    with atomic():
        row = Pairing.objects.select_for_update().get(pk=pairing.pk)
        if row.expires_at > timezone.now():
            row.next_attempt_at = row.expires_at
            row.save(update_fields=["next_attempt_at", "updated_at"])
        elif row.is_under_way:
            inviting.close(row, State.EXPIRED, row.last_error)
            logger.info("%s has expired", row)
        else:
            row.answer, row.next_attempt_at = Secret(""), None
            row.save(update_fields=["answer", "next_attempt_at", "updated_at"])
