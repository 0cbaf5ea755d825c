"""Connects to the first of several addresses that responds ("Happy Eyeballs").

RFC 8305, section 4: IPv6 and IPv4 addresses take turns. RFC 8305, section 5: if an address has not
responded within a quarter of a second, the next one is tried at the same time. So an address that
drops all packets does not make the peer unreachable.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

#: Seconds before the next address is tried as well (RFC 8305, section 5: recommended value).
ATTEMPT_DELAY_SECONDS = 0.25


def connect(
    addresses: Sequence[str], port: int, *, limit: float, options: Iterable[tuple[Any, ...]] = ()
) -> socket.socket:
    """Connect to the address that responds first.

    :param limit: seconds for all addresses together; also the timeout of the connected socket.
    :param options: arguments of ``setsockopt()`` for the socket.
    :raises TimeoutError: no address has responded in time.
    :raises OSError: every address has refused; it is the error of the last one.
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
    """Return the first socket that is connected.

    It stays registered in ``attempts``, together with the attempts that are not finished.
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
            except OSError as error:  # For example, this machine has no IPv6.
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
        pass  # The attempt goes on in the background.
    except BaseException:
        attempt.close()
        raise
    return attempt


def _interleaved(addresses: Sequence[str]) -> list[str]:
    """Let IPv6 and IPv4 take turns; keep the resolver's order within each (RFC 8305, section 4)."""
    is_first = [(":" in address) == (":" in addresses[0]) for address in addresses]
    first = [each for each, same in zip(addresses, is_first, strict=True) if same]
    other = [each for each, same in zip(addresses, is_first, strict=True) if not same]
    return [each for each in chain(*zip_longest(first, other)) if each is not None]
