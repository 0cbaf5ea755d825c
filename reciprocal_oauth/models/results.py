"""What one attempt at a queue item comes to."""

from dataclasses import dataclass

from .peers import Peer


@dataclass(frozen=True)
class Done:
    """Nothing is left to do."""


@dataclass(frozen=True)
class Recorded:
    """Nothing is left to do, and the row has ended in the transaction that did it."""


@dataclass(frozen=True)
class Accepted:
    """The peer took it; look again after ``watch_seconds`` whether it has used it."""

    watch_seconds: float


@dataclass(frozen=True)
class Retry:
    """It did not work this time.

    :ivar error: for our log and the administrator; no secrets.
    :ivar after: seconds the peer asked to wait.
    :ivar reason: ``Link.Reason`` to give up with once the attempts are used up.
    :ivar pauses: the peer, as it was called, that would refuse every other row as well.
    """

    error: str
    reason: str
    after: float | None = None
    pauses: Peer | None = None


@dataclass(frozen=True)
class Failed:
    """It will never work.

    :ivar error: for our log and the administrator; no secrets.
    :ivar reason: a ``Link.Reason``.
    :ivar pauses: the peer, as it was called, that would refuse every other row as well.
    """

    error: str
    reason: str
    pauses: Peer | None = None


@dataclass(frozen=True)
class Cancelled:
    """It is no longer needed."""


Result = Done | Recorded | Accepted | Retry | Failed | Cancelled
