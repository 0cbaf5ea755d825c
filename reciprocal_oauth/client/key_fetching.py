"""Fetches the public keys of a peer, and keeps them in the database (RFC 7517, section 5).

::

    GET /o/reciprocal/jwks.json HTTP/1.1
    Host: peer.example

A key set is used for an hour without a new request. If an assertion names an unknown key, the set
is fetched again, but only once in a minute for each peer: otherwise everybody could make this site
send requests to the peer. If a fetch fails, the last good set is used for a day.
"""

import logging
import threading
import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import timezone

from ..core.database import is_in_transaction, release_connections, tried_again
from ..exceptions import BadResponse, PeerError
from ..keys import public_keys
from ..keys.public_keys import PublicKey
from ..models import Peer
from ..models.site_keys import PeerKeySet
from . import http

logger = logging.getLogger("reciprocal_oauth.client")

#: How long a key set is used before it is fetched again.
FRESH = timedelta(hours=1)
#: How long a key set is used if every further fetch fails.
GOOD = timedelta(hours=24)
#: The shortest time between two fetches for one peer.
PAUSE = timedelta(minutes=1)
#: How long and how often this process waits for the fetch of another process.
_WAITS, _WAIT_SECONDS = 10, 0.2
#: A fetch that began longer ago, and that has stored nothing, has failed.
_SOON = timedelta(seconds=5)

#: If threads of this process need the keys of the same peer and there are none, one thread fetches
#: them, and the others wait.
_locks = tuple(threading.Lock() for _ in range(16))


@dataclass(frozen=True)
class KnownKeys:
    """What this site knows about the keys of a peer.

    :ivar keys: the keys; an empty list if no fetch has succeeded for a day.
    :ivar fetched_at: when they were fetched; ``None`` if there are none.
    :ivar is_new: whether they were fetched just now, so that the peer has no other keys.
    """

    keys: list[PublicKey]
    fetched_at: datetime | None = None
    is_new: bool = False


def known_keys(peer: Peer) -> KnownKeys:
    """Return the keys of ``peer``. Fetch them first if the stored ones are older than an hour."""
    began_at = timezone.now()
    known = _stored(peer)
    if known.fetched_at and known.fetched_at > began_at - FRESH:
        return known
    lock = _lock_of(peer)
    # If there are usable keys, nobody waits for the thread that fetches new ones.
    if not lock.acquire(blocking=not known.keys):
        return known
    try:
        if _stored(peer).fetched_at == known.fetched_at:
            _fetch(peer, waits=not known.keys)
    finally:
        lock.release()
    return _stored(peer, began_at)


def newer_keys(peer: Peer, seen: KnownKeys) -> KnownKeys | None:
    """Return the keys of ``peer`` after a new fetch, because an assertion names a key that is not
    in ``seen``.

    :returns: the keys; ``None`` if the last fetch has failed or was less than a minute ago, so that
        this site cannot know whether the peer has such a key.
    """
    if seen.is_new:
        return seen
    began_at = timezone.now()
    with _lock_of(peer):
        if _stored(peer).fetched_at == seen.fetched_at:
            _fetch(peer, waits=True)
    found = _stored(peer, began_at)
    return found if found.keys and found.fetched_at != seen.fetched_at else None


def _lock_of(peer: Peer) -> threading.Lock:
    return _locks[peer.pk % len(_locks)]


def _stored(peer: Peer, began_at: datetime | None = None) -> KnownKeys:
    """Return the stored keys of ``peer``, if they are not older than a day.

    :param began_at: keys that were fetched at this time or later are new.
    """
    row = PeerKeySet.objects.filter(peer=peer).first()
    if row is None or row.uri != peer.jwks_uri or row.fetched_at is None:
        return KnownKeys([])
    if row.fetched_at <= timezone.now() - GOOD:
        return KnownKeys([])
    is_new = began_at is not None and row.fetched_at >= began_at
    return KnownKeys(public_keys.read(row.keys), row.fetched_at, is_new)


def _fetch(peer: Peer, *, waits: bool) -> None:
    """Fetch and store the keys of ``peer``, unless another thread or process has begun to do so in
    the last minute. If the fetch fails, log why and keep the stored keys.

    :param waits: whether to wait if another process is fetching the keys now.
    """
    uri, began_at = peer.jwks_uri, timezone.now()
    if is_in_transaction():
        # The other site can be slow, and the transaction would keep rows locked meanwhile.
        logger.warning("The keys of peer %s are not fetched within a transaction", peer.slug)
        return
    if not uri:
        return
    if not _claim(peer, uri, began_at):
        if waits:
            _wait_for_another_process(peer)
        return
    try:
        keys = _fetched(uri)
    except PeerError as error:
        logger.warning("The keys of peer %s cannot be read: %s", peer.slug, error)
        return
    rows = PeerKeySet.objects.filter(peer=peer, uri=uri, tried_at=began_at)
    rows.update(uri=uri, keys=public_keys.as_json(keys), fetched_at=began_at)


@tried_again
def _claim(peer: Peer, uri: str, now: datetime) -> bool:
    """Return whether the caller may fetch the keys of ``peer`` now. One statement decides, so that
    of many threads and processes only one fetches them."""
    PeerKeySet.objects.get_or_create(peer=peer, defaults={"uri": uri})
    rows = PeerKeySet.objects.filter(peer=peer)
    # The keys at another address are not used any more.
    rows.exclude(uri=uri).update(uri=uri, keys="", fetched_at=None, tried_at=None)
    free = Q(tried_at__isnull=True) | Q(tried_at__lte=now - PAUSE)
    return bool(rows.filter(free, uri=uri).update(tried_at=now))


def _wait_for_another_process(peer: Peer) -> None:
    """If another process is perhaps fetching the keys of ``peer`` now, wait for it, but not for
    long."""
    for _time in range(_WAITS):
        row = PeerKeySet.objects.filter(peer=peer).first()
        if row is None or row.tried_at is None or row.tried_at == row.fetched_at:
            return  # The last fetch is over.
        if row.tried_at < timezone.now() - _SOON:
            return  # It has failed.
        release_connections()
        time.sleep(_WAIT_SECONDS)


def _fetched(uri: str) -> list[PublicKey]:
    """Return the keys at ``uri``.

    :raises BadResponse: the response is not a usable key set.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    accept = "application/jwk-set+json, application/json"
    response = http.call("GET", uri, headers={"Accept": accept})
    if response.status != 200:
        raise BadResponse(f"HTTP {response.status}")
    return public_keys.read(response.body)
