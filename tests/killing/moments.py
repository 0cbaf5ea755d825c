"""The moments at which a process kills itself, by the words that tests use for them.

A process is armed with one of them before it begins to work. The product knows nothing of it.
"""

import http.client
import os
import pkgutil
import select
import signal
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

Function = Callable[..., Any]
Arm = Callable[[], None]


def die(*args: Any, **kwargs: Any) -> NoReturn:
    """End this process as a power cut would: nothing is closed, told or rolled back by it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


def before(path: str) -> Arm:
    """To die instead of calling what stands at the dotted path."""
    return lambda: _replace(path, lambda original: die)


def after(path: str) -> Arm:
    """To die when what stands at the dotted path has been called."""

    def wrap(original: Function) -> Function:
        def call(*args: Any, **kwargs: Any) -> NoReturn:
            original(*args, **kwargs)
            die()

        return call

    return lambda: _replace(path, wrap)


def _with_half_of_the_body_sent() -> None:
    def wrap(send: Function) -> Function:
        def half(connection: Any, data: bytes) -> None:
            if not data.startswith(b"grant_type="):
                send(connection, data)
                return
            send(connection, data[: len(data) // 2])
            die()

        return half

    _replace("http.client.HTTPConnection.send", wrap)


def _when_the_answer_comes() -> None:
    def wait(connection: http.client.HTTPConnection) -> NoReturn:
        select.select([connection.sock], [], [])
        die()

    _replace("http.client.HTTPConnection.getresponse", lambda original: wait)


def _with_the_registration_sent() -> None:
    def wrap(request: Function) -> Function:
        def send(connection: Any, method: str, *args: Any, **kwargs: Any) -> None:
            request(connection, method, *args, **kwargs)
            if method in ("POST", "PUT", "DELETE"):
                die()

        return send

    _replace("urllib3.connection.HTTPConnection.request", wrap)


def _replace(path: str, wrap: Callable[[Function], Function]) -> None:
    owner, _, name = path.rpartition(".")
    place = pkgutil.resolve_name(owner)
    setattr(place, name, wrap(getattr(place, name)))


_PAIRING = "reciprocal_oauth.pairing"
_IETF = "reciprocal_oauth.dialects.ietf.IETFDialect"

MOMENTS: Mapping[str, Arm] = {
    # Of party A's worker
    "with a row claimed, before it mints": before("reciprocal_oauth.party_a.send.mint"),
    "with a code minted, before it connects": after("reciprocal_oauth.party_a.send.mint"),
    "with half of the request sent": _with_half_of_the_body_sent,
    "with the request sent": after("urllib3.connection.HTTPConnection.request"),
    "with the answer read, before it is stored": after(f"{_IETF}.send"),
    "before it revokes there": before(f"{_IETF}.revoke"),
    # Of party A's server
    "with the code spent, before the commit": after(
        "reciprocal_oauth.party_a.redemption.mark_redeemed"
    ),
    "with the tokens saved, before the commit": after(
        "reciprocal_oauth.party_a.redemption.complete"
    ),
    "with the link ended, before it answers": after("reciprocal_oauth.links.lifecycle.end_link"),
    # Of party B's server
    "with the code stored, before it answers": after("reciprocal_oauth.party_b.take.receive"),
    # Of party B's worker
    "with a code claimed, before it calls": before(f"{_IETF}.redeem"),
    "when the tokens come, before it reads them": _when_the_answer_comes,
    "with the tokens read, before it stores them": after(f"{_IETF}.redeem"),
    "with the tokens stored": after("reciprocal_oauth.party_b.redeem._store_tokens"),
    # Of whoever registers at the other site, in a pairing
    "with the pairing stored, before anything is sent": after(f"{_PAIRING}.accepting.accept"),
    "with the registration made, before it is sent": after(f"{_PAIRING}.sending._with_body"),
    "with the registration sent": _with_the_registration_sent,
    "with its response read, before it is stored": before(f"{_PAIRING}.sending._store"),
    "with the peer made, before the commit": after(f"{_PAIRING}.completion.complete"),
    "with its response stored": after(f"{_PAIRING}.sending._store"),
    "with the peer tested, before that is stored": before(f"{_PAIRING}.due._store_findings"),
    "with a new secret read, before it is stored": before(f"{_PAIRING}.renewing._store"),
    # Of the server of the other site
    "with the registration taken, before the commit": after(f"{_PAIRING}.answering._register"),
    "with the registration stored, before it answers": after(f"{_PAIRING}.answering.answer"),
    "with a new secret stored, before it answers": after(f"{_PAIRING}.configuration.update"),
    "with the end stored, before it answers": after(f"{_PAIRING}.configuration.delete"),
    # Of whoever calls the peer
    "with renewed tokens, before it stores them": before(
        "reciprocal_oauth.links.outgoing_access._store_refreshed"
    ),
}
