"""JSON objects that we send to the addresses of a vendor, and calls that we stop waiting for."""

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from reciprocal_oauth.client import deadline, token_endpoint
from reciprocal_oauth.exceptions import AddressRefused, PeerUnreachable
from reciprocal_oauth.models import Peer
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer

Music = Callable[..., Peer]


@pytest.fixture
def vendor(fake_peer: FakePeer, music: Music) -> Peer:
    return music(fake_peer.url)


def test_the_members_are_sent_as_json_without_credentials(
    fake_peer: FakePeer, vendor: Peer
) -> None:
    token_endpoint.post_json(vendor, vendor.token_endpoint, {"name": "wörd", "n": {"of": 1}})

    sent = fake_peer.requests[0]
    assert json.loads(sent.body) == {"name": "wörd", "n": {"of": 1}}
    assert sent.headers["Content-Type"] == "application/json; charset=utf-8"
    assert "Authorization" not in sent.headers


@pytest.mark.rfc("6750", "2.1")
def test_an_access_token_goes_into_the_header(fake_peer: FakePeer, vendor: Peer) -> None:
    token_endpoint.post_json(vendor, vendor.token_endpoint, {}, bearer=Secret("token-there"))

    assert fake_peer.requests[0].headers["Authorization"] == "Bearer token-there"


def test_an_address_at_another_origin_gets_nothing(fake_peer: FakePeer, vendor: Peer) -> None:
    with pytest.raises(AddressRefused, match="entered for another address"):
        token_endpoint.post_json(vendor, "https://elsewhere.example/token", {})
    assert fake_peer.requests == []


class TestVendorWithSeveralAddresses:
    def test_each_of_them_can_be_called(self, fake_peer: FakePeer, vendor: Peer) -> None:
        other = f"{fake_peer.url}/events/"

        token_endpoint.post_json(vendor, other, {}, addresses=[vendor.token_endpoint, other])
        assert [each.path for each in fake_peer.requests] == ["/events/"]

    @pytest.mark.threat("V1")
    @pytest.mark.parametrize(
        "url",
        [
            "https://listed.example.evil.example/token/",
            "https://listed.example@evil.example/token/",
            "https://listed.example:444/token/",
            "http://listed.example/token/",
            "https://listed.example/token/?x=1",
            "https://listed.example/token",
        ],
    )
    def test_an_address_that_only_looks_like_one_gets_nothing(
        self, fake_peer: FakePeer, vendor: Peer, url: str
    ) -> None:
        addresses = [vendor.token_endpoint, "https://listed.example/token/"]

        with pytest.raises(AddressRefused, match="not an address of this vendor"):
            token_endpoint.post_json(vendor, url, {}, addresses=addresses)
        assert fake_peer.requests == []

    @pytest.mark.threat("V1")
    def test_a_secret_of_another_site_does_not_go_to_the_vendor(
        self, fake_peer: FakePeer, vendor: Peer
    ) -> None:
        listed = f"{fake_peer.url}/events/"

        with pytest.raises(AddressRefused, match="not an address of this vendor"):
            token_endpoint.post_json(vendor, listed, {}, addresses=[listed])

    @pytest.mark.threat("V1")
    def test_nor_one_that_was_entered_for_another_client_id(
        self, fake_peer: FakePeer, vendor: Peer
    ) -> None:
        vendor.bound_to, vendor._state.adding = "another client\nhttps://x.example", False

        with pytest.raises(AddressRefused, match="Enter it again"):
            token_endpoint.post_json(
                vendor, vendor.token_endpoint, {}, addresses=[vendor.token_endpoint]
            )
        assert fake_peer.requests == []


class TestDeadline:
    def test_a_result_in_time_is_returned(self) -> None:
        assert deadline.within(5, lambda: "tokens", late=pytest.fail) == "tokens"

    def test_an_error_in_time_is_raised(self) -> None:
        def fail() -> None:
            raise TimeoutError("of the call itself")

        with pytest.raises(TimeoutError, match="of the call itself"):
            deadline.within(5, fail, late=pytest.fail)

    @pytest.mark.threat("V8")
    def test_a_late_result_is_passed_on(self) -> None:
        answer, passed_on, late = threading.Event(), threading.Event(), list[Any]()

        def call() -> str:
            answer.wait(5)
            return "tokens"

        def take(result: str) -> None:
            late.append(result)
            passed_on.set()

        with pytest.raises(PeerUnreachable):
            deadline.within(0.01, call, late=take)
        assert late == []
        answer.set()
        assert passed_on.wait(5)
        assert late == ["tokens"]

    def test_a_late_error_is_not(self) -> None:
        answer, ended = threading.Event(), threading.Event()

        def call() -> None:
            answer.wait(5)
            try:
                raise PeerUnreachable("too late")
            finally:
                ended.set()

        with pytest.raises(PeerUnreachable, match="time that is left"):
            deadline.within(0, call, late=pytest.fail)
        answer.set()
        assert ended.wait(5)
