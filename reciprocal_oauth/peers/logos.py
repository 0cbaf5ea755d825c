"""Fetches the logos of peers and stores them, so that the browsers of people never call a peer to
show its logo.

A logo is fetched soon after its address was saved, and once a week after that. If it cannot be
fetched, the image that this site has stays, and the error is shown to administrators.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from ..client import image
from ..core.database import release_connections, tried_again
from ..exceptions import PeerError
from ..models import Peer, PeerLogo

logger = logging.getLogger("reciprocal_oauth.peers")

#: After this time, a logo is fetched again.
REFRESH_AFTER = timedelta(days=7)
#: After this time, a logo that could not be fetched is asked for again.
RETRY_AFTER = timedelta(days=1)
_COLUMNS = ("pk", "logo_uri", "logo__uri", "logo__fetched_at", "logo__media_type", "logo__error")


def run() -> int:
    """Fetch the logos that are due. Return how many there were."""
    due = [pk for pk, at in _due_times() if at <= timezone.now()]
    for pk in due:
        if (peer := Peer.objects.filter(pk=pk).first()) is not None:
            fetch(peer, only_if_due=True)
    return len(due)


def next_due_at() -> datetime | None:
    """Return when the next logo is due; ``None`` if no peer has a logo."""
    return min((at for _pk, at in _due_times()), default=None)


def _due_times() -> Iterator[tuple[Any, datetime]]:
    # A disabled peer is not called.
    peers = Peer.objects.filter(enabled=True).exclude(logo_uri="")
    for pk, *values in peers.values_list(*_COLUMNS):
        yield pk, _due_at(*values)


def _due_at(
    address: str,
    fetched: str | None,
    at: datetime | None,
    media_type: str | None,
    error: str | None,
) -> datetime:
    if at is None or fetched != address:
        return timezone.now()
    return at + (RETRY_AFTER if error or not media_type else REFRESH_AFTER)


def fetch(peer: Peer, *, only_if_due: bool = False) -> PeerLogo | None:
    """Fetch the logo of ``peer`` and store it, or why it cannot be fetched. Return the stored logo;
    ``None`` if the peer has no logo, or if another process fetches it.

    :param only_if_due: whether to do nothing if the logo is not due any more.
    """
    logo = _claim(peer, only_if_due=only_if_due)
    if logo is None:
        return None
    release_connections()
    try:
        found = image.fetch(peer.logo_uri)
    except PeerError as error:
        logger.warning(
            "The logo of peer %s could not be fetched: %s",
            peer.slug,
            error,
            extra={"action": "logo_refused"},
        )
        _store(logo, error=str(error)[:300])
    else:
        # The time is part of the address at this site. With the time of the attempt, a browser
        # that asked meanwhile would keep the former image under the new address.
        _store(
            logo,
            media_type=found.media_type,
            content=found.content,
            fetched_at=timezone.now(),
            error="",
        )
    return PeerLogo.objects.filter(pk=logo.pk).first()


@tried_again
def _claim(peer: Peer, *, only_if_due: bool) -> PeerLogo | None:
    """Set the time of the attempt, so that no other process makes the same one."""
    if not peer.logo_uri:
        return None
    now = timezone.now()
    # The error stays if the process is killed meanwhile, so that the next attempt is soon.
    values = {"uri": peer.logo_uri, "fetched_at": now, "error": "The attempt did not end."}
    logo, is_new = PeerLogo.objects.get_or_create(peer=peer, defaults=values)
    if is_new:
        return logo
    due_at = _due_at(peer.logo_uri, logo.uri, logo.fetched_at, logo.media_type, logo.error)
    if only_if_due and due_at > timezone.now():
        return None
    seen = PeerLogo.objects.filter(pk=logo.pk, uri=logo.uri, fetched_at=logo.fetched_at)
    if not seen.update(**values):
        return None
    logo.uri, logo.fetched_at = peer.logo_uri, now
    return logo


@tried_again
def _store(logo: PeerLogo, **values: Any) -> None:
    PeerLogo.objects.filter(pk=logo.pk, uri=logo.uri).update(**values)
