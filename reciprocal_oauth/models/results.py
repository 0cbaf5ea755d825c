"""The results of one attempt to deliver: what a step returns, and what the worker records."""

from dataclasses import dataclass

from .peers import Peer


@dataclass(frozen=True)
class Done:
    """The row is done."""


@dataclass(frozen=True)
class Recorded:
    """The row is done, and the step has already stored that in its own transaction."""


@dataclass(frozen=True)
class Accepted:
    """The peer accepted the code. The row is done once the peer redeems the code.

    :ivar watch_seconds: how long to wait before the next check; a dialect leaves it out.
    :ivar detail: for the history, such as ``HTTP 200``; no secrets.
    """

    watch_seconds: float = 0.0
    detail: str = ""


@dataclass(frozen=True)
class Retry:
    """The attempt failed; a later one may succeed.

    :ivar error: for the log and the administrator; no secrets.
    :ivar reason: the ``Reason`` to store if no attempt is left.
    :ivar after: seconds to wait, as the peer asked.
    :ivar pauses: the peer, as it was called, if it would refuse every other row too.
    """

    error: str
    reason: str
    after: float | None = None
    pauses: Peer | None = None


@dataclass(frozen=True)
class Failed:
    """The attempt failed, and so would every later one.

    :ivar error: for the log and the administrator; no secrets.
    :ivar reason: the ``Reason`` to store.
    :ivar pauses: the peer, as it was called, if it would refuse every other row too.
    """

    error: str
    reason: str
    pauses: Peer | None = None


@dataclass(frozen=True)
class StaleToken:
    """The peer refused the hand-over, perhaps because the access token in it is stale.

    :ivar error: for the log and the administrator; no secrets.
    """

    error: str


@dataclass(frozen=True)
class Cancelled:
    """The row is no longer needed."""


Result = Done | Recorded | Accepted | Retry | Failed | Cancelled

#: The result of handing over one code, which a dialect returns.
HandoverResult = Accepted | Retry | Failed | StaleToken
#: The result of revoking one token, which a dialect returns.
RevocationResult = Done | Retry | Failed
