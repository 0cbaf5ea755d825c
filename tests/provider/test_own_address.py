"""The address of one peer alone, and the function for a site's own view at such an address."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.db.transaction import TransactionManagementError
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth import take_handover
from reciprocal_oauth.models import InboxItem, Link, LinkEvent, OutboxItem, Peer

from ..conftest import PEER_SECRET, basic
from ..fakes import FakePeer, Reply
from .postbox import DIALECTS

ADDRESS = "/connections/handover/music/"
Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def _dialects(settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}


@pytest.fixture
def peer(peer: Peer) -> Peer:
    return speaks(peer, "postbox")


@pytest.fixture
def post(client: Client, token_of_a: Any) -> Post:
    """Posts a hand-over to the address of the peer; keyword arguments replace members."""

    def send(path: str = ADDRESS, headers: dict[str, str] | None = None, **changes: Any) -> Any:
        members = {"kind": "code", "code": "code-of-music", "token": token_of_a.raw, **changes}
        return client.post(path, members, content_type="application/json", headers=headers or {})

    return send


def speaks(peer: Peer, dialect: str) -> Peer:
    Peer.objects.filter(pk=peer.pk).update(dialect=dialect)
    peer.refresh_from_db()
    return peer


def test_a_code_is_stored_for_the_user_of_the_token(post: Post, user: Any) -> None:
    response = post()

    assert (response.status_code, response.json()) == (200, {"said": "code"})
    item = InboxItem.objects.get()
    assert (item.code.reveal(), item.link.user) == ("code-of-music", user)
    assert LinkEvent.objects.filter(link=item.link, step="E").exists()


def test_the_same_code_again_gets_the_same_response(post: Post) -> None:
    assert post().content == post().content
    assert InboxItem.objects.count() == 1


def test_the_browser_check_of_django_does_not_apply(post: Post, token_of_a: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    members = {"kind": "code", "code": "c", "token": token_of_a.raw}

    assert strict.post(ADDRESS, members, content_type="application/json").status_code == 200


@pytest.mark.parametrize(
    ("changes", "cause", "status"),
    [
        ({"token": "unknown"}, "TOKEN_UNKNOWN", 400),
        ({"token": 7}, "SHAPE", 400),
        ({"code": ""}, "SHAPE", 400),
        ({"code": "x" * 100_000}, "SHAPE", 400),
        ({"kind": "other"}, "SHAPE", 400),
        ({"client_id": "somebody"}, "CLIENT", 401),
        ({"our_client_id": "somebody"}, "CLIENT", 401),
    ],
    ids=lambda value: str(value)[:30],
)
@pytest.mark.threat("V5")
def test_a_bad_hand_over_is_refused_in_the_form_of_the_dialect(
    post: Post, changes: dict[str, Any], cause: str, status: int
) -> None:
    response = post(**changes)

    assert (response.status_code, response.json()) == (status, {"cause": cause})
    assert not InboxItem.objects.exists()


def test_right_client_ids_are_accepted(post: Post, peer: Peer) -> None:
    ids = {"client_id": peer.application.client_id, "our_client_id": peer.client_id}

    assert post(**ids).status_code == 200


def test_an_expired_token_is_told_apart(post: Post) -> None:
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))

    assert post().json() == {"cause": "TOKEN_EXPIRED"}


@pytest.mark.threat("V4")
def test_a_token_of_another_peer_is_unknown(
    post: Post, make_peer: Callable[..., Peer], make_token: Any, user: Any
) -> None:
    other = make_peer("radio", dialect="postbox")
    token = make_token(other.application, user)

    assert post(token=token.raw).json() == {"cause": "TOKEN_UNKNOWN"}
    assert post("/connections/handover/radio/").json() == {"cause": "TOKEN_UNKNOWN"}
    assert post("/connections/handover/radio/", token=token.raw).status_code == 200


def test_one_code_for_two_people_is_refused(
    post: Post, peer: Peer, make_token: Any, other_user: Any
) -> None:
    post()

    assert post(token=make_token(peer.application, other_user).raw).json() == {"cause": "CODE"}


def test_a_deactivated_person_counts_as_unknown(post: Post, user: Any) -> None:
    user.is_active = False
    user.save()

    assert post().json() == {"cause": "TOKEN_UNKNOWN"}


@pytest.mark.parametrize(
    ("values", "cause"),
    [({"enabled": False}, "OFF"), ({"paused_at": "2026-01-01T00:00Z"}, "BUSY")],
    ids=["disabled", "paused"],
)
def test_a_peer_that_is_off_stores_nothing(
    post: Post, peer: Peer, values: dict[str, Any], cause: str
) -> None:
    Peer.objects.update(**values)

    assert post().json() == {"cause": cause}
    assert not InboxItem.objects.exists()


def test_hand_overs_can_be_switched_off(post: Post, settings: Any) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

    assert post().json() == {"cause": "OFF"}


@pytest.mark.threat("V2")
def test_the_rule_of_the_site_applies_here_too(
    post: Post, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oauth2_provider.settings import oauth2_settings

    asked: list[Any] = []

    def refuse(self: Any, token: Any, client: Any, request: Any) -> bool:
        asked.append((token.user.username, client.client_id))
        return False

    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS
    monkeypatch.setattr(validator, "validate_reciprocal_access_token", refuse, raising=False)

    assert post().json() == {"cause": "TOKEN_UNKNOWN"}
    assert asked == [("alice", "music-here")]


def test_data_of_a_hand_over_is_encrypted_and_goes_with_the_code(post: Post) -> None:
    from django.db import connection

    post(where="https://eu.example")

    item = InboxItem.objects.get()
    assert item.data == {"where": "https://eu.example"}
    with connection.cursor() as cursor:
        cursor.execute("SELECT peer_data FROM reciprocal_oauth_inboxitem")
        assert "eu.example" not in str(cursor.fetchone())


class TestUnknownTokens:
    @pytest.fixture(autouse=True)
    def _limit(self, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {
            **settings.RECIPROCAL_OAUTH,
            "CLIENT_AUTH_FAILURES_PER_MINUTE": 3,
        }

    @pytest.mark.threat("V3")
    def test_too_many_of_them_from_one_address_are_not_looked_up(self, post: Post) -> None:
        assert {post(token=f"guess-{n}").status_code for n in range(3)} == {400}

        response = post()
        assert (response.status_code, response.json()) == (429, {"cause": "BUSY"})

    @pytest.mark.threat("V3")
    def test_good_tokens_are_not_counted(self, post: Post) -> None:
        assert {post(code=f"code-{n}").status_code for n in range(6)} == {200}


class TestClientCredentials:
    @pytest.fixture(autouse=True)
    def _locked(self, peer: Peer) -> None:
        speaks(peer, "locked")

    def test_with_them_the_code_is_stored(self, post: Post) -> None:
        assert post(headers=basic("music-here", PEER_SECRET)).status_code == 200

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Authorization": "Bearer x"},
            {"Authorization": "Basic %%%"},
            basic("music-here", "wrong"),
            basic("music-here", ""),
            basic("music-here\x00", PEER_SECRET),
            basic("https://client.example/metadata", PEER_SECRET),
        ],
        ids=["none", "bearer", "junk", "wrong", "empty", "nul", "url"],
    )
    @pytest.mark.threat("V7")
    def test_without_them_it_is_not(self, post: Post, headers: dict[str, str]) -> None:
        response = post(headers=headers)

        assert (response.status_code, response.json()) == (401, {"cause": "CLIENT"})
        assert not InboxItem.objects.exists()

    def test_those_of_another_peer_do_not_count(
        self, post: Post, make_peer: Callable[..., Peer]
    ) -> None:
        make_peer("radio")

        assert post(headers=basic("radio-here", PEER_SECRET)).json() == {"cause": "CLIENT"}

    @pytest.mark.threat("V7")
    def test_wrong_secrets_are_limited(self, post: Post, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {
            **settings.RECIPROCAL_OAUTH,
            "CLIENT_AUTH_FAILURES_PER_MINUTE": 2,
        }
        wrong = basic("music-here", "wrong")

        assert [post(headers=wrong).status_code for _ in range(3)] == [401, 401, 429]


class TestNotices:
    def test_an_unlink_notice_ends_the_link_and_all_its_tokens(
        self, post: Post, token_of_a: Any
    ) -> None:
        response = post(kind="gone")

        assert response.status_code == 200
        link = Link.objects.get()
        assert (link.status, link.outgoing_reason) == ("ended", "revoked_by_peer")
        assert not get_access_token_model().objects.exists()
        assert not get_refresh_token_model().objects.filter(revoked=None).exists()

    def test_a_second_one_gets_the_same_response(self, post: Post) -> None:
        first, second = post(kind="gone"), post(kind="gone")

        assert (first.status_code, first.content) == (second.status_code, second.content)

    def test_the_token_can_be_expired(self, post: Post) -> None:
        get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=1))

        post(kind="gone")
        assert Link.objects.get().status == "ended"

    @pytest.mark.parametrize("whose", ["unknown", "of another peer"])
    @pytest.mark.threat("V6")
    def test_a_foreign_token_changes_nothing_and_gets_the_same_response(
        self, post: Post, whose: str, make_peer: Any, make_token: Any, user: Any
    ) -> None:
        token = "x"
        if whose == "of another peer":
            token = make_token(make_peer("radio").application, user).raw

        assert post(kind="gone", token=token).content == b"{}"
        assert Link.objects.get().status == "active"
        assert get_access_token_model().objects.filter(application__name="music").exists()

    def test_a_token_without_a_link_is_revoked(
        self, post: Post, peer: Peer, make_token: Any, other_user: Any
    ) -> None:
        token = make_token(peer.application, other_user)

        post(kind="gone", token=token.raw)
        assert not get_access_token_model().objects.filter(pk=token.pk).exists()
        assert Link.objects.get().status == "active"

    def test_our_token_at_the_peer_is_revoked_too(self, post: Post) -> None:
        link = Link.objects.get()
        link.refresh_token, link.outgoing_state = "ours", "active"
        link.save()

        post(kind="gone")
        assert OutboxItem.objects.get().kind == "revocation"

    def test_it_works_when_hand_overs_are_off_and_while_the_peer_is_paused(
        self, post: Post, settings: Any
    ) -> None:
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}
        Peer.objects.update(paused_at=timezone.now())

        assert post(kind="gone").status_code == 200
        assert Link.objects.get().status == "ended"

    def test_a_disabled_peer_is_refused(self, post: Post) -> None:
        Peer.objects.update(enabled=False)

        assert post(kind="gone").json() == {"cause": "OFF"}
        assert Link.objects.get().status == "active"

    def test_a_malformed_one_is_refused(self, post: Post) -> None:
        assert post(kind="gone", token=["x"]).json() == {"cause": "SHAPE"}

    def test_a_report_is_written_to_the_log(
        self, post: Post, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
            assert post(kind="report").content == b"{}"
        assert "Peer music reports: code 7" in caplog.text

    @pytest.mark.threat("V3")
    def test_too_many_unknown_tokens_are_not_looked_up(self, post: Post, settings: Any) -> None:
        settings.RECIPROCAL_OAUTH = {
            **settings.RECIPROCAL_OAUTH,
            "CLIENT_AUTH_FAILURES_PER_MINUTE": 1,
        }
        assert {post(kind="gone", token=f"guess-{n}").status_code for n in range(10)} == {200}

        assert post(kind="gone").status_code == 429
        assert Link.objects.get().status == "active"
        assert post().status_code == 200  # Hand-overs have a limit of their own.

    def test_a_flood_of_reports_does_not_fill_the_log(
        self, post: Post, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "reciprocal_oauth"):
            assert {post(kind="report").status_code for _ in range(30)} == {200}
        assert caplog.text.count("Peer music reports") == 10

    def test_a_peer_can_use_the_address_for_notices_alone(self, post: Post, peer: Peer) -> None:
        speaks(peer, "notices")

        assert post().json() == {"cause": "GRANT"}
        assert post(kind="gone").content == b"{}"
        assert Link.objects.get().status == "ended"


class TestTheViewItself:
    @pytest.mark.parametrize("path", ["/connections/handover/nobody/", "/connections/handover/x/"])
    def test_there_is_nothing_at_other_addresses(self, post: Post, path: str) -> None:
        assert post(path).status_code == 404

    def test_a_peer_of_the_draft_has_no_address_of_its_own(self, post: Post, peer: Peer) -> None:
        speaks(peer, "ietf")

        assert post().status_code == 404

    @pytest.mark.parametrize("method", ["get", "put", "delete"])
    def test_only_post_is_allowed(self, client: Client, peer: Peer, method: str) -> None:
        response = getattr(client, method)(ADDRESS)

        assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")
        assert response.json() == {"error": "invalid_request"}

    def test_a_failing_database_is_told_as_later(
        self, post: Post, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise DatabaseError("secret words of the database")

        monkeypatch.setattr("reciprocal_oauth.provider.own_address.take", fail)

        assert post().json() == {"cause": "BUSY"}

    def test_nothing_secret_is_logged(
        self, post: Post, token_of_a: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.DEBUG):
            post(token="wrong-token-canary", code="code-canary")
            post(code="code-canary")
            post(kind="gone")
        assert "canary" not in caplog.text
        assert token_of_a.raw not in caplog.text

    def test_a_peer_cannot_be_named_as_the_route(self, make_peer: Any) -> None:
        with pytest.raises(Exception, match="part of the addresses"):
            make_peer("handover")

    def test_a_peer_can_be_named_connect(self, make_peer: Any, client: Client) -> None:
        make_peer("connect", dialect="postbox")

        response = client.post("/connections/handover/connect/", {}, "application/json")
        assert response.json() == {"cause": "SHAPE"}


@pytest.mark.parametrize("query", ["a=%zz", "a[]=1", "a", "code=1&code=2"])
@pytest.mark.parametrize("dialect", ["postbox", "locked"])
def test_a_query_is_ignored(post: Post, peer: Peer, dialect: str, query: str) -> None:
    speaks(peer, dialect)

    response = post(f"{ADDRESS}?{query}", basic(peer.application.client_id, PEER_SECRET))

    assert (response.status_code, response.json()) == (200, {"said": "code"})


def test_credentials_in_the_query_are_none(post: Post, peer: Peer) -> None:
    speaks(peer, "locked")
    client_id = peer.application.client_id

    path = f"{ADDRESS}?client_id={client_id}&client_secret={PEER_SECRET}"
    assert post(path, basic(client_id, "wrong")).json() == {"cause": "CLIENT"}


def test_an_unknown_dialect_is_a_failure_that_can_pass(
    post: Post, peer: Peer, hand_over: Post, token_of_a: Any, caplog: Any
) -> None:
    speaks(peer, "of-another-release")

    at_the_token_endpoint = hand_over(access_token=token_of_a.raw)

    for response in (post(), at_the_token_endpoint):
        assert response.status_code == 503
        assert "Retry-After" in response
    assert at_the_token_endpoint.json() == {"error": "temporarily_unavailable"}
    assert caplog.text.count("There is no dialect “of-another-release”") == 2
    assert not InboxItem.objects.exists()


class TestOwnViewOfASite:
    """``take_handover`` in a view that gets other messages too."""

    def request(self, token: str, content_type: str = "application/json", **changes: Any) -> Any:
        members = {"kind": "code", "code": "code-of-music", "token": token, **changes}
        return RequestFactory().post("/webhook/", members, content_type=content_type)

    def test_it_takes_a_hand_over(self, token_of_a: Any) -> None:
        response = take_handover(self.request(token_of_a.raw), "music")

        assert isinstance(response, HttpResponse)
        assert response.status_code == 200
        assert InboxItem.objects.exists()

    def test_it_leaves_other_messages_alone_and_readable(self, token_of_a: Any) -> None:
        request = self.request(token_of_a.raw, kind="discovery")

        assert take_handover(request, "music") is None
        assert json.loads(request.body)["kind"] == "discovery"

    @pytest.mark.parametrize("body", [b"", b"{", b"[1]", b"\xff", b'{"kind": "code", "kind": 1}'])
    def test_it_leaves_malformed_bodies_alone(self, peer: Peer, body: bytes) -> None:
        request = RequestFactory().post("/webhook/", body, content_type="application/json")

        assert take_handover(request, "music") is None
        assert request.body == body

    def test_it_leaves_a_form_with_files_alone(self, peer: Peer) -> None:
        request = RequestFactory().post("/webhook/", {"kind": "code"})

        assert take_handover(request, "music") is None
        assert request.POST["kind"] == "code"

    def test_it_does_nothing_for_other_methods_and_unknown_peers(self, token_of_a: Any) -> None:
        assert take_handover(RequestFactory().get("/webhook/"), "music") is None
        assert take_handover(self.request(token_of_a.raw), "nobody") is None
        assert take_handover(self.request(token_of_a.raw), "no\x00body") is None

    def test_it_refuses_a_bad_hand_over_itself(self, token_of_a: Any) -> None:
        response = take_handover(self.request("unknown"), "music")

        assert response is not None
        assert json.loads(response.content) == {"cause": "TOKEN_UNKNOWN"}

    def test_it_refuses_to_work_within_a_transaction(self, token_of_a: Any) -> None:
        with transaction.atomic(), pytest.raises(TransactionManagementError, match="outside of"):
            take_handover(self.request(token_of_a.raw), "music")


class TestRedeemedFirst:
    """The response tells whether the code was redeemed."""

    @pytest.fixture(autouse=True)
    def _first(self, peer: Peer) -> None:
        speaks(peer, "first")

    def test_success_means_that_there_are_tokens(self, post: Post) -> None:
        assert post().status_code == 200

        link = Link.objects.get()
        assert link.access_token.reveal() == "token-of-the-peer"
        assert InboxItem.objects.get().state == "done"

    def test_a_refused_code_is_told(self, post: Post, fake_peer: FakePeer) -> None:
        fake_peer.answers["/token/"] = Reply.json(400, error="invalid_grant")

        assert post().json() == {"cause": "CODE"}
        item = InboxItem.objects.get()
        assert (item.state, item.code.reveal()) == ("failed", "")

    @pytest.mark.threat("V8")
    def test_a_failing_peer_is_told_and_not_asked_again(
        self, post: Post, fake_peer: FakePeer
    ) -> None:
        fake_peer.answers["/token/"] = Reply.json(500, error="server_error")

        assert post().json() == {"cause": "BUSY"}
        assert InboxItem.objects.get().state == "cancelled"
        assert post().json() == {"cause": "BUSY"}
        assert len(fake_peer.to("/token/")) == 1
