"""Values that a peer sends with a code, such as an address, and that its dialect needs later."""

import io
import json
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.client.token_endpoint import TokenResponse
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle, outgoing_access
from reciprocal_oauth.models import InboxItem, Link, Peer
from reciprocal_oauth.secret import PREFIX, Secret

from ..fakes import FakePeer, Reply, token_response
from ..provider.postbox import PostboxDialect

pytestmark = pytest.mark.django_db

Post = Callable[..., Any]
State = InboxItem.State
PLACE, OTHER_PLACE = "canary.place", "canary.other-place"


class WithData(PostboxDialect):
    """Notes which data it has when it calls the peer."""

    used: ClassVar[list[tuple[str, Any]]] = []

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        self.used.append(("redeem", dict(self.data)))
        return super().redeem(peer, code)

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        self.used.append(("refresh", dict(self.data)))
        return super().refresh(peer, refresh_token)


class WithDataFirst(WithData):
    redeems_first = True


@pytest.fixture(params=["WithData", "WithDataFirst"], ids=["later", "first"], autouse=True)
def _dialect(request: pytest.FixtureRequest, settings: Settings, peer: Peer) -> None:
    own = {"DIALECTS": {"own": f"{__name__}.{request.param}"}}
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, **own}
    Peer.objects.update(dialect="own")
    peer.refresh_from_db()
    WithData.used.clear()


@pytest.fixture
def post(client: Client, token_of_a: Any) -> Post:
    def send(code: str = "the-code", where: str | None = PLACE) -> Any:
        members = {"kind": "code", "code": code, "token": token_of_a.raw}
        members |= {} if where is None else {"where": where}
        response = client.post("/connections/handover/music/", members, "application/json")
        worker.drain()
        return response

    return send


def columns() -> list[tuple[str, str]]:
    """What stands in the columns: of the code, and of the link."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT peer_data FROM reciprocal_oauth_inboxitem ORDER BY id DESC")
        of_code = cursor.fetchone()[0]
        cursor.execute("SELECT peer_data FROM reciprocal_oauth_link")
        return [("code", of_code), ("link", cursor.fetchone()[0])]


def test_the_dialect_has_it_when_it_redeems_and_refreshes(post: Post) -> None:
    post()
    Link.objects.update(access_token_expires_at=timezone.now())

    outgoing_access.fresh_access_token(Link.objects.get())

    assert WithData.used == [("redeem", {"where": PLACE}), ("refresh", {"where": PLACE})]


def test_after_the_redemption_the_link_has_it_alone_and_encrypted(post: Post) -> None:
    post()

    (_, of_code), (_, of_link) = columns()
    assert of_code == ""
    assert of_link.startswith(PREFIX)
    assert PLACE not in of_link
    assert Link.objects.get().data == {"where": PLACE}


def test_while_the_code_waits_it_is_encrypted(
    post: Post, monkeypatch: pytest.MonkeyPatch, fake_peer: FakePeer
) -> None:
    monkeypatch.setattr("reciprocal_oauth.party_b.take.redeem_first", lambda *args: None)
    monkeypatch.setattr(worker, "drain", lambda *args: 0)
    post()

    (_, of_code), (_, of_link) = columns()
    assert of_code.startswith(PREFIX)
    assert PLACE not in of_code
    assert of_link == ""
    assert InboxItem.objects.get().data == {"where": PLACE}


@pytest.mark.parametrize("where", [OTHER_PLACE, None], ids=["another", "none"])
def test_that_of_a_later_code_replaces_it(post: Post, where: str | None) -> None:
    post()
    post("second", where)

    assert Link.objects.get().data == ({} if where is None else {"where": where})


def test_that_of_a_code_that_fails_does_not_replace_it(post: Post, fake_peer: FakePeer) -> None:
    post()
    fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")

    post("second", OTHER_PLACE)

    assert InboxItem.objects.latest("pk").state == State.FAILED
    assert dict(columns())["code"] == ""
    assert Link.objects.get().data == {"where": PLACE}


def test_it_goes_with_the_link(post: Post) -> None:
    post()

    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)

    assert columns() == [("code", ""), ("link", "")]
    assert Link.objects.get().data == {}


def test_it_goes_with_a_code_that_is_cancelled(
    post: Post, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_peer.answers["/token/"] = Reply(500, b"")
    post()
    lifecycle.end_link(Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=True)
    InboxItem.objects.update(next_attempt_at=timezone.now())
    worker.drain()

    assert InboxItem.objects.get().state == State.CANCELLED
    assert columns() == [("code", ""), ("link", "")]


@pytest.mark.threat("X2")
def test_nothing_that_is_printed_contains_it(
    post: Post, user: Any, caplog: pytest.LogCaptureFixture, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = [Reply(500, b""), token_response()]
    caplog.set_level("DEBUG")
    post()
    post("second")

    out = io.StringIO()
    call_command("dumpdata", "reciprocal_oauth", stdout=out)
    for command in (["reciprocal_links"], ["reciprocal_handovers", "list"]):
        call_command(*command, "--json", stdout=out)
        call_command(*command, stdout=out)
    ours = [record for record in caplog.records if not record.name.startswith("django.db")]
    text = out.getvalue() + "\n".join(str(vars(record)) for record in ours)
    rows = [*InboxItem.objects.values(), *Link.objects.values()]
    assert "canary" not in text + repr(list(InboxItem.objects.all())) + repr(rows)
    assert json.loads(Link.objects.get().peer_data.reveal()) == {"where": PLACE}
