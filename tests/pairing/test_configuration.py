"""The other site changes its registration here, or ends the pairing (RFC 7592, sections 2.2 and
2.3)."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import chores
from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import renewing, sending
from tests.conftest import basic, post_form

from .other_site import OtherSite, register

pytestmark = pytest.mark.django_db

#: The registration of the other site here, as it was answered.
Answer = dict[str, Any]


@pytest.fixture
def waiting(invited: tuple[Pairing, str], other: OtherSite) -> Answer:
    """The other site is registered here, and this site not yet there."""
    answer: Answer = register(invited[1], other.registration()).json()
    return answer


@pytest.fixture
def answer(waiting: Answer) -> Answer:
    """The pairing is complete, and the peer is enabled."""
    pairing = Pairing.objects.get()
    sending.send(pairing)
    assert pairing.peer
    pairing.peer.enabled = True
    pairing.peer.save()
    return waiting


def call(method: str, answer: Answer, body: object = None, token: str | None = None) -> Any:
    """Call the client configuration endpoint of the other site."""
    return Client().generic(
        method,
        answer["registration_client_uri"].removeprefix("https://testserver"),
        json.dumps(body) if body is not None else "",
        content_type="application/json",
        headers={"Authorization": f"Bearer {token or answer['registration_access_token']}"},
    )


def unchanged(other: OtherSite, answer: Answer, **changes: Any) -> dict[str, Any]:
    """The update of the other site. It sends all that it has registered, and changes something."""
    members = {
        "client_id": answer["client_id"],
        "reciprocal_allowed_scope": other.answer["reciprocal_allowed_scope"],
        "reciprocal_registration_token": ...,
    }
    return other.registration(**{**members, **changes})


def authenticates(answer: Answer, secret: str | None = None) -> bool:
    """Whether the token endpoint accepts the credentials. The code in the request is made up."""
    headers = basic(answer["client_id"], secret or answer["client_secret"])
    response = post_form(Client(), {"grant_type": "authorization_code", "code": "made-up"}, headers)
    return bool(response.json()["error"] != "invalid_client")


def all_values() -> list[Any]:
    """What an update could change."""
    pairing = Pairing.objects.get()
    assert pairing.peer
    application = pairing.peer.application
    return [
        {name: value for name, value in vars(row).items() if name not in ("_state", "updated_at")}
        for row in (pairing, pairing.peer, application)
    ]


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.rfc("7592", "3")
def test_the_other_site_gets_a_new_secret_and_the_old_one_is_refused_at_once(
    answer: Answer, other: OtherSite
) -> None:
    assert authenticates(answer)

    response = call("PUT", answer, unchanged(other, answer, reciprocal_new_secret=True))

    assert (response.status_code, response["Cache-Control"]) == (200, "no-store")
    new = response.json()
    assert new["client_secret"] != answer["client_secret"]
    assert new["client_secret_expires_at"] == 0
    assert new["registration_access_token"] != answer["registration_access_token"]
    same = ("client_id", "redirect_uris", "grant_types", "scope", "registration_client_uri")
    assert {name: new[name] for name in same} == {name: answer[name] for name in same}
    assert authenticates(new)
    assert not authenticates(answer)


@pytest.mark.rfc("7592", "2.2")
def test_what_was_answered_can_be_sent_back(answer: Answer) -> None:
    hidden = ("client_secret_expires_at", "registration_access_token", "registration_client_uri")
    members = {n: v for n, v in answer.items() if n not in (*hidden, "client_id_issued_at")}

    assert call("PUT", answer, members).status_code == 200
    assert authenticates(answer)


@pytest.mark.rfc("7592", "2.2")
def test_an_update_whose_response_was_lost_is_sent_again(answer: Answer, other: OtherSite) -> None:
    body = unchanged(other, answer, reciprocal_new_secret=True)
    lost = call("PUT", answer, body).json()

    new = call("PUT", answer, body).json()

    assert authenticates(new)
    assert not authenticates(lost)
    assert call("GET", lost).status_code == 401
    assert call("GET", answer).status_code == 200, "nobody has used the new token yet"
    assert call("GET", new).status_code == 200
    assert call("GET", answer).status_code == 401


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.threat("PA9", "PA10")
@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uris": ["https://evil.example/callback/"]},
        {"redirect_uris": ["{url}/elsewhere/"]},
        {"redirect_uris": ...},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://evil.example/jwks"},
        {"jwks": {"keys": []}},
        {"scope": "playback history"},
        {"scope": "openid playback"},
        {"scope": ...},
        {"grant_types": ["authorization_code", "client_credentials"]},
        {"grant_types": ["authorization_code"]},
        {"grant_types": ...},
        {"response_types": ["code", "token"]},
        {"client_id": "another"},
        {"client_id": ...},
        {"client_secret": "chosen-by-the-other-site"},
        {"client_secret": "half-of-a-pair-\ud800"},
        {"reciprocal_issuer": "https://evil.example/o"},
        {"reciprocal_issuer": ...},
        {"reciprocal_allowed_scope": "play queue more"},
        {"reciprocal_registration_token": "x" * 43},
        {"reciprocal_new_secret": "yes"},
        {"registration_access_token": "x" * 43},
        {"registration_client_uri": "https://testserver/o/"},
        {"client_secret_expires_at": 0},
        {"client_id_issued_at": 1},
    ],
    ids=str,
)
def test_nothing_else_can_be_changed(
    answer: Answer, other: OtherSite, changes: dict[str, Any]
) -> None:
    if changes.get("redirect_uris", ...) is not ...:
        changes = {"redirect_uris": [u.format(url=other.url) for u in changes["redirect_uris"]]}
    before = all_values()
    body = unchanged(other, answer, **{"reciprocal_new_secret": True, **changes})

    response = call("PUT", answer, body)

    assert response.status_code == 400
    assert response.json()["error"] in ("invalid_client_metadata", "invalid_redirect_uri")
    assert all_values() == before
    assert authenticates(answer)


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.threat("PA9")
def test_a_key_that_an_administrator_has_entered_is_not_lost(
    answer: Answer, other: OtherSite
) -> None:
    peer = Peer.objects.get()
    peer.authenticates_here_by, peer.jwks_uri = "private_key_jwt", f"{other.url}/keys/"
    peer.save()

    assert call("PUT", answer, unchanged(other, answer)).status_code == 400

    peer.refresh_from_db()
    assert (peer.authenticates_here_by, peer.jwks_uri) == ("private_key_jwt", f"{other.url}/keys/")


@pytest.mark.rfc("7592", "2.2")
def test_name_and_homepage_can_change_but_not_what_the_administrator_calls_the_peer(
    answer: Answer, other: OtherSite
) -> None:
    body = unchanged(other, answer, client_name="New", client_uri=f"{other.url}/new/")

    new = call("PUT", answer, body).json()

    assert (new["client_name"], new["client_uri"]) == ("New", f"{other.url}/new/")
    assert "client_secret" not in new
    pairing = Pairing.objects.get()
    assert pairing.peer
    assert (pairing.peer.name, pairing.peer.homepage) == ("Other", f"{other.url}/new/")


@pytest.mark.rfc("7592", "2.2")
@pytest.mark.threat("PA9")
def test_a_key_takes_the_place_of_the_secret_and_never_the_reverse(
    answer: Answer, other: OtherSite
) -> None:
    uri = f"{other.url}/o/reciprocal/jwks.json"
    key = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": uri}

    new = call("PUT", answer, unchanged(other, answer, **key)).json()

    assert {name: new[name] for name in key} == key
    assert "client_secret" not in new
    pairing = Pairing.objects.get()
    assert pairing.peer
    assert (pairing.peer.jwks_uri, pairing.peer.uses_key_here) == (uri, True)
    assert not authenticates(answer)
    moved = unchanged(other, new, **{**key, "jwks_uri": f"{other.url}/keys"})
    new = call("PUT", new, moved).json()
    assert new["jwks_uri"] == f"{other.url}/keys"
    assert call("PUT", new, unchanged(other, new)).status_code == 400
    with_secret = unchanged(other, new, **key, reciprocal_new_secret=True)
    assert call("PUT", new, with_secret).status_code == 400


@pytest.mark.rfc("7592", "2.2")
def test_an_update_before_the_pairing_is_complete_comes_too_early(
    waiting: Answer, other: OtherSite
) -> None:
    response = call("PUT", waiting, unchanged(other, waiting))

    assert (response.status_code, response["Retry-After"]) == (503, "5")


@pytest.mark.rfc("7592", "2.3")
def test_the_other_site_ends_the_pairing(
    answer: Answer, other: OtherSite, user: Any, make_token_of_a: Callable[..., Any]
) -> None:
    pairing = Pairing.objects.get()
    assert pairing.peer
    token = make_token_of_a(pairing.peer, user)
    other.requests.clear()

    response = call("DELETE", answer)

    assert (response.status_code, response.content) == (204, b"")
    assert response["Cache-Control"] == "no-store"
    pairing.peer.refresh_from_db()
    assert not pairing.peer.enabled
    assert Link.objects.get().is_active, "its links end soon, as there may be thousands"
    assert api(token.raw) == 401
    chores.run()
    link = Link.objects.get()
    assert (link.is_active, link.incoming_reason) == (False, "revoked_by_peer")
    chores.run()
    pairing.refresh_from_db()
    assert (pairing.state, pairing.task, pairing.next_attempt_at) == ("ended", "", None)
    assert pairing.last_error == "The other site has ended the pairing."
    assert other.requests == [], "the other site knows it"
    for method in ("GET", "PUT", "DELETE"):
        assert call(method, answer, unchanged(other, answer)).status_code == 401


@pytest.mark.rfc("7592", "2.3")
def test_a_pairing_that_is_not_complete_is_ended_too(waiting: Answer, other: OtherSite) -> None:
    other.requests.clear()

    assert call("DELETE", waiting).status_code == 204

    chores.run()
    assert Pairing.objects.get().state == "ended"
    assert other.requests == []


@pytest.mark.rfc("7592", "2.3")
def test_very_many_links_end_in_several_steps(
    answer: Answer,
    user: Any,
    other_user: Any,
    make_token_of_a: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    peer = Pairing.objects.get().peer
    for person in (user, other_user):
        make_token_of_a(peer, person)
    monkeypatch.setattr(renewing, "_SECONDS_FOR_LINKS", -1)
    call("DELETE", answer)
    chores.run()
    assert Link.objects.filter(status="active").count() == 2
    pairing = Pairing.objects.get()
    assert (pairing.task, pairing.lease_until) == ("end", None)
    assert pairing.next_attempt_at
    assert pairing.next_attempt_at <= timezone.now()

    monkeypatch.undo()
    chores.run()

    assert Link.objects.filter(status="active").count() == 0


@pytest.mark.rfc("7592", "2.1")
def test_the_token_is_dead_when_the_peer_was_deleted(answer: Answer, other: OtherSite) -> None:
    pairing = Pairing.objects.get()
    assert pairing.peer
    pairing.peer.delete()

    assert call("GET", answer).status_code == 401
    assert call("DELETE", answer).status_code == 401


@pytest.mark.threat("PA10")
@pytest.mark.parametrize("is_ended", [False, True])
def test_the_secret_is_dead_when_the_peer_was_deleted(
    answer: Answer, other: OtherSite, is_ended: bool
) -> None:
    pairing = Pairing.objects.get()
    assert pairing.peer
    assert authenticates(answer)
    if is_ended:
        assert call("DELETE", answer).status_code == 204

    pairing.peer.delete()

    assert not authenticates(answer)


@pytest.mark.threat("PA13")
def test_a_registration_token_opens_nothing_else(
    answer: Answer, other: OtherSite, user: Any, make_token_of_a: Callable[..., Any]
) -> None:
    make_token_of_a(Pairing.objects.get().peer, user)
    for token in (answer["registration_access_token"], other.reverse_token):
        handover = {
            "grant_type": GRANT_TYPE,
            "code": "code-of-the-other-site",
            "client_id": answer["client_id"],
            "access_token": token,
        }
        assert api(token) == 401
        assert errors(answer, handover) == (400, "invalid_grant")
        refresh = {"grant_type": "refresh_token", "refresh_token": token}
        assert errors(answer, refresh) == (400, "invalid_grant")
        code = {"grant_type": "authorization_code", "code": token}
        assert errors(answer, code) == (400, "invalid_grant")
        assert not authenticates(answer, token)
        assert register(token, other.registration()).status_code == 401


def api(token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return Client().get("/api/playback/", headers=headers).status_code


def errors(answer: Answer, parameters: dict[str, str]) -> tuple[int, str]:
    headers = basic(answer["client_id"], answer["client_secret"])
    response = post_form(Client(), parameters, headers)
    return response.status_code, response.json()["error"]
