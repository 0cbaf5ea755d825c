"""Two changes of one link at the same moment wait for each other without a deadlock, because every
function locks the link before its tokens and rows."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections
from django.test import Client
from oauth2_provider.models import get_access_token_model

from reciprocal_oauth.delivery import queue, worker
from reciprocal_oauth.links import incoming_access, lifecycle
from reciprocal_oauth.models import Link, OutboxItem
from reciprocal_oauth.provider import token_rules

from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Reply

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.threat("I13"),
]

Function = Callable[[], Any]


@pytest.fixture(autouse=True)
def _row_locks(db: None) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("SQLite locks the whole database: nothing can be locked in another order")


@pytest.fixture
def meet(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make two threads wait for each other after the named functions, for one second at most. With
    the right lock order, the second thread gets there only after the first one is finished."""
    barrier = threading.Barrier(2)

    def after(owner: Any, name: str) -> None:
        function = getattr(owner, name)

        def waiting(*args: Any, **kwargs: Any) -> Any:
            answer = function(*args, **kwargs)
            try:
                barrier.wait(1)
            except threading.BrokenBarrierError:
                barrier.reset()
            return answer

        monkeypatch.setattr(owner, name, waiting)

    return after


def both(*functions: Function) -> list[Any]:
    def run(function: Function) -> Any:
        try:
            return function()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, functions))


def test_a_hand_over_fails_while_the_link_is_ended(
    link_as_a: Link, reciprocal_code: Callable[..., str], fake_peer: FakePeer, meet: Any
) -> None:
    reciprocal_code()
    fake_peer.answers["/token/"] = Reply.json(403, error="access_denied")
    OutboxItem.objects.update(state="pending", next_attempt_at="2020-01-01T00:00Z")
    meet(queue, "finish")
    meet(lifecycle, "lock_link")

    def end() -> bool:
        return lifecycle.end_link(
            Link.objects.get(), Link.Reason.REVOKED_HERE, revoke_outgoing=True
        )

    both(worker.drain, end)

    assert Link.objects.get().status == Link.Status.ENDED


def test_a_hand_over_fails_while_its_code_is_redeemed(
    link_as_a: Link, reciprocal_code: Callable[..., str], redeem: Any, meet: Any
) -> None:
    code = reciprocal_code()
    OutboxItem.objects.update(next_attempt_at="2020-01-01T00:00Z", resends=3)
    meet(queue, "finish")
    meet(lifecycle, "lock_link")

    _attempts, response = both(worker.drain, lambda: redeem(code))

    assert response.status_code in (200, 400)


@pytest.mark.parametrize("atomic_requests", [False, True])
def test_revoking_a_token_while_it_is_renewed(
    token_of_a: Any,
    refresh: Any,
    application: Any,
    meet: Any,
    monkeypatch: pytest.MonkeyPatch,
    atomic_requests: bool,
) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", atomic_requests)
    meet(incoming_access, "has_live_tokens")
    meet(token_rules, "_limit_scope")

    def revoke() -> Any:
        headers = basic(application.client_id, PEER_SECRET)
        return post_form(Client(), {"token": token_of_a.raw_refresh}, headers, "/o/revoke_token/")

    revoked, renewed = both(revoke, lambda: refresh(token_of_a.raw_refresh))

    assert revoked.status_code == 200
    assert renewed.status_code in (200, 400)


def test_deleting_a_user_whose_token_is_renewed(
    token_of_a: Any, user: Any, refresh: Any, meet: Any
) -> None:
    meet(incoming_access, "revoke_incoming")
    meet(token_rules, "_limit_scope")

    def delete() -> None:
        try:
            user.delete()
        except IntegrityError:
            # Django had collected the rows of the user before the new token was created.
            user.delete()

    _deleted, renewed = both(delete, lambda: refresh(token_of_a.raw_refresh))

    # MariaDB locks indexes as well as rows, and may choose the refresh as the victim of a deadlock.
    assert renewed.status_code in (200, 400, 503)
    assert not Link.objects.exists()
    assert not get_access_token_model().objects.exists()
