"""System check of the peers, which are rows in the database."""

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from ..compat import oauth2_settings
from ..core import site_address
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


@register(Tags.database)
def check_issuer(*, databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that this site has a fixed issuer if a peer authenticates here with a key: the peer
    signs for this issuer (RFC 7523, section 3).

    :param databases: the databases that checks may use.
    """
    from ..models import Peer, PeerAuthentication

    alias = database()
    if alias not in (databases or ()) or site_address.configured_issuer():
        return []
    method = PeerAuthentication.PRIVATE_KEY_JWT
    try:
        signing = Peer.objects.using(alias).filter(authenticates_here_by=method)
        slugs = sorted(signing.values_list("slug", flat=True))
    except DatabaseError:
        return []  # The tables are not created yet.
    if not slugs:
        return []
    return [
        Error(
            f"This site refuses everything that these peers sign: {', '.join(slugs)}. They sign "
            "for the issuer of this site, and it is not set.",
            hint='Set OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] to the issuer that the peers know.',
            id=Id.KEYS_WITHOUT_ISSUER,
        )
    ]
