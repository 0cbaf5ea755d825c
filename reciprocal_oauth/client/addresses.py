"""The network addresses of a peer: looked up once, within a time limit, and all checked."""

import os
import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

from ..conf import settings
from ..core.networks import is_allowed
from ..exceptions import AddressRefused, PeerUnreachable
from . import failures

#: Most host names that are looked up at the same time. A look-up that hangs keeps its thread until
#: the system's resolver ends it: Python cannot stop it.
MAX_LOOKUPS = 32

Lookup = Future[list[Any]]

_lock = threading.Lock()
_running: dict[str, Lookup] = {}


def resolve(host: str, port: int) -> Sequence[str]:
    """Look up the addresses of ``host`` and check all of them.

    :raises AddressRefused: this site never calls one of the addresses. One is enough: a name with
        a public and a private address is an attack, not a peer.
    :raises PeerUnreachable: the name does not resolve, or not in time (seconds:
        ``HTTP_CONNECT_TIMEOUT_SECONDS``).
    """
    limit = min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)
    try:
        found = _lookup(host, port).result(limit)
    except TimeoutError:
        raise PeerUnreachable(f"{host} does not resolve: no response in {limit:g} s.") from None
    except (OSError, UnicodeError) as error:
        reason = failures.describe_lookup(error)
        raise PeerUnreachable(f"{host} does not resolve: {reason}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_allowed(address):
            raise AddressRefused(f"{host} resolves to {address}, which this site does not call.")
    return addresses


def _lookup(host: str, port: int) -> Lookup:
    """Start a look-up of ``host`` in a thread, or join the one that already runs.

    ``getaddrinfo`` has no time limit, and a name server that does not respond can block it for
    minutes. Callers that share a look-up get the same result. So a name that hangs occupies one
    thread only, and the other peers can use the rest.
    """
    with _lock:
        if lookup := _running.get(host):
            return lookup
        if len(_running) >= MAX_LOOKUPS:
            raise PeerUnreachable(
                f"{host} was not looked up: {MAX_LOOKUPS} look-ups of other names still wait."
            )
        lookup = _running[host] = Future()
    try:
        threading.Thread(
            target=_run, args=(host, port, lookup), name=f"resolve-{host}", daemon=True
        ).start()
    except RuntimeError:  # The process has too many threads.
        _remove(host)
        raise
    return lookup


def _run(host: str, port: int, lookup: Lookup) -> None:
    # The look-up is removed before its result is set: a caller that comes later must start a new
    # look-up, not get this result.
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except BaseException as error:
        _remove(host)
        lookup.set_exception(error)
    else:
        _remove(host)
        lookup.set_result(found)


def _remove(host: str) -> None:
    with _lock:
        _running.pop(host, None)


def _reset_after_fork() -> None:
    """Forget all look-ups in a child process: it does not have their threads, and one of those
    threads may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):  # Windows does not fork.
    os.register_at_fork(after_in_child=_reset_after_fork)
