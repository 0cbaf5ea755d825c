"""Decides from the figures of a site what somebody must act on, and says what to do. The texts are
for operators, in English."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..models import AuthorizationRequest
from .figures import Figures
from .workers import Absence, at_in_words

_Failure = AuthorizationRequest.Problem
#: The failed attempts to connect that an administrator of this site must look at. The others have
#: their cause at the person, or pass by themselves.
OF_SETUP = (
    _Failure.SETUP,
    _Failure.CREDENTIALS,
    _Failure.SCOPE,
    _Failure.WRONG_ISSUER,
    _Failure.BAD_RESPONSE,
)
_PAIRINGS = {
    "confirm": "waits for an administrator of this site to confirm it",
    "failing": "does not go on: its attempts fail",
    "error": "is complete, but this site got no new credentials",
    "test": "is complete, but its test has failed",
}


class Code(StrEnum):
    """The kinds of problems. They do not change between versions, so that programs can rely on
    them."""

    DATABASE = "database"  #: The database does not answer, so nothing is known.
    SETTINGS = "settings"  #: A setting is wrong, so nothing is known.
    NO_WORKER = "no_worker"
    OVERDUE = "overdue"  #: Rows are due for long, and no worker takes them.
    FAILED = "failed"  #: Deliveries have failed in the period.
    PAUSED = "paused"  #: Nothing is delivered to a peer until an administrator resumes it.
    UNREADABLE = "unreadable"  #: A secret cannot be decrypted.
    PAIRING = "pairing"  #: A pairing stands still.
    CONNECTING = "connecting"  #: People cannot connect with a peer, because of its configuration.


@dataclass(frozen=True)
class Problem:
    """Something that somebody must act on.

    :ivar text: what is wrong.
    :ivar remedy: what to do.
    """

    code: Code
    text: str
    remedy: str


def problems_in(figures: Figures) -> tuple[Problem, ...]:
    """Return what somebody must act on, the most important problem first."""
    return (
        *_of_workers(figures),
        *_of_secrets(figures),
        *_of_peers(figures),
        *_of_failures(figures),
        *_of_pairings(figures),
        *_of_connections(figures),
    )


def _of_workers(figures: Figures) -> Iterator[Problem]:
    if figures.worker_missing:
        missing = Absence(figures.worker_seen_at)
        yield Problem(Code.NO_WORKER, missing.text, missing.remedy)
        return
    for queue in figures.queues:
        if queue.overdue:
            yield Problem(
                Code.OVERDUE,
                f"In the {queue.name}, {_rows(queue.overdue)} due for long, and no worker takes "
                "them, although one runs.",
                "Look at the log of the workers. If the dispatcher is “celery” or “tasks”, check "
                "that beat or “reciprocal_deliver --loop” runs: nothing else makes later attempts.",
            )


def _rows(count: int) -> str:
    return "1 row has been" if count == 1 else f"{count} rows have been"


def _of_secrets(figures: Figures) -> Iterator[Problem]:
    if figures.unreadable:
        yield Problem(
            Code.UNREADABLE,
            "The keys of this site cannot decrypt the stored secrets of: "
            f"{', '.join(figures.unreadable)}.",
            "Put the key that encrypted them back at the end of ENCRYPTION_KEYS (or of "
            "SECRET_KEY_FALLBACKS). If it is lost, enter the client secrets again, and make a new "
            "key with “reciprocal_keys rotate --now”.",
        )


def _of_peers(figures: Figures) -> Iterator[Problem]:
    for peer in figures.paused_peers:
        yield Problem(
            Code.PAUSED,
            f"Nothing is delivered to {peer.slug} since {at_in_words(peer.since)}: {peer.reason}.",
            f"Run “reciprocal_peer test {peer.slug}”, correct what it finds, then run "
            f"“reciprocal_peer resume {peer.slug}”.",
        )


def _of_failures(figures: Figures) -> Iterator[Problem]:
    outbox, inbox = figures.queue("outbox").failed, figures.queue("inbox").failed
    if outbox:
        yield Problem(
            Code.FAILED,
            f"{outbox} of the deliveries to peers failed since {at_in_words(figures.since)}.",
            "See why with “reciprocal_handovers list --state failed”, then send them again with "
            "“reciprocal_handovers resend --failed”.",
        )
    if inbox:
        yield Problem(
            Code.FAILED,
            f"{inbox} of the codes of peers were not redeemed since {at_in_words(figures.since)}.",
            "See why with “reciprocal_handovers list --incoming --state failed”. The people "
            "concerned have to connect again.",
        )


def _of_pairings(figures: Figures) -> Iterator[Problem]:
    for pairing in figures.stalled_pairings:
        verb = "confirm" if pairing.reason == "confirm" else "show"
        remedy = f"Run “reciprocal_pair {verb} {pairing.slug}”."
        if pairing.reason == "test":
            remedy = f"Run “reciprocal_peer test {pairing.slug}”, and correct what it finds."
        yield Problem(
            Code.PAIRING, f"The pairing with {pairing.slug} {_PAIRINGS[pairing.reason]}.", remedy
        )


def _of_connections(figures: Figures) -> Iterator[Problem]:
    for failed in figures.failed_connections:
        if failed.problem in OF_SETUP:
            yield Problem(
                Code.CONNECTING,
                f"{failed.count} of the attempts to connect with {failed.slug} failed since "
                f"{at_in_words(figures.since)}: {failed.problem}.",
                f"Run “reciprocal_peer test {failed.slug}”, and correct what it finds.",
            )
