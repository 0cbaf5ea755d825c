"""Goes on with a pairing until it is complete or must wait, for the command ``reciprocal_pair``.

The command does what is due itself, so it also works if the site has no dispatcher.
"""

import time
from collections.abc import Callable

from django.utils import timezone

from reciprocal_oauth.models import Pairing
from reciprocal_oauth.pairing import due
from reciprocal_oauth.presentation import pairing_status
from reciprocal_oauth.presentation.pairing_status import Turn

#: How long, in seconds, to wait before the row is read again. The other site or a dispatcher of
#: this site may have changed it.
_PAUSE_SECONDS = 0.25

DONE, REFUSED, WAITS = 0, 1, 2


def go_on(
    pairing: Pairing, seconds: float, say: Callable[[str], None], *, at_once: bool = False
) -> None:
    """Do what is due for the pairing, and wait for the other site, for at most ``seconds`` seconds.
    ``pairing`` is read again.

    :param say: writes what the command waits for.
    :param at_once: whether the first attempt is made even if it is not due yet.
    """
    give_up = time.monotonic() + seconds
    if _is_due(pairing) or (at_once and pairing_status.turn_of(pairing) == Turn.THIS_SITE):
        due.attempt(pairing)
    if seconds and not _is_settled(pairing):
        say(f"{_waits_for(pairing)} for at most {seconds:g} s …")
    while not _is_settled(pairing) and (left := give_up - time.monotonic()) > 0:
        try:
            time.sleep(min(_PAUSE_SECONDS, left))
        except KeyboardInterrupt:
            # The user does not want to wait. The pairing goes on without this command.
            return
        pairing.refresh_from_db()
        if _is_due(pairing):
            due.attempt(pairing)


def _waits_for(pairing: Pairing) -> str:
    if pairing.state == Pairing.State.REGISTERED:
        # Mostly this takes a second or two. If an administrator there must confirm the pairing,
        # the result says so after the wait.
        return "Waiting for the other site to register here,"
    return f"{pairing_status.what_next(pairing)} Waiting"


def _is_settled(pairing: Pairing) -> bool:
    """Return whether waiting is of no use: nobody but an administrator of this site can go on."""
    return pairing_status.turn_of(pairing) in (Turn.ADMINISTRATOR, Turn.NOBODY)


def _is_due(pairing: Pairing) -> bool:
    at = pairing.next_attempt_at
    return at is not None and at <= timezone.now() and not _is_settled(pairing)


def exit_status(pairing: Pairing, wanted: Pairing.State) -> int:
    """Return the exit status that says how far the pairing is.

    :param wanted: the state that the command was to reach.
    """
    if pairing.state == wanted and not pairing.task:
        is_complete = wanted == Pairing.State.COMPLETE
        has_failed = is_complete and pairing_status.has_failed_test(pairing)
        return REFUSED if has_failed or pairing.last_error else DONE
    return REFUSED if _is_settled(pairing) and not _waits_here(pairing) else WAITS


def _waits_here(pairing: Pairing) -> bool:
    return pairing_status.turn_of(pairing) == Turn.ADMINISTRATOR
