"""Finds out whether this site has a worker. Without one, codes are neither sent nor redeemed."""

from django.utils.translation import gettext

from ...conf import settings
from ...core.local_time import in_words
from ...models.heartbeats import is_worker_missing, workers_last_seen
from ..findings import Result, State


def check() -> Result:
    """Return the result of the check that a worker runs.

    The threads of a web process (the dispatcher ``thread``) start with its first request. So on a
    site that has had none, it is not known whether they will.
    """
    if settings.DISPATCHER == "eager":
        return State.NOT_NEEDED, gettext("DISPATCHER is “eager”, so no worker is needed.")
    seen = workers_last_seen()
    if not is_worker_missing(seen):
        return State.PASSED, gettext("A worker runs.")
    if seen is None and settings.DISPATCHER == "thread":
        return State.UNKNOWN, gettext(
            "No worker has run yet. DISPATCHER is “thread”, so it starts with the first request to "
            "the web server."
        )
    if seen is None:
        return State.FAILED, gettext(
            "No worker has ever run, so codes are neither sent nor redeemed."
        ) + (" " + _remedy())
    return State.FAILED, gettext(
        "No worker has run since %(time)s, so codes are neither sent nor redeemed."
    ) % {"time": in_words(seen, "DATETIME_FORMAT")} + (" " + _remedy())


def _remedy() -> str:
    if settings.DISPATCHER == "thread":
        return gettext("Start the web server, or run: manage.py reciprocal_deliver --loop 5")
    if settings.DISPATCHER == "none":
        return gettext("Run: manage.py reciprocal_deliver --loop 5")
    text = gettext(
        "Start the workers of DISPATCHER %(dispatcher)s, or run: manage.py reciprocal_deliver "
        "--loop 5"
    )
    return text % {"dispatcher": settings.DISPATCHER}
