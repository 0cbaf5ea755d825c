"""No secret in any page, message, log line or error report of the admin."""

import logging
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from reciprocal_oauth.admin import pairing_accept
from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import accepting

from .conftest import CANARIES, LOOKED_AT, SECRETS_OF_PAIRINGS, admin_url, text_of
from .peer_pages import values_of

pytestmark = pytest.mark.threat("W7", "X2", "X3")


def canaries_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def test_every_page(admin: Client, full_link: Link, made_up_vendors: None) -> None:
    for model in (Peer, *LOOKED_AT):
        text_of(admin.get(admin_url(model, "changelist")))
        for row in model.objects.all():
            text_of(admin.get(admin_url(model, "change", row.pk)))
            text_of(admin.get(admin_url(model, "history", row.pk)))
            text_of(admin.get(admin_url(model, "delete", row.pk)))
    text_of(admin.get(admin_url(Peer, "sheet", full_link.peer.pk)))
    given = {"client_secret": "canary-client-secret"}
    by_hand = {"dialect": "ietf", "by": "hand"}
    for chosen in ({}, {"dialect": "ietf"}, by_hand, {"dialect": "tunes"}):
        text_of(admin.get(admin_url(Peer, "add"), {**given, **chosen}))


@pytest.mark.threat("PA12")
def test_every_page_of_a_pairing(admin: Client, full_pairings: list[Pairing]) -> None:
    assert len(SECRETS_OF_PAIRINGS) >= 7
    text_of(admin.get(admin_url(Pairing, "changelist")))
    for pairing in full_pairings:
        for name in ("change", "history", "confirm", "withdraw", "end"):
            text_of(admin.get(admin_url(Pairing, name, pairing.pk), follow=True))


@pytest.mark.threat("PA12")
@pytest.mark.parametrize(
    "sent", [{"invitation": "canary-of-pairing"}, {"sealed": "canary-of-pairing"}]
)
def test_a_fault_while_pairing(
    admin: Client,
    sent: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    reports: list[str],
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(accepting, "look_up", fail)
    monkeypatch.setattr(pairing_accept, "own_problem", fail if "sealed" in sent else lambda: "")
    admin.raise_request_exception = False

    response = admin.post(admin_url(Pairing, "accept"), sent)

    assert response.status_code == 500
    assert "on purpose" in reports[0]
    assert not canaries_in(reports[0])


def test_the_canaries_are_stored(full_link: Link) -> None:
    """Else the test above would prove nothing."""
    kept = [
        full_link.peer.client_secret,
        full_link.access_token,
        full_link.refresh_token,
        full_link.inbox.get().code,
        full_link.outbox.exclude(token="").get().token,
    ]

    assert [each.reveal() for each in kept] == list(CANARIES[:5])  # type: ignore[union-attr]
    data = [full_link.inbox.get().data, full_link.data]
    assert data == [{"address": canary} for canary in CANARIES[5:7]]


@pytest.mark.parametrize("changes", [{}, {"token_endpoint": "http://x/"}, {"dialect": "\x00"}])
def test_no_log_line_or_history(
    admin: Client, full_link: Link, changes: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = values_of(full_link.peer, client_secret="canary-client-secret", **changes)

    text_of(admin.post(admin_url(Peer, "change", full_link.peer.pk), sent, follow=True))

    ours = [record for record in caplog.records if not record.name.startswith("django.db")]
    assert not canaries_in("\n".join(str(vars(record)) for record in ours))
    assert not canaries_in(str(list(LogEntry.objects.values())))


@pytest.mark.parametrize("method", ["save", "clean", "full_clean", "__str__"])
def test_a_fault_while_saving(
    admin: Client,
    full_link: Link,
    method: str,
    monkeypatch: pytest.MonkeyPatch,
    reports: list[str],
) -> None:
    def fail(self: Peer, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    url = admin_url(Peer, "change", full_link.peer.pk)
    # By name: the report shows the lines of source around the fault.
    sent = values_of(full_link.peer, client_secret=CANARIES[0], scope="changed")
    monkeypatch.setattr(Peer, method, fail)
    admin.raise_request_exception = False

    response = admin.post(url, sent)

    assert response.status_code == 500
    assert len(reports) == 1
    assert "on purpose" in reports[0]
    assert not canaries_in(reports[0])
