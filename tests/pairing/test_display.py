"""What two sites say of themselves when they pair, and what people then see of it."""

import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.core.site_metadata import LENGTHS
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.pairing import accepting, inviting, sending

from ..fakes import Reply
from .other_site import METADATA, OUR_ISSUER, REGISTER, OtherSite, code_in, register, terms

pytestmark = pytest.mark.django_db

OURS = {
    "description": "A music service.",
    "logo_uri": "https://testserver/logo.png",
    "policy_uri": "https://testserver/privacy/",
    "tos_uri": "https://testserver/terms/",
    "account_endpoint": "https://testserver/api/whoami/",
    "account_member": "username",
}


def said_by(other: OtherSite, **changes: Any) -> dict[str, Any]:
    """The members with which the other site describes itself."""
    return {
        "reciprocal_description": "A voice assistant.",
        "logo_uri": f"{other.url}/logo.png",
        "policy_uri": f"{other.url}/privacy/",
        "tos_uri": f"{other.url}/terms/",
        "reciprocal_account_endpoint": f"{other.url}/api/me/",
        "reciprocal_account_member": "user.name",
        **changes,
    }


def shown_of(peer: Peer | None) -> dict[str, str]:
    """What people see of a peer, by the name of the field."""
    assert peer
    peer.refresh_from_db()
    return {name: getattr(peer, name) for name in LENGTHS}


def fields_for(other: OtherSite) -> dict[str, str]:
    return {name.removeprefix("reciprocal_"): text for name, text in said_by(other).items()}


def completed(invited: tuple[Pairing, str], other: OtherSite, **said: Any) -> Pairing:
    pairing, code = invited
    assert register(code, other.registration(**said)).status_code == 201
    sending.send(pairing)
    assert pairing.state == "complete", pairing.last_error
    return pairing


def put(answer: dict[str, Any], body: dict[str, Any]) -> Any:
    return Client().put(
        answer["registration_client_uri"].removeprefix("https://testserver"),
        json.dumps(body),
        content_type="application/json",
        headers={"Authorization": f"Bearer {answer['registration_access_token']}"},
    )


# Sent


@pytest.mark.rfc("7591", "2")
def test_both_sides_send_what_this_site_says_of_itself(
    settings: Settings, invited: tuple[Pairing, str], other: OtherSite
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": OURS}

    completed(invited, other)

    (received,) = other.received
    sent = json.loads(received.body)
    for name in ("logo_uri", "policy_uri", "tos_uri"):
        assert sent[name] == OURS[name]
    for name in ("description", "account_endpoint", "account_member"):
        assert sent[f"reciprocal_{name}"] == OURS[name]


def test_a_site_that_says_nothing_sends_no_member_for_it(accepted: Pairing) -> None:
    sent = json.loads(accepted.body.reveal())

    assert not set(sent) & {"logo_uri", "policy_uri", "tos_uri", "reciprocal_description"}


@pytest.mark.parametrize(
    ("wrong", "left"),
    [
        ({"logo_uri": "https://cdn.example/logo.png"}, {"logo_uri"}),
        ({"policy_uri": "javascript:alert(1)"}, {"policy_uri"}),
        ({"tos_uri": "/terms/"}, {"tos_uri"}),
        ({"description": "x" * 501}, {"description"}),
        ({"account_member": ""}, {"account_endpoint", "account_member"}),
        ({"account_endpoint": "http://testserver/me"}, {"account_endpoint", "account_member"}),
    ],
)
def test_what_a_peer_would_leave_out_is_not_sent(
    settings: Settings, wrong: dict[str, str], left: set[str], accepted: Pairing
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": OURS | wrong}

    sent = accepting.our_members(accepted)

    names = {name for name in OURS if name in sent or f"reciprocal_{name}" in sent}
    assert names == set(OURS) - left


@pytest.mark.rfc("8414", "2")
def test_the_metadata_names_what_needs_no_pairing(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": OURS}

    found = Client().get("/.well-known/oauth-authorization-server/o").json()

    assert found["issuer"] == OUR_ISSUER
    assert found["op_policy_uri"] == OURS["policy_uri"]
    assert found["op_tos_uri"] == OURS["tos_uri"]
    assert found["reciprocal_description"] == OURS["description"]


# Received


@pytest.mark.rfc("7591", "2")
@pytest.mark.rfc("7591", "3.2.1")
def test_the_peer_gets_what_the_other_site_says_of_itself(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    answer = register(code, other.registration(**said_by(other))).json()
    sending.send(pairing)

    assert shown_of(pairing.peer) == fields_for(other)
    assert answer.items() >= said_by(other).items()


def test_the_site_that_accepts_gets_it_too(
    registered: Pairing, reverse_token: str, other: OtherSite
) -> None:
    body = other.registration(reciprocal_registration_token=..., **said_by(other))

    assert register(reverse_token, body).status_code == 201

    registered.refresh_from_db()
    assert shown_of(registered.peer) == fields_for(other)


@pytest.mark.threat("PA16")
@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("logo_uri", "https://evil.example/logo.png"),
        ("logo_uri", "http://169.254.169.254/latest/"),
        ("logo_uri", "data:image/png;base64,AAAA"),
        ("policy_uri", "javascript:alert(1)"),
        ("policy_uri", "{url}@evil.example/"),
        ("tos_uri", "{url}/" + "a" * 500),
        ("tos_uri", "/terms/"),
        ("tos_uri", ["{url}/terms/"]),
        ("reciprocal_account_endpoint", "https://evil.example/me/"),
        ("reciprocal_account_endpoint", "file:///etc/passwd"),
        ("reciprocal_account_endpoint", 7),
        ("reciprocal_account_member", "a" * 101),
        ("reciprocal_account_member", "user..name"),
        ("reciprocal_account_member", "user\u202ename"),
        ("reciprocal_account_member", {"a": 1}),
        ("reciprocal_description", ["A voice assistant."]),
        ("reciprocal_description", 5),
        ("reciprocal_description", "\u202e\u200b"),
    ],
)
def test_a_wrong_value_is_left_out_and_the_sites_pair(
    invited: tuple[Pairing, str], other: OtherSite, member: str, value: Any
) -> None:
    if isinstance(value, str):
        value = value.replace("{url}", other.url)

    pairing = completed(invited, other, **said_by(other, **{member: value}))

    name = member.removeprefix("reciprocal_")
    gone = {"account_endpoint", "account_member"} if "account" in name else {name}
    assert shown_of(pairing.peer) == {**fields_for(other), **dict.fromkeys(gone, "")}


@pytest.mark.threat("PA8")
def test_a_long_text_is_cut_and_is_plain(invited: tuple[Pairing, str], other: OtherSite) -> None:
    text = "<b>A\u202e voice\nassistant</b> " + "x" * 10_000

    pairing = completed(invited, other, reciprocal_description=text)

    description = shown_of(pairing.peer)["description"]
    assert description.startswith("<b>A voice assistant</b> xxx")
    assert len(description) == 500


def test_a_site_that_knows_only_rfc_7591_says_nothing_of_itself(
    invited_all: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited_all

    register(code, other.registration(reciprocal_issuer=..., **said_by(other)))

    pairing.refresh_from_db()
    assert (pairing.state, pairing.display) == ("accepted", {})


def test_a_claim_that_was_not_confirmed_leaves_nothing(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    register(code, other.registration(**said_by(other)))
    other.answers[REGISTER] = Reply.json(401, error="invalid_token")

    sending.send(pairing)

    assert (pairing.state, pairing.display) == ("open", {})


# Shown


def test_an_administrator_sees_it_before_confirming(
    invited_all: tuple[Pairing, str], other: OtherSite, admin_client: Client
) -> None:
    pairing, code = invited_all
    description = "<i>A voice assistant.</i>"
    said = said_by(other, reciprocal_description=description)
    register(code, other.registration(**said))

    url = f"/admin/reciprocal_oauth/pairing/{pairing.pk}/confirm/"
    page = admin_client.get(url).content.decode()
    out = StringIO()
    call_command("reciprocal_pair", "show", "other", stdout=out)
    document = StringIO()
    call_command("reciprocal_pair", "show", "other", "--json", stdout=document)

    assert "&lt;i&gt;A voice assistant.&lt;/i&gt;" in page
    for text in (f"{other.url}/logo.png", f"{other.url}/privacy/", f"{other.url}/api/me/"):
        assert text in page
        assert text in out.getvalue()
        assert f'href="{text}' not in page, "nobody should visit it before the site is confirmed"
    assert json.loads(document.getvalue())["display"]["description"] == description


def test_an_administrator_sees_the_metadata_before_accepting(
    other: OtherSite, admin_client: Client
) -> None:
    other.metadata |= {
        "reciprocal_description": "A voice assistant.",
        "op_policy_uri": f"{other.url}/privacy/",
    }

    url = "/admin/reciprocal_oauth/pairing/accept/"
    page = admin_client.post(url, {"invitation": other.invitation()}).content.decode()

    assert "A voice assistant." in page
    assert f"{other.url}/privacy/" in page


# Changed later


@pytest.mark.rfc("7592", "2.2")
def test_an_update_changes_it_but_not_what_an_administrator_has_entered(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    pairing, code = invited
    answer = register(code, other.registration(**said_by(other))).json()
    sending.send(pairing)
    Peer.objects.update(description="Ours", account_member="nick", tos_uri="")
    changed = {
        "client_id": answer["client_id"],
        "reciprocal_allowed_scope": other.answer["reciprocal_allowed_scope"],
        "reciprocal_registration_token": ...,
    }
    said = {"policy_uri": f"{other.url}/new/", "tos_uri": f"{other.url}/new/"}
    account = {"reciprocal_account_endpoint": f"{other.url}/new/"}
    new = other.registration(**changed, **said_by(other, **said, **account, logo_uri=...))

    assert put(answer, new).status_code == 200

    assert shown_of(pairing.peer) == {
        "description": "Ours",
        "logo_uri": "",
        "policy_uri": f"{other.url}/new/",
        "tos_uri": "",
        "account_endpoint": f"{other.url}/api/me/",
        "account_member": "nick",
    }


@pytest.mark.rfc("7592", "2.2")
def test_what_was_answered_can_be_sent_back(invited: tuple[Pairing, str], other: OtherSite) -> None:
    pairing, code = invited
    answer = register(code, other.registration(**said_by(other))).json()
    sending.send(pairing)
    hidden = ("client_secret_expires_at", "registration_access_token", "registration_client_uri")

    sent = {name: value for name, value in answer.items() if name not in hidden}
    sent.pop("client_id_issued_at")

    assert put(answer, sent).status_code == 200
    assert shown_of(pairing.peer) == fields_for(other)


def test_a_renewal_changes_what_the_other_site_said_and_nothing_else(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    peer = completed(invited, other, **said_by(other)).peer
    assert peer
    Peer.objects.update(description="Ours")

    partner = inviting.look_up(other.issuer)
    again, text = inviting.invite(terms(renews=True), partner=partner)
    new = said_by(other, reciprocal_description="New", logo_uri=f"{other.url}/new.png", tos_uri=...)
    completed((again, code_in(text)), other, **new)

    assert shown_of(peer) == {
        **fields_for(other),
        "description": "Ours",
        "logo_uri": f"{other.url}/new.png",
        "tos_uri": "",
    }


def test_a_renewal_of_a_peer_by_hand_fills_in_what_is_blank(
    make_peer: Callable[..., Peer], other: OtherSite
) -> None:
    endpoints = ("authorization_endpoint", "token_endpoint", "revocation_endpoint")
    values = {name: other.metadata[name] for name in endpoints}
    peer = make_peer("other", other.url, client_id="us-there", tos_uri=f"{other.url}/x", **values)
    other.metadata["op_tos_uri"] = f"{other.url}/terms-in-metadata/"

    partner = inviting.look_up(other.issuer)
    pairing, text = inviting.invite(terms(renews=True), partner=partner)
    completed((pairing, code_in(text)), other, **said_by(other))

    assert shown_of(peer) == {**fields_for(other), "tos_uri": f"{other.url}/x"}


def test_the_registration_goes_before_the_metadata(
    invited: tuple[Pairing, str], other: OtherSite
) -> None:
    other.metadata |= {"op_policy_uri": f"{other.url}/a/", "op_tos_uri": f"{other.url}/b/"}

    pairing = completed(invited, other, policy_uri=f"{other.url}/c/")

    shown = shown_of(pairing.peer)
    assert (shown["policy_uri"], shown["tos_uri"]) == (f"{other.url}/c/", f"{other.url}/b/")
    assert other.to(METADATA)


def test_the_limits_are_those_of_the_fields() -> None:
    for name, length in LENGTHS.items():
        assert Peer._meta.get_field(name).max_length == length
