"""What the look at calls, logs and tables notices."""

from dataclasses import replace
from pathlib import Path

import pytest

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Link

from .proxy import Call
from .traces import Calls, Minted, rows_of_our_tables, secrets_in, server_errors, tracebacks

OURS = ("us", "hash-of-our-secret")
HANDOVER = Call("music", 100.0, "/o/token/", GRANT_TYPE, "code", OURS, status=200)
REDEMPTION = replace(HANDOVER, grant_type="authorization_code")


def problems(*calls: Call, ended: float | None = None, kills: int = 0, **more: Minted) -> list[str]:
    minted = {"code": Minted("link", ended), **more}
    return list(Calls(calls, minted, {"music": OURS}, kills).check())


@pytest.mark.threat("I11")
def test_calls_as_they_should_be() -> None:
    refused = replace(REDEMPTION, status=400)

    assert problems(HANDOVER, REDEMPTION, refused) == []
    assert problems(HANDOVER, ended=99.0) == [], "it was under way when the link ended"
    assert problems(HANDOVER, kills=1, more=Minted("link", None)) == []


@pytest.mark.threat("I11")
def test_calls_as_they_should_not_be() -> None:
    assert "redeemed 2 times" in problems(HANDOVER, REDEMPTION, REDEMPTION)[0]
    assert "sent 2 times" in problems(HANDOVER, HANDOVER)[0]
    assert "not in the ledger" in problems(HANDOVER, replace(HANDOVER, code="other"))[0]
    assert "minted and not sent" in problems(HANDOVER, more=Minted("link", None))[0]
    assert "after its end" in problems(HANDOVER, ended=90.0)[0]
    stranger = replace(HANDOVER, credentials=("us", "hash-of-another-secret"))
    assert "called with credentials" in problems(stranger)[0]


@pytest.mark.threat("I12")
@pytest.mark.parametrize("secret", ["x" * 30, "-_x" * 14 + "x"])
def test_a_secret_in_a_text(secret: str) -> None:
    hashes = frozenset({hash_of(secret)})

    for text in (secret, f"token={secret}&x=y", f'{{"code": "{secret}"}}', f"('{secret}',)"):
        (found,) = secrets_in(["harmless", text], hashes)
        assert secret not in found
    assert list(secrets_in(["harmless", "y" * 30, hash_of(secret)], hashes)) == []


@pytest.mark.threat("I12")
def test_a_secret_in_a_table(link_as_a: Link) -> None:
    secret = "x" * 30
    hashes = frozenset({hash_of(secret)})
    assert list(secrets_in(rows_of_our_tables("default"), hashes)) == []

    Link.objects.update(subject=secret)

    assert len(list(secrets_in(rows_of_our_tables("default"), hashes))) == 1


@pytest.mark.threat("I13")
def test_an_error_500_in_an_access_log(tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    log.write_text("POST /o/token/ 200 0.1\nPOST /o/token/ 500 0.1\nPOST /500/ 400 0.1\n")

    assert len(list(server_errors(log))) == 1


@pytest.mark.threat("I13")
def test_a_traceback_in_a_log(tmp_path: Path) -> None:
    log = tmp_path / "site.log"
    traceback = 'Traceback (most recent call last):\n  File "x.py"\n    x\nValueError: no\n'
    log.write_text(f"12:00 ERROR x: Failed\n{traceback}12:01 INFO x: Fine\n")
    assert list(tracebacks(log)) == ["site.log: ValueError: no"]

    log.write_text(f"12:00 WARNING urllib3.connectionpool: Odd headers\n{traceback}12:01 INFO x\n")
    assert list(tracebacks(log)) == []
