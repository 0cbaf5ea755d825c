"""Our site registers itself at authorization servers of other projects (RFC 7591, RFC 7592)."""

from collections.abc import Callable
from typing import Any

import pytest

from example_project.driver import Person
from example_project.sites import SiteError

from .foreign import (
    DOT,
    OIDC_PROVIDER_WITH_KEY,
    OIDC_PROVIDER_WITH_SECRET,
    REGISTRATION_TOKEN,
    ForeignSite,
    Kind,
    OurSite,
)

pytestmark = pytest.mark.interop

StartWith = Callable[[Kind], tuple[OurSite, ForeignSite]]

KINDS = [DOT, OIDC_PROVIDER_WITH_SECRET, OIDC_PROVIDER_WITH_KEY]

#: What our site stored of its registration there.
READ_REGISTRATION = """
import json
from reciprocal_oauth.models import Peer
peer = Peer.objects.get()
print(json.dumps({
    "client_id": peer.client_id, "has_secret": bool(peer.client_secret),
    "auth_method": peer.token_endpoint_auth_method, "role": peer.pairing.role,
    "uri": peer.pairing.our_management_uri,
}))
"""
CALL = """
import json
import reciprocal_oauth
from reciprocal_oauth.models import Link
{first}
link = Link.objects.get(status="active")
response = reciprocal_oauth.get_session(link).get("{url}/whoami")
print(json.dumps({{"status": response.status_code, "body": response.json()}}))
"""
RUN_OUT = """
from datetime import timedelta
from django.utils import timezone
Link.objects.update(access_token_expires_at=timezone.now() - timedelta(seconds=1))
"""
#: Reads the registration there, and sends it back with the wish for a new secret.
MANAGE = """
import json
from reciprocal_oauth.client import registration
from reciprocal_oauth.models import Peer
pairing = Peer.objects.get().pairing
uri, token = pairing.our_management_uri, pairing.our_token
found = registration.read(uri, token, is_foreign=True)
token = found.registration_access_token or token
members = {"client_id": found.client_id, **found.metadata, "reciprocal_new_secret": True}
changed = registration.update(uri, token, members, is_foreign=True)
pairing.our_token = changed.registration_access_token or token
pairing.save()
stored, sent = pairing.peer.client_secret, changed.client_secret
assert sent is None or sent == stored, "It issued a new secret."
print(json.dumps([found.client_id, found.metadata["redirect_uris"], changed.client_id]))
"""


#: The result of each check of the connection.
CHECK = """
import json
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import connection_check
findings = connection_check.run(Peer.objects.get())
print(json.dumps({each.check.value: each.state.value for each in findings}))
"""


def connect(ours: OurSite) -> None:
    """Alice connects. She is not asked, or does not answer, what the other site may do here: these
    servers do not know the reverse direction."""
    alice = Person("alice")
    alice.sign_in(ours)
    page = alice.browser.open(f"{ours.url}/connections/")
    alice.browser.submit(page.form(action="/connections/music/connect/"))


@pytest.mark.rfc("7591", "3.2.1")
@pytest.mark.rfc("7592", "3")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_our_site_is_registered_there(kind: Kind, start_with: StartWith) -> None:
    ours, _foreign = start_with(kind)

    found = ours.read(READ_REGISTRATION)

    assert found["client_id"] not in ("", "assistant-there")
    assert found["auth_method"] == kind.auth_method
    assert found["has_secret"] is (kind.auth_method != "private_key_jwt")
    assert found["role"] == "registrant"
    assert found["client_id"] in found["uri"]


@pytest.mark.rfc("6749", "2.3")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_its_credentials_are_accepted(kind: Kind, start_with: StartWith) -> None:
    ours, _foreign = start_with(kind)

    states = ours.read(CHECK)

    assert (states["credentials"], states["metadata"]) == ("passed", "passed")


@pytest.mark.rfc("6749", "4.1")
@pytest.mark.rfc("6749", "6")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_person_connects_and_the_access_is_refreshed(kind: Kind, start_with: StartWith) -> None:
    ours, foreign = start_with(kind)
    connect(ours)

    first: Any = ours.read(CALL.format(url=foreign.url, first=""))
    later: Any = ours.read(CALL.format(url=foreign.url, first=RUN_OUT))

    assert first["body"]["sub"] == later["body"]["sub"] == "alice-there"


@pytest.mark.rfc("7592", "2.1")
@pytest.mark.rfc("7592", "2.2")
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_registration_is_read_and_sent_back(kind: Kind, start_with: StartWith) -> None:
    ours, _foreign = start_with(kind)
    client_id = ours.read(READ_REGISTRATION)["client_id"]

    callback = f"{ours.url}/connections/music/callback/"
    assert ours.read(MANAGE) == [client_id, [callback], client_id]
    assert ours.read(MANAGE) == [client_id, [callback], client_id]


@pytest.mark.rfc("7591", "3.2.2")
@pytest.mark.parametrize("kind", [DOT, OIDC_PROVIDER_WITH_SECRET], ids=str)
def test_a_wrong_token_registers_nothing_and_the_command_says_why(
    kind: Kind, start_with: StartWith
) -> None:
    ours, foreign = start_with(kind)

    with pytest.raises(SiteError) as refused:
        ours.manage(
            "reciprocal_peer",
            "add",
            "again",
            "--name=Again",
            f"--discover={foreign.url}{kind.issuer_path}",
            "--register",
            "--initial-access-token=wrong-token",
            "--redirect-uri=https://again.example/",
        )

    assert "refused the initial access token" in str(refused.value)
    assert "wrong-token" not in str(refused.value)
    assert REGISTRATION_TOKEN not in str(refused.value)
