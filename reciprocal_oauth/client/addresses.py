"""The addresses of a peer: resolve once, within a limit of time, check every one."""

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

#: Most names that are looked up at once. A look-up that hangs keeps its thread for as long as the
#: system's resolver likes, and there is no way to end it.
MAX_LOOKUPS = 32

Lookup = Future[list[Any]]

_lock = threading.Lock()
_under_way: dict[str, Lookup] = {}


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of ``host``, all of them checked.

    :raises AddressRefused: any of them is one that we never call. One bad address is enough: a
        name that resolves to a public and a private one is an attack, not a peer.
    :raises PeerUnreachable: the name does not resolve, or not in time (seconds:
        ``HTTP_CONNECT_TIMEOUT_SECONDS``).
    """
    limit = min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)
    try:
        found = _lookup(host, port).result(limit)
    except TimeoutError:
        raise PeerUnreachable(f"{host} does not resolve: no answer in {limit:g} s.") from None
    except (OSError, UnicodeError) as error:
        reason = failures.of_look_up(error)
        raise PeerUnreachable(f"{host} does not resolve: {reason}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for address in addresses:
        if not is_allowed(address):
            raise AddressRefused(f"{host} resolves to {address}, which is not called.")
    return addresses


def _lookup(host: str, port: int) -> Lookup:
    """The look-up of a name, in a thread of its own: ``getaddrinfo`` takes no limit of time, and a
    name server that does not answer can hold it for minutes.

    Who asks for a name that is being looked up waits for the same answer. So one name that hangs
    holds one thread, however often its peer is tried, and leaves the others to the other peers.
    """
    with _lock:
        if lookup := _under_way.get(host):
            return lookup
        if len(_under_way) >= MAX_LOOKUPS:
            raise PeerUnreachable(f"{host} was not looked up: {MAX_LOOKUPS} other names hang.")
        lookup = _under_way[host] = Future()
    try:
        threading.Thread(
            target=_ask, args=(host, port, lookup), name=f"resolve-{host}", daemon=True
        ).start()
    except RuntimeError:  # There are too many threads.
        _ended(host)
        raise
    return lookup


def _ask(host: str, port: int, lookup: Lookup) -> None:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except BaseException as error:
        _ended(host)
        lookup.set_exception(error)
    else:
        # In this order: who asks from now on gets an answer of then, not this one.
        _ended(host)
        lookup.set_result(found)


def _ended(host: str) -> None:
    with _lock:
        _under_way.pop(host, None)


def _forget() -> None:
    """In a child after a fork: the threads that look up have stayed behind, and one of them may
    have held the lock."""
    global _lock
    _lock = threading.Lock()
    _under_way.clear()


if hasattr(os, "register_at_fork"):  # Not on Windows, which does not fork.
    os.register_at_fork(after_in_child=_forget)
