"""What the connection check finds out about the redirect URI and the scopes at servers of other
projects."""

from collections.abc import Callable
from typing import Any

import pytest

from .foreign import ALLAUTH, AUTHLIB, DOT, OIDC_PROVIDER, ForeignSite, Kind, OurSite

pytestmark = pytest.mark.interop

StartWith = Callable[[Kind], tuple[OurSite, ForeignSite]]

#: Makes the checks, with another address of our site or another scope than the right ones.
CHECK = """
import json
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import connection_check
peer = Peer.objects.get()
peer.scope = {scope!r} or peer.scope
findings = connection_check.run(peer, {base!r})
print(json.dumps({{each.check.value: [each.state.value, each.reason] for each in findings}}))
"""


def found(ours: OurSite, base: str | None = None, scope: str = "") -> Any:
    return ours.read(CHECK.format(base=base, scope=scope))


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.rfc("6749", "3.1.2.3")
@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (OIDC_PROVIDER, "failed"),
        (DOT, "failed"),
        (AUTHLIB, "failed"),
        # It shows the same page for each redirect URI that it does not know, and without one.
        (ALLAUTH, "unknown"),
    ],
    ids=str,
)
def test_a_redirect_uri_that_is_not_registered_is_found(
    kind: Kind, wrong: str, start_with: StartWith
) -> None:
    ours, _foreign = start_with(kind)

    well, moved = found(ours), found(ours, base="https://moved.example")

    assert well["redirect_uri"][0] == "passed"
    assert moved["redirect_uri"][0] == wrong
    assert "https://moved.example/connections/music/callback/" in moved["redirect_uri"][1]
    if wrong == "failed":
        assert f"{ours.url}/connections/music/callback/" in moved["redirect_uri"][1]


@pytest.mark.rfc("6749", "3.3")
@pytest.mark.parametrize("kind", [OIDC_PROVIDER, DOT], ids=str)
def test_a_mistyped_scope_is_found(kind: Kind, start_with: StartWith) -> None:
    """The first one ignores it; the second one refuses it."""
    ours, _foreign = start_with(kind)

    well, mistyped = found(ours), found(ours, scope="playbck")

    assert well["scopes"][0] == "passed"
    assert mistyped["scopes"][0] == "failed"
    assert "Did you mean “playback”?" in mistyped["scopes"][1]
