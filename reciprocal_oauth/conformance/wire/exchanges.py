"""Keeps every request and response, and knows which check they belong to."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Final

from ..redaction import Redaction

SENT: Final = "sent"
RECEIVED: Final = "received"
#: Characters of a body that a report shows.
SHOWN: Final = 4096

Headers = list[tuple[str, str]]


@dataclass
class Exchange:
    """A request and its response.

    :ivar direction: ``sent`` by the tester, or ``received`` by its server.
    :ivar at: seconds since the run began.
    :ivar owner: the ID of the check to which it belongs.
    :ivar error: why there is no response.
    :ivar note: what the reader should know, such as that the response was late on purpose.
    """

    direction: str
    at: float
    method: str
    url: str
    request_headers: Headers = field(default_factory=list)
    request_body: bytes = b""
    status: int | None = None
    reason: str = ""
    response_headers: Headers = field(default_factory=list)
    response_body: bytes = b""
    seconds: float = 0.0
    owner: str = ""
    error: str = ""
    note: str = ""

    def as_json(self, redaction: Redaction) -> dict[str, Any]:
        """Return what a report shows, without secrets."""
        return {
            "direction": self.direction,
            "at": round(self.at, 3),
            "method": self.method,
            "url": redaction.hide(self.url),
            "request_headers": redaction.headers(self.request_headers),
            "request_body": _shown(self.request_body, redaction),
            "status": self.status,
            "reason": redaction.hide(self.reason),
            "response_headers": redaction.headers(self.response_headers),
            "response_body": _shown(self.response_body, redaction),
            "seconds": round(self.seconds, 3),
            "error": redaction.hide(self.error),
            "note": self.note,
        }


def _shown(body: bytes, redaction: Redaction) -> str:
    # Cut after the secrets are out: a cut in the middle of a secret would leave its beginning.
    text = redaction.hide(body[: 64 * SHOWN].decode("utf-8", errors="replace"))
    if len(text) <= SHOWN:
        return text
    return f"{text[:SHOWN]} … ({len(body)} bytes in all)"


class Recorder:
    """The exchanges of a run. It can be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._owners: dict[str, str] = {}
        self._borrowed: dict[str, set[str]] = {}
        self._began = time.monotonic()
        #: The ID of the check that runs.
        self.current = ""

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self._began

    def own(self, *values: str) -> None:
        """Let exchanges with one of these values belong to the check that runs, also later on."""
        with self._lock:
            self._owners.update(dict.fromkeys(values, self.current))

    def owner_of(self, *values: str) -> str:
        """Return the ID of the check to which one of the values belongs: else that which runs."""
        with self._lock:
            return next(
                (self._owners[each] for each in values if each in self._owners), self.current
            )

    def keep(self, exchange: Exchange) -> None:
        with self._lock:
            self._exchanges.append(exchange)

    def borrow(self, check_id: str) -> None:
        """Let the check that runs show the exchanges of another one, whose visit it reads."""
        with self._lock:
            self._borrowed.setdefault(self.current, set()).add(check_id)

    def of(self, check_id: str) -> list[Exchange]:
        """Return the exchanges of a check, in the order in which they began."""
        with self._lock:
            owners = {check_id, *self._borrowed.get(check_id, ())}
            own = [each for each in self._exchanges if each.owner in owners]
        return sorted(own, key=lambda each: each.at)
