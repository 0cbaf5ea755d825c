"""Tries several addresses of a peer and keeps the connection that is ready first.

This method is called "Happy Eyeballs". IPv6 and IPv4 addresses alternate in the order in which they
are tried (RFC 8305, section 4). If an address does not respond within a quarter of a second, the
next address is tried too, while the first attempt continues (RFC 8305, section 5). So the peer is
reachable even if one of its addresses drops all packets.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

#: If an address has not responded after this many seconds, the next address is tried too. RFC 8305,
#: section 5, recommends this value.
ATTEMPT_DELAY_SECONDS = 0.25


def connect(
    addresses: Sequence[str], port: int, *, limit: float, options: Iterable[tuple[Any, ...]] = ()
) -> socket.socket:
    """Try ``addresses`` and return a socket that is connected to the address that responds first.

    :param limit: the time limit for all addresses together, in seconds. The returned socket gets
        the same value as its timeout.
    :param options: socket options. Each option is a tuple of arguments for ``setsockopt()``.
    :raises TimeoutError: no address responded within ``limit``.
    :raises OSError: no address accepted a connection. The error is that of the last failed attempt.
    """
    end = time.monotonic() + limit
    with selectors.DefaultSelector() as attempts:
        try:
            connected = _first_connected(_interleaved(addresses), port, attempts, end, options)
            attempts.unregister(connected)
        finally:
            for key in list(attempts.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    connected.settimeout(limit)
    return connected


def _first_connected(
    addresses: list[str],
    port: int,
    attempts: selectors.BaseSelector,
    end: float,
    options: Iterable[tuple[Any, ...]],
) -> socket.socket:
    """Try the addresses and return the first socket that is connected.

    :param attempts: an empty selector. This function adds the sockets that try to connect. At its
        end, the selector contains the returned socket and the sockets of unfinished attempts.
    :param end: when to give up, as a value of ``time.monotonic()``.
    :raises TimeoutError: no address responded until ``end``.
    :raises OSError: no address accepted a connection.
    """
    last_error: OSError | None = None
    next_at = 0.0
    while addresses or attempts.get_map():
        now = time.monotonic()
        if now >= end:
            raise TimeoutError("no address has responded in time")
        if addresses and (now >= next_at or not attempts.get_map()):
            next_at = now + ATTEMPT_DELAY_SECONDS
            try:
                attempt = _start_attempt(addresses.pop(0), port, options)
            except OSError as error:  # For example, this machine does not support IPv6.
                last_error = error
            else:
                attempts.register(attempt, selectors.EVENT_WRITE)
            continue
        until = min(next_at, end) if addresses else end
        for key, _events in attempts.select(until - now):
            ended: Any = key.fileobj
            number = ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not number:
                return ended
            last_error, next_at = OSError(number, os.strerror(number)), 0.0
            attempts.unregister(ended)
            ended.close()
    raise last_error or OSError("the name has no address")


def _start_attempt(address: str, port: int, options: Iterable[tuple[Any, ...]]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    attempt = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            attempt.setsockopt(*option)
        attempt.setblocking(False)
        attempt.connect((address, port))
    except BlockingIOError:
        pass  # The operating system continues the attempt in the background.
    except BaseException:
        attempt.close()
        raise
    return attempt


def _interleaved(addresses: Sequence[str]) -> list[str]:
    """Return IPv6 and IPv4 addresses in turn. The addresses of each kind keep the order of the
    resolver (RFC 8305, section 4)."""
    is_first = [(":" in address) == (":" in addresses[0]) for address in addresses]
    first = [each for each, same in zip(addresses, is_first, strict=True) if same]
    other = [each for each, same in zip(addresses, is_first, strict=True) if not same]
    return [each for each in chain(*zip_longest(first, other)) if each is not None]
