"""Vendors that only tell that a person has ended the link: Yandex and Sber."""

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, TestCase
from django.utils import timezone
from oauth2_provider.models import get_access_token_model, get_refresh_token_model

from reciprocal_oauth import take_handover
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.peers import connection_check
from reciprocal_oauth.peers.findings import Check, State
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.testing import DialectContract

from ..admin.peer_pages import errors, values_of
from ..conftest import PEER_SECRET, post_form

pytestmark = pytest.mark.django_db

PATHS = {"yandex": "/v1.0/user/unlink", "sber": "/v1/unlink"}
BLANK = {
    "issuer": "",
    "authorization_endpoint": "",
    "token_endpoint": "",
    "revocation_endpoint": "",
    "client_id": "",
    "client_secret": Secret(""),
    "scope": "",
    "reciprocal_scope": "",
}
REQUEST_ID = "ff36a3cc-ec34-11e6-b1a0-64510650abcf"
BEARER = 'Bearer error="invalid_token"'

Notify = Callable[..., HttpResponse | None]


class _Contract(DialectContract):
    def notice_request(self, access_token: str) -> HttpRequest:
        return notice_of(self.dialect_name, f"Bearer {access_token}")

    def peer_values(self) -> Mapping[str, Any]:
        return BLANK


class TestYandex(_Contract, TestCase):
    dialect_name = "yandex"


class TestSber(_Contract, TestCase):
    dialect_name = "sber"


def notice_of(vendor: str, authorization: str, request_id: str = REQUEST_ID) -> HttpRequest:
    """The notice of the vendor's page."""
    headers = {"Authorization": authorization, "X-Request-Id": request_id}
    content_type = "application/json" if vendor == "sber" else ""
    path = f"/smart-home{PATHS[vendor]}"
    return RequestFactory().post(path, b"", content_type=content_type, headers=headers)


@pytest.fixture(params=["yandex", "sber"])
def vendor(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def unlinking(transactional_db: None, make_peer: Callable[..., Peer], vendor: str) -> Peer:
    return make_peer(vendor, dialect=vendor, **BLANK)


@pytest.fixture
def token(unlinking: Peer, user: Any, make_token_of_a: Callable[..., Any]) -> Any:
    """The access token that the vendor holds here for alice; the link is open."""
    return make_token_of_a(unlinking, user)


@pytest.fixture
def notify(unlinking: Peer) -> Notify:
    """Calls the function for the site's own view as the site does."""

    def call(authorization: str, request_id: str = REQUEST_ID) -> HttpResponse | None:
        request = notice_of(unlinking.dialect, authorization, request_id)
        return take_handover(request, unlinking.slug)

    return call


def said(response: HttpResponse | None) -> tuple[int, Any]:
    assert response is not None
    return response.status_code, json.loads(response.content)


def success_of(vendor: str) -> tuple[int, Any]:
    return 200, {"request_id": REQUEST_ID} if vendor == "yandex" else {}


# The notice


def test_a_notice_ends_the_link(notify: Notify, vendor: str, token: Any) -> None:
    assert said(notify(f"Bearer {token.raw}")) == success_of(vendor)

    link = Link.objects.get()
    assert (link.is_active, link.incoming_reason) == (False, Link.Reason.REVOKED_BY_PEER)
    assert not get_access_token_model().objects.exists()
    assert not get_refresh_token_model().objects.filter(revoked=None).exists()


def test_an_expired_token_ends_its_link_too(notify: Notify, vendor: str, token: Any) -> None:
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(days=1))

    assert said(notify(f"bearer {token.raw}")) == success_of(vendor)
    assert not Link.objects.get().is_active


def test_an_older_token_of_the_same_grant_ends_the_link(
    notify: Notify, vendor: str, token: Any, unlinking: Peer, client: Client
) -> None:
    renewed = post_form(
        client,
        {
            "grant_type": "refresh_token",
            "refresh_token": token.raw_refresh,
            "client_id": unlinking.application.client_id,
            "client_secret": PEER_SECRET,
        },
        {},
    ).json()

    assert said(notify(f"Bearer {renewed['access_token']}")) == success_of(vendor)
    assert not Link.objects.get().is_active


def test_a_token_that_was_replaced_gets_the_same_response(
    notify: Notify, vendor: str, token: Any, unlinking: Peer, client: Client
) -> None:
    post_form(
        client,
        {
            "grant_type": "refresh_token",
            "refresh_token": token.raw_refresh,
            "client_id": unlinking.application.client_id,
            "client_secret": PEER_SECRET,
        },
        {},
    )

    assert said(notify(f"Bearer {token.raw}")) == success_of(vendor)


def test_an_unknown_or_foreign_token_gets_the_same_response_and_ends_nothing(
    notify: Notify, vendor: str, token: Any, peer: Peer, user: Any, make_token: Callable[..., Any]
) -> None:
    foreign = make_token(peer.application, user)

    assert said(notify("Bearer unknown")) == success_of(vendor)
    assert said(notify(f"Bearer {foreign.raw}")) == success_of(vendor)
    assert Link.objects.get().is_active
    assert get_access_token_model().objects.count() == 2


def test_a_second_notice_gets_the_same_response(notify: Notify, vendor: str, token: Any) -> None:
    notify(f"Bearer {token.raw}")

    assert said(notify(f"Bearer {token.raw}")) == success_of(vendor)


@pytest.mark.parametrize("header", ["", "Basic eDp5", "Bearer", "Bearer a b", "Bearer \xe4"])
def test_a_notice_without_a_token_is_refused(notify: Notify, vendor: str, header: str) -> None:
    response = notify(header)

    if vendor == "yandex":
        assert said(response) == (401, {"request_id": REQUEST_ID})
    else:
        assert said(response) == (401, {"code": 401, "message": "Invalid argument", "details": []})
    assert response is not None
    assert response["WWW-Authenticate"] == BEARER


@pytest.mark.parametrize("vendor", ["yandex"], indirect=True)
@pytest.mark.parametrize("given", ["", "a b", "<script>", "x" * 300, '"', "\u0660"])
def test_yandex_gets_no_request_id_back_that_is_odd(
    notify: Notify, vendor: str, token: Any, given: str
) -> None:
    assert said(notify(f"Bearer {token.raw}", given)) == (200, {})


def test_a_disabled_peer_gets_a_failure(notify: Notify, vendor: str, token: Any) -> None:
    Peer.objects.update(enabled=False)

    status, body = said(notify(f"Bearer {token.raw}"))

    assert status == 503
    assert body == (
        {"request_id": REQUEST_ID}
        if vendor == "yandex"
        else {"code": 503, "message": "System error", "details": []}
    )
    assert Link.objects.get().is_active


@pytest.mark.parametrize("path", ["/v1.0/user/devices", "/v1/devices", "/v1.0/user/unlink/x", "/"])
def test_other_requests_of_the_vendor_belong_to_the_site(
    unlinking: Peer, token: Any, path: str
) -> None:
    headers = {"Authorization": f"Bearer {token.raw}"}
    request = RequestFactory().post(path, b"{}", content_type="application/json", headers=headers)

    assert take_handover(request, unlinking.slug) is None
    assert request.body == b"{}"
    assert Link.objects.get().is_active


def test_another_method_is_no_notice(unlinking: Peer, token: Any) -> None:
    headers = {"Authorization": f"Bearer {token.raw}"}
    request = RequestFactory().get(PATHS[unlinking.dialect], headers=headers)

    assert take_handover(request, unlinking.slug) is None


def test_the_address_of_the_peer_alone_takes_no_codes(
    unlinking: Peer, token: Any, client: Client
) -> None:
    response = client.post(
        f"/connections/handover/{unlinking.slug}/", {"code": "c", "access_token": token.raw}
    )

    assert response.status_code == 400
    assert Link.objects.get().is_active


# A peer without an address


def test_the_command_adds_a_peer_without_addresses_and_credentials(vendor: str) -> None:
    arguments = ["--redirect-uri", "https://broker.example/redirect", "--allowed-scope", "profile"]
    call_command(
        "reciprocal_peer", "add", vendor, "--name", vendor, "--dialect", vendor, *arguments
    )
    call_command("reciprocal_peer", "add", vendor, "--name", "Another name")
    out = StringIO()
    call_command("reciprocal_peer", "list", stdout=out)

    peer = Peer.objects.get()
    assert (peer.name, peer.token_endpoint, peer.client_id) == ("Another name", "", "")
    assert not peer.client_secret
    assert "enabled, one way only" in out.getvalue()


def test_the_page_of_the_peer_in_the_admin_can_be_saved(
    unlinking: Peer, admin_client: Client
) -> None:
    page = f"/admin/reciprocal_oauth/peer/{unlinking.pk}/change/"

    shown = admin_client.get(page)
    saved = admin_client.post(page, values_of(unlinking, name="Renamed", client_secret=""))

    assert '<label class="required" for="id_client_secret">' not in shown.content.decode()
    assert saved.status_code == 302, errors(saved)
    assert Peer.objects.get().name == "Renamed"


@pytest.mark.parametrize("given", [{"client_id": "us"}, {"client_secret": Secret("secret")}])
def test_whoever_gives_a_part_of_the_credentials_gives_all(
    unlinking: Peer, given: dict[str, Any]
) -> None:
    for name, value in given.items():
        setattr(unlinking, name, value)

    with pytest.raises(ValidationError) as raised:
        unlinking.full_clean()

    wanted = {"token_endpoint", "client_id", "client_secret"} - given.keys()
    assert set(raised.value.message_dict) == wanted


def test_the_connection_check_sends_nothing(unlinking: Peer) -> None:
    found = {finding.check: finding.state for finding in connection_check.run(unlinking)}

    assert {found[check] for check in (Check.NAME, Check.TLS, Check.CREDENTIALS, Check.GRANT)} == {
        State.NOT_NEEDED
    }
