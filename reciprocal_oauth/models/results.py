"""The results of one attempt to carry out a delivery (a row of the outbox or the inbox). The
function that makes the attempt returns a result, and the worker stores the result in the row."""

from dataclasses import dataclass

from .peers import Peer


@dataclass(frozen=True)
class Done:
    """The delivery succeeded. The worker marks the row as done."""


@dataclass(frozen=True)
class Recorded:
    """The delivery succeeded. The function that made the attempt has already marked the row as done
    in its own transaction."""


@dataclass(frozen=True)
class Accepted:
    """The peer accepted the reciprocal code. The row is done when the peer has redeemed the code.

    :ivar watch_seconds: the seconds until the worker checks whether the peer has redeemed the code.
        A dialect does not set this value.
    :ivar detail: a text for the history, such as ``HTTP 200``. It must not contain secrets.
    """

    watch_seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Retry:
    """The attempt failed, but a later attempt can succeed.

    :ivar error: a text for the log and the administrator. It must not contain secrets.
    :ivar reason: the ``Reason`` to store if no further attempt is allowed.
    :ivar after: the seconds that the peer asked this site to wait; ``None`` if it did not ask.
    :ivar pauses: the peer, if all its deliveries must be paused; otherwise ``None``. The object has
        the values used in the attempt, so that a peer that was corrected meanwhile is not paused.
    """

    error: str
    reason: str
    after: float | None = None
    pauses: Peer | None = None


@dataclass(frozen=True)
class Failed:
    """The attempt failed, and every later attempt would fail too.

    :ivar error: a text for the log and the administrator. It must not contain secrets.
    :ivar reason: the ``Reason`` to store.
    :ivar pauses: the peer, if all its deliveries must be paused; otherwise ``None``. The object has
        the values used in the attempt, so that a peer that was corrected meanwhile is not paused.
    """

    error: str
    reason: str
    pauses: Peer | None = None


@dataclass(frozen=True)
class StaleToken:
    """The peer refused the reciprocal code, perhaps because the access token that this site sent
    with it is no longer valid.

    :ivar error: a text for the log and the administrator. It must not contain secrets.
    """

    error: str


@dataclass(frozen=True)
class Cancelled:
    """The delivery is no longer needed. The worker cancels the row."""


Result = Done | Recorded | Accepted | Retry | Failed | Cancelled

#: The result that a dialect returns when it has tried to hand over one reciprocal code.
HandoverResult = Accepted | Retry | Failed | StaleToken
#: The result that a dialect returns when it has tried to revoke one token.
RevocationResult = Done | Retry | Failed
