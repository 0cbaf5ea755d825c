"""What each person does, and the tokens with which they begin: all of it follows from the seed, so
that every process knows it."""

import base64
import hashlib
import random
import uuid
from dataclasses import dataclass, field

#: Where the person starts, and the other site.
STARTS, OTHER = "assistant", "music"

#: What the other site may be allowed at the one where the person starts, and the reverse.
SCOPES_HERE = ("now-playing", "profile")
SCOPES_THERE = ("playback", "history")

#: Shares of the people whose access token has run out before they consent, who change their mind
#: once, and who disconnect.
RUN_OUT, CHANGES, CUTS = 0.2, 0.1, 0.05
#: Up to so many seconds after the consent.
LATER_SECONDS = 8.0


@dataclass(frozen=True)
class Person:
    """One person of the run.

    :ivar consents: what the other site is allowed at first.
    :ivar changes: what it is allowed later; empty: that stays.
    :ivar cuts: whether the person disconnects in the end.
    """

    number: int
    name: str
    seed: int = field(repr=False)
    has_run_out: bool
    consents: tuple[str, ...]
    changes: tuple[str, ...]
    changes_after: float
    cuts: bool
    cuts_after: float

    @property
    def final_scope(self) -> tuple[str, ...]:
        """What the other site may do in the end."""
        return () if self.cuts else (self.changes or self.consents)

    @property
    def access_token(self) -> str:
        return self._secret("access")

    @property
    def refresh_token(self) -> str:
        return self._secret("refresh")

    @property
    def family(self) -> uuid.UUID:
        return uuid.UUID(bytes=self._digest("family")[:16], version=4)

    def _secret(self, kind: str) -> str:
        return base64.urlsafe_b64encode(self._digest(kind)).decode().rstrip("=")

    def _digest(self, kind: str) -> bytes:
        return hashlib.sha256(f"{self.seed} {self.number} {kind}".encode()).digest()


def person(seed: int, number: int) -> Person:
    """The person with this number in the run of this seed."""
    chance = random.Random(f"person {seed} {number}")
    both = SCOPES_HERE
    consents = chance.choice([both, both[:1], both[1:]])
    others = [scope for scope in (both, both[:1], both[1:]) if scope != consents]
    return Person(
        number=number,
        name=f"person-{number:06}",
        seed=seed,
        has_run_out=chance.random() < RUN_OUT,
        consents=consents,
        changes=chance.choice(others) if chance.random() < CHANGES else (),
        changes_after=chance.uniform(0, LATER_SECONDS),
        cuts=chance.random() < CUTS,
        cuts_after=chance.uniform(0, LATER_SECONDS),
    )


def people(seed: int, links: int) -> list[Person]:
    return [person(seed, number) for number in range(links)]
