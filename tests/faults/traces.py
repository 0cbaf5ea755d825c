"""What must hold of what a run leaves behind beside its rows: the calls that went by, the logs, and
the tables as they lie on the disk."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.apps import apps
from django.db import connections

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import ReciprocalCode

from .proxy import Call

#: A worker that has minted a code sends it at once, or is cut off.
SENT_WITHIN_SECONDS = 5.0
#: The characters of tokens; and those that are left where a separator is one of them.
_WORDS = (re.compile(r"[A-Za-z0-9_-]{20,}"), re.compile(r"[A-Za-z0-9]{20,}"))
#: How long our secrets are: DOT's tokens, and 32 bytes in base64.
_LENGTHS = frozenset({30, 43})


@dataclass(frozen=True)
class Minted:
    """A code of the ledger.

    :ivar link_ended: when its link ended, in seconds since the epoch.
    """

    link: str
    link_ended: float | None


def ledger(site: str) -> dict[str, Minted]:
    """Every code that ``site`` has minted, by its SHA-256."""
    codes = ReciprocalCode.objects.using(site)
    return {
        code: Minted(str(link), ended and ended.timestamp())
        for code, link, ended in codes.values_list("code_hash", "link", "link__ended_at")
    }


class Calls:
    """I11: the calls, beside the ledger of the site that minted the codes.

    :ivar secrets: the client that calls each site, and the SHA-256 of its secret there.
    :ivar kills: how many processes were killed, each of which may have had codes in hand.
    """

    def __init__(
        self,
        calls: Sequence[Call],
        minted: Mapping[str, Minted],
        secrets: Mapping[str, tuple[str, str]],
        kills: int,
    ) -> None:
        self.calls = calls
        self.minted = minted
        self.secrets = secrets
        self.kills = kills
        self.handovers = [call for call in calls if call.grant_type == GRANT_TYPE]

    def check(self) -> Iterator[str]:
        yield from self.no_code_is_redeemed_twice()
        yield from self.every_code_is_sent_once()
        yield from self.nothing_is_sent_after_a_cut()
        yield from self.each_site_hears_its_own_secret_only()

    def no_code_is_redeemed_twice(self) -> Iterator[str]:
        redeemed = Counter(
            call.code
            for call in self.calls
            if call.grant_type == "authorization_code" and call.status == 200
        )
        for code, count in redeemed.items():
            if count > 1:
                yield f"code {code[:8]}…: redeemed {count} times"

    def every_code_is_sent_once(self) -> Iterator[str]:
        sent = Counter(call.code for call in self.handovers)
        for code, count in sent.items():
            if count > 1:
                yield f"code {code[:8]}…: sent {count} times"
            if code not in self.minted:
                yield f"code {code[:8]}…: sent, and not in the ledger"
        kept_back = len(set(self.minted) - set(sent))
        if kept_back > self.kills:
            yield f"{kept_back} codes were minted and not sent, with {self.kills} processes killed"

    def nothing_is_sent_after_a_cut(self) -> Iterator[str]:
        for call in self.handovers:
            code = self.minted.get(call.code)
            if code is None or code.link_ended is None:
                continue
            late = call.at - code.link_ended
            if late > SENT_WITHIN_SECONDS:
                yield f"link {code.link}: a code was sent {late:.1f} s after its end"

    def each_site_hears_its_own_secret_only(self) -> Iterator[str]:
        wrong = [call for call in self.calls if call.credentials != self.secrets[call.to]]
        for call in wrong:
            yield f"{call.path} of {call.to}: called with credentials of {call.credentials[0]}"


def secrets_in(texts: Iterable[str], hashes: frozenset[str]) -> Iterator[str]:
    """I12: which of ``texts`` hold a word whose SHA-256 is among ``hashes``."""
    seen: set[str] = set()
    for text in texts:
        for pattern in _WORDS:
            for word in pattern.findall(text):
                if len(word) not in _LENGTHS or word in seen:
                    continue
                seen.add(word)
                if hashlib.sha256(word.encode()).hexdigest() in hashes:
                    yield f"a secret in: {text.replace(word, '***')[:200].strip()}"


def rows_of_our_tables(site: str) -> Iterator[str]:
    """Every row of the tables of this app, as it is stored."""
    with connections[site].cursor() as cursor:
        for model in apps.get_app_config("reciprocal_oauth").get_models():
            table = model._meta.db_table
            cursor.execute(f"SELECT * FROM {connections[site].ops.quote_name(table)}")  # noqa: S608
            for row in cursor:
                yield f"{table} {row}"


def lines_of(log: Path) -> Iterator[str]:
    if log.exists():
        with log.open(errors="replace") as lines:
            yield from lines


def server_errors(access_log: Path) -> Iterator[str]:
    """I13: requests that a site answered with 500."""
    for line in lines_of(access_log):
        if line.split()[2:3] == ["500"]:
            yield f"{access_log.name}: {line.strip()}"


def tracebacks(log: Path) -> Iterator[str]:
    """I13: what went wrong without anybody seeing it coming: the last line of each traceback."""
    inside, expected = False, False
    for line in lines_of(log):
        if line.startswith("Traceback "):
            inside = not expected
        elif inside and line[:1].strip():
            inside = False
            yield f"{log.name}: {line.strip()[:200]}"
        # urllib3 logs one for an answer that was cut off in its headers, and goes on.
        expected = " WARNING urllib3" in line
