"""Looks up the IP addresses of a peer's host, within a time limit, and checks each address."""

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

#: The highest number of look-ups that run at the same time. Each look-up runs in its own thread. If
#: a name server does not respond, the thread stays until the system's resolver ends the look-up,
#: because Python cannot stop a thread.
MAX_LOOKUPS = 32

Lookup = Future[list[Any]]

_lock = threading.Lock()
_running: dict[str, Lookup] = {}


def resolve(host: str, port: int) -> Sequence[str]:
    """Look up the addresses of ``host`` and check all of them.

    :raises AddressRefused: this site must not call one of the addresses. One such address is
        enough, because a host name with a public and a private address is regarded as an attack.
    :raises PeerUnreachable: the name does not resolve, the look-up takes longer than
        ``HTTP_CONNECT_TIMEOUT_SECONDS``, or ``MAX_LOOKUPS`` look-ups of other names already run.
    """
    addresses = look_up(host, port)
    for address in addresses:
        if not is_allowed(address):
            raise AddressRefused(f"{host} resolves to {address}, which this site does not call.")
    return addresses


def look_up(host: str, port: int) -> Sequence[str]:
    """Look up the addresses of ``host`` without a check. Use it only for a host that the settings
    name, such as the proxy.

    :raises PeerUnreachable: see :func:`resolve`.
    """
    limit = min(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS)
    try:
        found = _lookup(host, port).result(limit)
    except TimeoutError:
        raise PeerUnreachable(f"{host} does not resolve: no response in {limit:g} s.") from None
    except (OSError, UnicodeError) as error:
        reason = failures.describe_lookup(error)
        raise PeerUnreachable(f"{host} does not resolve: {reason}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _lookup(host: str, port: int) -> Lookup:
    """Start a look-up of ``host`` in a thread. If one already runs, return the running one.

    ``getaddrinfo`` has no time limit, and a name server that does not respond can block it for
    minutes. All callers that need the same name share one look-up. So such a name occupies only
    one thread, and look-ups of other names can still start.

    :raises PeerUnreachable: ``MAX_LOOKUPS`` look-ups of other names already run.
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
    except RuntimeError:  # No thread can be started, because the process has too many threads.
        _remove(host)
        raise
    return lookup


def _run(host: str, port: int, lookup: Lookup) -> None:
    # Remove the look-up from the running look-ups first, and set its result afterwards. In the
    # other order, a later caller could still find the finished look-up and get its old result.
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
    """Forget all look-ups in a child process after a fork, and replace the lock.

    The threads of the look-ups exist only in the parent process. One of these threads may have held
    the lock during the fork; in the child process, nothing would release this lock.
    """
    global _lock
    _lock = threading.Lock()
    _running.clear()


if hasattr(os, "register_at_fork"):  # On Windows, Python does not have this function.
    os.register_at_fork(after_in_child=_reset_after_fork)
