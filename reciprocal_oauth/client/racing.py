"""Connecting to one of several addresses: one that swallows packets does not hide the next.

RFC 8305 ("Happy Eyeballs"), sections 4 and 5: the families of addresses take turns, and an address
that has not answered in a quarter of a second goes on while the next one is tried.
"""

import os
import selectors
import socket
import time
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest
from typing import Any

#: RFC 8305, section 5: recommended pause, in seconds, before the next address is tried as well.
ATTEMPT_DELAY_SECONDS = 0.25


def connect(
    addresses: Sequence[str], port: int, *, limit: float, options: Iterable[tuple[Any, ...]] = ()
) -> socket.socket:
    """A connection to the address that answers first.

    :param limit: seconds for all addresses together, and the timeout of the socket then.
    :param options: arguments of ``setsockopt()`` for it.
    :raises TimeoutError: no address has answered.
    :raises OSError: every address has refused; the reason of the last one.
    """
    end = time.monotonic() + limit
    with selectors.DefaultSelector() as attempts:
        try:
            connected = _first(_in_turns(addresses), port, attempts, end, options)
            attempts.unregister(connected)
        finally:
            for key in list(attempts.get_map().values()):
                key.fileobj.close()  # type: ignore[union-attr]
    connected.settimeout(limit)
    return connected


def _first(
    addresses: list[str],
    port: int,
    attempts: selectors.BaseSelector,
    end: float,
    options: Iterable[tuple[Any, ...]],
) -> socket.socket:
    """The first socket that is connected; it is among ``attempts``, as are those that go on."""
    reason: OSError | None = None
    next_at = 0.0
    while addresses or attempts.get_map():
        now = time.monotonic()
        if now >= end:
            raise TimeoutError("no address has answered in time")
        if addresses and (now >= next_at or not attempts.get_map()):
            next_at = now + ATTEMPT_DELAY_SECONDS
            try:
                attempt = _begin(addresses.pop(0), port, options)
            except OSError as error:  # Such as no network of this family.
                reason = error
            else:
                attempts.register(attempt, selectors.EVENT_WRITE)
            continue
        until = min(next_at, end) if addresses else end
        for key, _events in attempts.select(until - now):
            ended: Any = key.fileobj
            number = ended.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if not number:
                return ended
            reason, next_at = OSError(number, os.strerror(number)), 0.0
            attempts.unregister(ended)
            ended.close()
    raise reason or OSError("the name has no address")


def _begin(address: str, port: int, options: Iterable[tuple[Any, ...]]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    attempt = socket.socket(family, socket.SOCK_STREAM)
    try:
        for option in options:
            attempt.setsockopt(*option)
        attempt.setblocking(False)
        attempt.connect((address, port))
    except BlockingIOError:
        pass  # It is under way.
    except BaseException:
        attempt.close()
        raise
    return attempt


def _in_turns(addresses: Sequence[str]) -> list[str]:
    """The families take turns, and the resolver's order stands within each (section 4)."""
    is_first = [(":" in address) == (":" in addresses[0]) for address in addresses]
    first = [each for each, same in zip(addresses, is_first, strict=True) if same]
    other = [each for each, same in zip(addresses, is_first, strict=True) if not same]
    return [each for each in chain(*zip_longest(first, other)) if each is not None]
