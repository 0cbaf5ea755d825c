"""``reciprocal_peer add --register``: this site registers itself at a server of other software."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.models import Pairing, Peer, SiteKey
from reciprocal_oauth.secret import Secret

from ..fakes import FakePeer, Received, Reply
from .peer_command import refusal, run

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "initial-access-token-of-them"
WELL_KNOWN = "/.well-known/oauth-authorization-server"
FLAGS = (
    "--name=Music",
    "--redirect-uri=https://music.example/callback/",
    "--scope=play",
    "--allowed-scope=profile",
    "--base-url=https://us.example",
    "--register",
)


@pytest.fixture
def metadata(fake_peer: FakePeer) -> dict[str, Any]:
    """What the metadata of the other site says; a test can change it."""
    members: dict[str, Any] = {
        "issuer": fake_peer.url,
        "authorization_endpoint": f"{fake_peer.url}/authorize",
        "token_endpoint": f"{fake_peer.url}/token",
        "revocation_endpoint": f"{fake_peer.url}/revoke",
        "registration_endpoint": f"{fake_peer.url}/reg",
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
    }
    fake_peer.answers[WELL_KNOWN] = lambda received: Reply.json(**members)
    return members


@pytest.fixture
def answer(fake_peer: FakePeer, metadata: dict[str, Any]) -> Callable[..., None]:
    """Has the other site register us, and answer as RFC 7591, section 3.2.1, says."""

    def set_to(**changes: Any) -> None:
        def register(received: Received) -> Reply:
            members = {
                **json.loads(received.body),
                "client_id": "us-there",
                "client_secret": "secret-there",
                "client_secret_expires_at": 0,
                "registration_access_token": "management-token",
                "registration_client_uri": f"{fake_peer.url}/reg/us-there",
                **changes,
            }
            return Reply.json(201, **{k: v for k, v in members.items() if v is not None})

        fake_peer.answers["/reg"] = register

    set_to()
    return set_to


def add(fake_peer: FakePeer, *flags: str, **options: Any) -> str:
    return run("add", "music", *FLAGS, f"--discover={fake_peer.url}", *flags, **options)


@pytest.mark.rfc("7591", "2")
@pytest.mark.usefixtures("answer")
def test_of_what_this_site_says_of_itself_only_what_the_rfc_names_is_sent(
    fake_peer: FakePeer, settings: Settings
) -> None:
    said = {
        "description": "A music service.",
        "policy_uri": "https://us.example/privacy/",
        "tos_uri": "https://elsewhere.example/terms/",
        "account_endpoint": "https://us.example/api/whoami/",
        "account_member": "username",
    }
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "SITE_METADATA": said}

    add(fake_peer)

    sent = json.loads(fake_peer.to("/reg")[0].body)
    assert sent["policy_uri"] == said["policy_uri"]
    assert not [name for name in sent if name == "tos_uri" or name.startswith("reciprocal_")]


@pytest.mark.rfc("7591", "2")
@pytest.mark.rfc("7591", "3.1")
@pytest.mark.usefixtures("answer")
def test_what_is_sent_is_known_to_every_server(fake_peer: FakePeer) -> None:
    add(fake_peer, "--initial-access-token=-", stdin=f"{TOKEN}\n")

    (sent,) = fake_peer.to("/reg")
    assert sent.headers["Authorization"] == f"Bearer {TOKEN}"
    assert json.loads(sent.body) == {
        "client_name": "us.example",
        "client_uri": "https://us.example/",
        "redirect_uris": ["https://us.example/connections/music/callback/"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "client_secret_basic",
        "scope": "play",
    }


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.rfc("7592", "3")
@pytest.mark.usefixtures("answer")
def test_the_response_makes_the_peer_and_keeps_the_access_to_the_registration(
    fake_peer: FakePeer,
) -> None:
    err = io.StringIO()
    out = add(fake_peer, stderr=err)

    peer = Peer.objects.get()
    assert (peer.client_id, peer.client_secret) == ("us-there", Secret("secret-there"))
    assert peer.token_endpoint == f"{fake_peer.url}/token"
    pairing = peer.pairing
    assert (pairing.role, pairing.state) == ("registrant", "complete")
    assert (pairing.issuer, pairing.our_client_id) == (fake_peer.url, "us-there")
    assert pairing.our_token == Secret("management-token")
    assert pairing.our_management_uri == f"{fake_peer.url}/reg/us-there"
    assert "Give this to the other site" in out
    for secret in ("secret-there", "management-token", TOKEN):
        assert secret not in out + err.getvalue()


@pytest.mark.usefixtures("answer")
def test_the_name_and_the_scope_there_are_those_that_were_asked_for(fake_peer: FakePeer) -> None:
    add(fake_peer, "--our-name=The Assistant", "--scope=")

    sent = json.loads(fake_peer.to("/reg")[0].body)
    assert sent["client_name"] == "The Assistant"
    assert "scope" not in sent


@pytest.mark.rfc("8414", "2")
@pytest.mark.usefixtures("answer")
@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        (["authorization_code"], ["authorization_code"]),
        (None, ["authorization_code", "refresh_token"]),
        (["refresh_token", "authorization_code", "x"], ["authorization_code", "refresh_token"]),
    ],
)
def test_a_grant_that_the_server_does_not_list_is_not_asked_for(
    fake_peer: FakePeer, metadata: dict[str, Any], listed: list[str] | None, sent: list[str]
) -> None:
    metadata["grant_types_supported"] = listed

    add(fake_peer)
    assert json.loads(fake_peer.to("/reg")[0].body)["grant_types"] == sent


@pytest.mark.usefixtures("answer")
def test_the_secret_goes_in_the_body_at_a_server_that_lists_nothing_else(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post", "none"]

    add(fake_peer)
    assert Peer.objects.get().token_endpoint_auth_method == "client_secret_post"


KEYS = ["private_key_jwt", "client_secret_basic"]


@pytest.mark.rfc("7591", "2")
@pytest.mark.usefixtures("answer")
@pytest.mark.parametrize(
    ("algorithms", "used"), [(["ES256", "RS256"], "ES256"), (["RS256", "PS256"], "RS256")]
)
def test_at_a_server_that_knows_keys_there_is_no_secret(
    fake_peer: FakePeer,
    metadata: dict[str, Any],
    answer: Callable[..., None],
    algorithms: list[str],
    used: str,
) -> None:
    metadata["token_endpoint_auth_methods_supported"] = KEYS
    metadata["token_endpoint_auth_signing_alg_values_supported"] = algorithms
    answer(client_secret=None)

    add(fake_peer)

    sent = json.loads(fake_peer.to("/reg")[0].body)
    assert sent["token_endpoint_auth_method"] == "private_key_jwt"
    assert sent["jwks_uri"] == "https://us.example/o/reciprocal/jwks.json"
    peer = Peer.objects.get()
    assert (peer.token_endpoint_auth_method, peer.client_secret) == ("private_key_jwt", Secret(""))
    assert peer.assertion_algorithm == used
    assert used in {key.alg for key in SiteKey.objects.all()}


@pytest.mark.usefixtures("answer")
@pytest.mark.parametrize(
    ("algorithms", "flags"),
    [(["EdDSA"], []), (["ES256"], ["--auth-method=client_secret_basic"])],
    ids=["no algorithm", "not wanted"],
)
def test_a_secret_is_used_where_no_key_can_be(
    fake_peer: FakePeer, metadata: dict[str, Any], algorithms: list[str], flags: list[str]
) -> None:
    metadata["token_endpoint_auth_methods_supported"] = KEYS
    metadata["token_endpoint_auth_signing_alg_values_supported"] = algorithms

    add(fake_peer, *flags)
    assert Peer.objects.get().token_endpoint_auth_method == "client_secret_basic"


def test_a_server_without_a_method_that_we_have_gets_nothing(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    metadata["token_endpoint_auth_methods_supported"] = ["tls_client_auth"]

    with pytest.raises(CommandError, match="no authentication method that this site knows"):
        add(fake_peer)
    assert fake_peer.to("/reg") == []


# Remarks


def remarks(fake_peer: FakePeer) -> str:
    err = io.StringIO()
    add(fake_peer, stderr=err)
    return err.getvalue()


@pytest.mark.rfc("7592", "3")
@pytest.mark.parametrize(
    "changes",
    [
        {"registration_access_token": None},
        {"registration_client_uri": None},
        {"registration_client_uri": "https://elsewhere.example/reg/us-there"},
    ],
    ids=str,
)
def test_without_access_to_the_registration_the_command_says_what_cannot_be_done(
    fake_peer: FakePeer, answer: Callable[..., None], changes: dict[str, Any]
) -> None:
    answer(**changes)

    assert "cannot get a new secret" in remarks(fake_peer)
    assert Peer.objects.get().client_id == "us-there"
    assert not Pairing.objects.exists()


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.parametrize(
    ("changes", "remark"),
    [
        ({"redirect_uris": ["https://other.example/"]}, "did not register the redirect URI"),
        ({"redirect_uris": [["x"]]}, "did not register the redirect URI"),
        ({"scope": "listen"}, "does not let this site ask for: play"),
        ({"client_secret_expires_at": 1900000000}, "expires on March 17, 2030"),
        ({"token_endpoint_auth_method": "client_secret_post"}, "client_secret_post"),
    ],
    ids=str,
)
def test_what_the_server_registered_otherwise_is_told(
    fake_peer: FakePeer, answer: Callable[..., None], changes: dict[str, Any], remark: str
) -> None:
    answer(**changes)

    assert remark in remarks(fake_peer)
    method = changes.get("token_endpoint_auth_method", "client_secret_basic")
    assert Peer.objects.get().token_endpoint_auth_method == method


# What goes wrong


@pytest.mark.usefixtures("answer")
def test_nothing_is_sent_before_everything_else_is_right(fake_peer: FakePeer) -> None:
    found = refusal(
        "add", "music", *FLAGS, f"--discover={fake_peer.url}", "--allowed-scope=unknown"
    )

    assert found.keys() == {"--allowed-scope"}
    assert fake_peer.to("/reg") == []


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.threat("G2")
@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (Reply.json(401, error="invalid_token"), "refused the initial access token, or needs one"),
        (
            Reply.json(400, error="invalid_redirect_uri", error_description="Not this one."),
            "HTTP 400 invalid_redirect_uri). It says: “Not this one.”",
        ),
        (Reply.json(400, error="x", error_description=f"bad {TOKEN}"), "HTTP 400 x)."),
        (Reply(404, b"<html>"), "HTTP 404"),
        (Reply.json(201, client_id="us-there"), "has no client_secret"),
        (
            Reply.json(201, client_id="us-there", token_endpoint_auth_method="none"),
            "method that this site does not have",
        ),
        (Reply(201, b"[]"), "no client_id"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_refusal_saves_nothing_and_is_explained(
    fake_peer: FakePeer, metadata: dict[str, Any], reply: Reply, words: str
) -> None:
    fake_peer.answers["/reg"] = reply

    with pytest.raises(CommandError) as raised:
        add(fake_peer, "--initial-access-token", TOKEN)

    assert words in str(raised.value)
    assert "Nothing was saved" in str(raised.value)
    assert TOKEN not in str(raised.value)
    assert not Peer.objects.exists()
    assert not get_application_model().objects.exists()


@pytest.mark.threat("G1")
@pytest.mark.usefixtures("answer")
def test_a_token_goes_to_another_host_only_if_it_is_named(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    elsewhere = fake_peer.url.replace("127.0.0.1", "localhost") + "/reg"
    metadata["registration_endpoint"] = elsewhere

    with pytest.raises(CommandError, match="at another host"):
        add(fake_peer, "--initial-access-token", TOKEN)
    assert fake_peer.to("/reg") == []

    add(fake_peer, "--initial-access-token", TOKEN, "--registration-endpoint", elsewhere)
    assert len(fake_peer.to("/reg")) == 1


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--client-id=us"], "It sets --client-id"),
        (["--client-secret=secret"], "It sets --client-secret"),
        (["--dialect=google"], "This vendor has a console"),
        (["--registration-endpoint=http://music.example/reg"], "must begin with https"),
    ],
    ids=str,
)
def test_flags_that_do_not_go_together_are_refused(
    fake_peer: FakePeer, metadata: dict[str, Any], flags: list[str], words: str
) -> None:
    with pytest.raises(CommandError, match=words):
        add(fake_peer, *flags)


def test_a_site_without_registration_is_named(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    del metadata["registration_endpoint"]

    with pytest.raises(CommandError, match="names no registration endpoint"):
        add(fake_peer)


def test_without_an_address_nothing_can_be_registered() -> None:
    with pytest.raises(CommandError, match="Give the address of the other site with --discover"):
        run("add", "music", *FLAGS)


@pytest.mark.usefixtures("metadata")
def test_a_site_that_does_not_know_its_address_cannot_register(fake_peer: FakePeer) -> None:
    flags = [flag for flag in FLAGS if not flag.startswith("--base-url")]

    with pytest.raises(CommandError, match="The address of this site is not known"):
        run("add", "music", *flags, f"--discover={fake_peer.url}")


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.threat("G3")
def test_a_registration_that_cannot_be_used_is_deleted_there(
    fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    answer(token_endpoint_auth_method="none", client_secret=None)

    with pytest.raises(CommandError):
        add(fake_peer)
    assert [each.method for each in fake_peer.to("/reg/us-there")] == ["DELETE"]


# A peer that exists


@pytest.mark.rfc("7591", "3.1")
def test_a_peer_that_exists_is_registered_again_after_a_confirmation(
    fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    add(fake_peer)
    answer(client_id="us-again", client_secret="secret-again", registration_access_token="again")

    reasons = refusal("add", "music", "--register", "--base-url=https://us.example")
    assert "client ID of this site at the peer" in reasons["--accept-changes"][0]
    run("add", "music", "--register", "--base-url=https://us.example", "--accept-changes")

    peer = Peer.objects.get()
    assert (peer.client_id, peer.client_secret) == ("us-again", Secret("secret-again"))
    assert peer.pairing.our_token == Secret("again")
    (earlier,) = Pairing.objects.exclude(pk=peer.pairing.pk)
    assert (earlier.state, earlier.peer, bool(earlier.our_token)) == ("replaced", None, False)


@pytest.mark.rfc("7592", "2.3")
@pytest.mark.threat("G3")
@pytest.mark.usefixtures("answer")
def test_a_registration_that_cannot_be_saved_is_deleted_there(
    fake_peer: FakePeer, answer: Callable[..., None]
) -> None:
    def meanwhile(received: Received) -> Reply:
        # Another administrator is faster.
        answer()
        other: Any = fake_peer.answers["/reg"]
        application = get_application_model().objects.create(
            client_type="confidential",
            authorization_grant_type="authorization-code",
            redirect_uris="https://music.example/callback/",
        )
        Peer.objects.create(slug="music", name="Music", application=application, client_id="x")
        reply: Reply = other(received)
        return reply

    fake_peer.answers["/reg"] = meanwhile
    fake_peer.answers["/reg/us-there"] = Reply(204, b"")

    with pytest.raises(CommandError, match="--accept-changes"):
        add(fake_peer)

    (deleted,) = fake_peer.to("/reg/us-there")
    assert (deleted.method, deleted.headers["Authorization"]) == (
        "DELETE",
        "Bearer management-token",
    )
    assert not Pairing.objects.exists()
