"""Testing the connection to a peer: on the command line, and with the button in the admin."""

import io
import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.models import Pairing, Peer
from reciprocal_oauth.peers import connection_check
from tests.conftest import OUR_SECRET
from tests.fakes import FakePeer, Received, Reply, token_response

METADATA = "/.well-known/oauth-authorization-server/o"
#: The checks of the token endpoint, and what they need.
FIRST = ["name", "tls", "metadata", "token_endpoint", "credentials", "grant"]
ALL = [
    *FIRST,
    "redirect_uri",
    "authorization_response",
    "scopes",
    "clock",
    "cookies",
    "worker",
]


def answering(code: Reply, handover: Reply) -> Callable[[Received], Reply]:
    """A token endpoint that says one thing to codes, and another to hand-overs."""
    return lambda received: handover if received.form["grant_type"] == GRANT_TYPE else code


def refusing(error: str, status: int = 400) -> Reply:
    return Reply.json(status, error=error)


@pytest.fixture
def well(fake_peer: FakePeer, peer: Peer, a_worker: None) -> FakePeer:
    """A peer that is set up well: it refuses what was made up, and nothing else."""
    fake_peer.answers["/token/"] = refusing("invalid_grant")
    fake_peer.answers[METADATA] = Reply.json(
        issuer=peer.issuer,
        authorization_endpoint=peer.authorization_endpoint,
        token_endpoint=peer.token_endpoint,
        revocation_endpoint=peer.revocation_endpoint,
        grant_types_supported=["authorization_code", GRANT_TYPE],
        scopes_supported=["play", "ask-back"],
    )
    return fake_peer


def states(code: int = 0) -> dict[str, str]:
    """What the command finds; it ends with ``code``."""
    out = io.StringIO()
    if code:
        with pytest.raises(SystemExit) as ended:
            call_command("reciprocal_peer", "test", "music", "--json", stdout=out)
        assert ended.value.code == code
    else:
        call_command("reciprocal_peer", "test", "music", "--json", stdout=out)
    assert OUR_SECRET not in out.getvalue()
    findings = json.loads(out.getvalue())
    assert [finding["check"] for finding in findings] == ALL
    assert all(finding["reason"] for finding in findings)
    found = {finding["check"]: finding["state"] for finding in findings}
    return {check: found[check] for check in FIRST}


def test_a_peer_that_refuses_only_what_was_made_up_passes(well: FakePeer) -> None:
    found = states()

    # On loopback, nothing is encrypted.
    assert found == {**dict.fromkeys(FIRST, "passed"), "tls": "unknown"}
    assert all(received.form["code"] for received in well.to("/token/"))


@pytest.mark.rfc("RFC 6749", "5.2")
@pytest.mark.parametrize("reply", [refusing("invalid_client", 401), refusing("invalid_client")])
def test_credentials_that_the_peer_refuses_fail(well: FakePeer, reply: Reply) -> None:
    well.answers["/token/"] = reply

    found = states(1)

    assert (found["token_endpoint"], found["credentials"]) == ("passed", "failed")
    assert found["grant"] == "unknown"
    assert len(well.to("/token/")) == 1


@pytest.mark.rfc("RFC 6749", "5.2")
@pytest.mark.parametrize("error", ["unsupported_grant_type", "unauthorized_client"])
def test_a_peer_without_the_grant_fails(well: FakePeer, error: str) -> None:
    well.answers["/token/"] = answering(refusing("invalid_grant"), refusing(error))

    found = states(1)

    assert (found["credentials"], found["grant"]) == ("passed", "failed")


@pytest.mark.rfc("RFC 6749", "5.2")
@pytest.mark.parametrize(
    ("status", "state"), [(400, "failed"), (401, "unknown"), (403, "unknown"), (429, "unknown")]
)
def test_a_page_that_refuses_is_not_taken_for_a_token_endpoint(
    well: FakePeer, status: int, state: str
) -> None:
    """Such as a form of Django's that misses its token."""
    well.answers["/token/"] = Reply(status, b"<h1>No</h1>", {"Content-Type": "text/html"})

    found = states(0 if status in (403, 429) else 1)

    assert found["token_endpoint"] == state


@pytest.mark.rfc("RFC 6749", "5.2")
@pytest.mark.parametrize("status", [400, 401, 403, 429])
def test_a_token_endpoint_says_which_error_it_was(well: FakePeer, status: int) -> None:
    well.answers["/token/"] = refusing("invalid_request", status)

    assert states(1 if status == 401 else 0)["token_endpoint"] == "passed"


def test_a_page_where_codes_are_handed_over_is_not_taken_for_the_grant(well: FakePeer) -> None:
    page = Reply(400, b"<h1>No</h1>", {"Content-Type": "text/html"})
    well.answers["/token/"] = answering(refusing("invalid_grant"), page)

    assert states()["grant"] == "unknown"


def test_an_answer_that_does_not_tell_is_not_taken_for_the_grant(well: FakePeer) -> None:
    del well.answers[METADATA]
    well.answers["/token/"] = answering(refusing("invalid_grant"), refusing("invalid_request"))

    found = states(1)

    assert (found["metadata"], found["grant"]) == ("failed", "unknown")


def test_metadata_with_another_address_fails(well: FakePeer, peer: Peer) -> None:
    Peer.objects.filter(pk=peer.pk).update(revocation_endpoint=f"{well.url}/elsewhere/")

    assert states(1)["metadata"] == "failed"


@pytest.mark.rfc("6749", "3.1")
def test_a_query_that_was_added_here_is_no_other_address(well: FakePeer, peer: Peer) -> None:
    here = f"{peer.authorization_endpoint}?access_type=offline"
    Peer.objects.filter(pk=peer.pk).update(authorization_endpoint=here)

    assert states()["metadata"] == "passed"


def test_an_address_that_is_left_out_here_is_no_fault(well: FakePeer, peer: Peer) -> None:
    Peer.objects.filter(pk=peer.pk).update(revocation_endpoint="")

    assert states()["metadata"] == "passed"


def test_an_unknown_code_may_be_refused_with_401(well: FakePeer) -> None:
    """Some servers do."""
    well.answers["/token/"] = refusing("invalid_grant", 401)

    assert states(1)["credentials"] == "passed"


@pytest.mark.rfc("9207", "2.4")
@pytest.mark.parametrize(
    ("promised", "expected", "state", "words"),
    [
        (True, True, "passed", "All addresses agree."),
        (False, False, "passed", "All addresses agree."),
        (True, False, "passed", "Switch on “sends its issuer in"),
        (False, True, "unknown", "does not say that the peer names its issuer"),
    ],
)
def test_whether_its_answers_name_the_issuer_is_compared(
    well: FakePeer, peer: Peer, promised: bool, expected: bool, state: str, words: str
) -> None:
    document = json.loads(well.answers[METADATA].body)  # type: ignore[union-attr]
    document["authorization_response_iss_parameter_supported"] = promised
    well.answers[METADATA] = Reply.json(**document)
    Peer.objects.update(sends_iss=expected)

    found = next(
        each for each in connection_check.run(Peer.objects.get()) if each.check == "metadata"
    )

    assert (found.state, words in found.reason) == (state, True)


def test_a_peer_without_issuer_has_no_metadata_to_read(well: FakePeer, peer: Peer) -> None:
    Peer.objects.filter(pk=peer.pk).update(issuer="")

    assert states()["metadata"] == "unknown"


@pytest.mark.parametrize("reply", [token_response(), Reply(204), Reply(200, b"<h1>Hello</h1>")])
def test_a_peer_that_takes_what_was_made_up_fails(well: FakePeer, reply: Reply) -> None:
    well.answers["/token/"] = reply

    assert states(1)["token_endpoint"] == "failed"


@pytest.mark.parametrize("status", [200, 202, 204])
def test_a_peer_that_takes_a_hand_over_that_was_made_up_fails(well: FakePeer, status: int) -> None:
    well.answers["/token/"] = answering(refusing("invalid_grant"), Reply(status))

    found = states(1)

    assert (found["credentials"], found["grant"]) == ("passed", "failed")


def test_a_peer_that_is_down_fails_without_a_word_about_credentials(
    fake_peer: FakePeer, peer: Peer
) -> None:
    fake_peer.stop()

    found = states(1)

    assert found["token_endpoint"] == "failed"
    assert found["credentials"] == found["grant"] == "unknown"


def test_a_name_that_leads_into_a_private_network_is_not_called(well: FakePeer, peer: Peer) -> None:
    Peer.objects.filter(pk=peer.pk).update(token_endpoint="https://10.0.0.1/token/")

    assert states(1)["name"] == "failed"
    assert well.requests == []


@pytest.mark.threat("X7")
def test_a_secret_that_no_key_reads_fails_without_being_sent(
    admin_client: Client, well: FakePeer, peer: Peer, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    }

    found = states(1)

    unknown = dict.fromkeys(FIRST, "unknown")
    assert found == {**unknown, "name": "passed", "metadata": "passed", "credentials": "failed"}
    assert well.to("/token/") == []
    assert "cannot be read with the keys" in page_of(admin_client, peer).content.decode()


def page_of(browser: Client, peer: Peer, method: str = "post") -> Any:
    url = reverse("admin:reciprocal_oauth_peer_test", args=[peer.pk])
    return getattr(browser, method)(url)


def test_the_button_on_the_peers_page_shows_the_findings(
    admin_client: Client, well: FakePeer, peer: Peer
) -> None:
    well.answers["/token/"] = refusing("invalid_client", 401)
    change = reverse("admin:reciprocal_oauth_peer_change", args=[peer.pk])
    action = reverse("admin:reciprocal_oauth_peer_test", args=[peer.pk])
    assert f'action="{action}"' in admin_client.get(change).content.decode()

    text = page_of(admin_client, peer).content.decode()

    assert "It refuses our credentials." in text
    assert len(re.findall('<th scope="row">', text)) == len(ALL)
    assert OUR_SECRET not in text


def test_looking_at_the_address_of_the_test_sends_nothing(
    admin_client: Client, well: FakePeer, peer: Peer
) -> None:
    assert page_of(admin_client, peer, "get").status_code == 405
    assert well.requests == []


def test_who_may_only_look_at_peers_cannot_test_them(
    client: Client, well: FakePeer, peer: Peer
) -> None:
    user = get_user_model().objects.create_user("clerk", password="clerk", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_peer"))
    client.force_login(user)

    assert page_of(client, peer).status_code == 403
    assert well.requests == []


def test_the_button_needs_the_token_against_forged_requests(
    well: FakePeer, peer: Peer, admin_user: Any
) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(admin_user)

    assert page_of(browser, peer).status_code == 403
    assert well.requests == []


@pytest.mark.rfc("7523", "2.2")
def test_of_a_refused_signature_it_says_what_the_peer_must_know(
    admin_client: Client, well: FakePeer, peer: Peer
) -> None:
    peer.token_endpoint_auth_method = Peer.AuthMethod.PRIVATE_KEY_JWT
    peer.save()
    assert states()["credentials"] == "passed"
    assert all(received.form["client_assertion"] for received in well.to("/token/"))

    well.answers["/token/"] = refusing("invalid_client", 401)
    text = page_of(admin_client, peer).content.decode()

    assert "/o/reciprocal/jwks.json? Does it know us by" in text
    assert peer.issuer in text


@pytest.mark.threat("JC7")
def test_a_key_that_cannot_be_decrypted_is_named(
    admin_client: Client, well: FakePeer, peer: Peer, settings: Any
) -> None:
    peer.token_endpoint_auth_method = Peer.AuthMethod.PRIVATE_KEY_JWT
    peer.save()
    kid = site_keys.signing_key().kid
    settings.RECIPROCAL_OAUTH = {
        **settings.RECIPROCAL_OAUTH,
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode()],
    }

    text = page_of(admin_client, peer).content.decode()

    assert well.to("/token/") == []
    assert f"The key {kid} of this site cannot be decrypted" in text


@pytest.mark.parametrize("is_good", [True, False], ids=["all is well", "it fails again"])
def test_a_later_test_without_a_failure_takes_the_place_of_that_of_a_pairing(
    good_peer: FakePeer, peer: Peer, is_good: bool
) -> None:
    """Otherwise, the status of the site would tell of the first one for ever."""
    former = [{"check": "token", "state": "failed"}]
    pairing = Pairing.objects.create(
        role="accepter", state="complete", peer=peer, findings=former, expires_at=timezone.now()
    )
    if not is_good:
        good_peer.answers["/token/"] = Reply.json(401, error="invalid_client")

    findings = connection_check.run(peer)

    pairing.refresh_from_db()
    assert pairing.findings == ([each.as_dict() for each in findings] if is_good else former)
