"""System check of the peers, which are rows in the database."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError

from ..compat import oauth2_settings
from ..core.database import database
from .guards import needs_settings
from .ids import Id


@register(Tags.database)
@needs_settings("DIALECTS")
def check_grace(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that a replaced refresh token of a peer still works as long as its dialect needs it.

    The check runs with ``check --database`` and before ``migrate``.

    :param databases: the databases that checks may use.
    """
    from ..models import Peer
    from ..peers.save_warnings import missing_grace

    alias = database()
    if alias not in (databases or ()):
        return []
    try:
        in_use = Peer.objects.using(alias).filter(enabled=True).order_by()
        names = list(in_use.values_list("dialect", flat=True).distinct())
    except DatabaseError:
        return []  # The tables are not created yet.
    wanted = {name: seconds for name in sorted(names) if (seconds := missing_grace(name))}
    if not wanted:
        return []
    present = oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS
    return [
        Warning(
            f"A refresh token that was replaced works for {present} more seconds. Peers with the "
            f"dialect {', '.join(wanted)} can send it later than that, for example when the "
            "response was lost. Their connection then ends.",
            hint='Set OAUTH2_PROVIDER["REFRESH_TOKEN_GRACE_PERIOD_SECONDS"] = '
            f"{max(wanted.values())} or more.",
            id=Id.SHORT_GRACE,
        )
    ]
