"""System check of the workers, which give signs of life in the database."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from ..core.database import database
from .guards import needs_settings
from .ids import Id


@register(Tags.database, deploy=True)
@needs_settings("DISPATCHER", "WORKER_MISSING_SECONDS")
def check_workers(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn if this site has peers or pairings, and no worker runs. The check runs with
    ``check --deploy --database``, and not before ``migrate``: at a new site, no worker runs yet.

    :param databases: the databases that checks may use.
    """
    from ..status.workers import present_absence

    if database() not in (databases or ()):
        return []
    try:
        missing = present_absence()
    except DatabaseError:
        return []  # The tables are not created yet.
    if missing is None:
        return []
    return [Warning(missing.text, hint=missing.remedy, id=Id.NO_WORKER)]
