"""Two sites that were peers by hand, with links, pair; then one of them ends the pairing. Both run
as processes of their own, and speak real HTTP."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from example_project.driver import Person
from example_project.sites import Site, free_ports, running, two_sites

from ..site_shell import run_inside, shells

pytestmark = pytest.mark.two_process

#: The largest time, in seconds, until both sites have done what follows by itself.
SOON = 30
TERMS = """
from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import accepting, inviting, renewing, sending
peer = Peer.objects.get()
terms = inviting.Terms(
    slug=peer.slug, allowed_scope=peer.allowed_scope, asked_scope=peer.scope, renews=True
)
"""
INVITE = """
_pairing, text = inviting.invite(terms, partner=inviting.look_up(peer.issuer))
print(text.reveal())
"""
ACCEPT = """
pairing = accepting.accept(accepting.look_up({text!r}), terms)
sending.send(pairing)
assert not pairing.last_error, pairing.last_error
"""
#: What must stay the same, what must be new, and what has to be seen.
STATE = """
import hashlib, json
from reciprocal_oauth.models import Link, Pairing, Peer
peer, pairing = Peer.objects.get(), Pairing.objects.first()
digest = lambda secret: hashlib.sha256(secret.reveal().encode()).hexdigest()
print(json.dumps({
    "ids": [peer.pk, peer.application_id, peer.application.client_id, peer.client_id, peer.name],
    "links": [[str(link.pk), link.is_two_way, link.status] for link in Link.objects.order_by("pk")],
    "reasons": sorted({link.incoming_reason for link in Link.objects.all()} - {"replaced"}),
    "secrets": [digest(peer.client_secret), peer.application.client_secret],
    "methods": [peer.token_endpoint_auth_method, peer.authenticates_here_by],
    "enabled": peer.enabled,
    "pairing": [pairing.state, pairing.task, pairing.last_error] if pairing else None,
    "findings": [each["state"] for each in pairing.findings] if pairing else None,
}))
"""
REFRESH = """
from reciprocal_oauth.links import outgoing_access
from reciprocal_oauth.models import Link
for link in Link.objects.select_related("peer"):
    before = link.access_token
    after = outgoing_access.fresh_access_token(link, not_this=before)
    assert before.reveal() != after.reveal()
"""
END = """
renewing.end(Pairing.objects.get(state="complete"))
"""


@pytest.fixture
def sites(tmp_path: Path) -> Iterator[tuple[Site, Site]]:
    """Both sites, running. Each is a peer of the other by hand."""
    assistant, music = two_sites(tmp_path, ports=free_ports())
    with running(assistant, music, prepare=True), shells(assistant, music):
        yield assistant, music


def connect_both_ways(one: Person, first: Site, second: Site) -> None:
    answered = one.answer(one.authorize(one.connect(first)))
    one.wait_until_two_way(one.link_page(second).url)
    one.wait_until_two_way(answered.url)


def state(site: Site) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_inside(site, STATE))
    return found


def wait_until(site: Site, pairing: list[str]) -> dict[str, Any]:
    give_up = time.monotonic() + SOON
    while (found := state(site))["pairing"] != pairing:
        assert time.monotonic() < give_up, (found, site.log_tail())
        time.sleep(0.1)
    return found


@pytest.mark.rfc("7591", "3")
@pytest.mark.rfc("7592", "2.3")
def test_links_stay_when_their_sites_pair_and_end_with_the_pairing(
    sites: tuple[Site, Site],
) -> None:
    assistant, music = sites
    alice = Person("alice")
    for site in sites:
        alice.sign_in(site)
    connect_both_ways(alice, assistant, music)
    before = [state(site) for site in sites]

    text = run_inside(assistant, TERMS + INVITE).strip()
    run_inside(music, TERMS + ACCEPT.format(text=text))

    for site, old in zip(sites, before, strict=True):
        new = wait_until(site, ["complete", "", ""])
        assert {"ids": new["ids"], "links": new["links"]} == {
            "ids": old["ids"],
            "links": old["links"],
        }
        assert [a == b for a, b in zip(new["secrets"], old["secrets"], strict=True)] == [False] * 2
        assert "failed" not in new["findings"]
        assert [link[1] for link in new["links"]] == [True]
        run_inside(site, REFRESH)
    assert alice.press(assistant, "/play/").text_of("heard")
    connect_both_ways(alice, music, assistant)

    run_inside(music, TERMS + END)

    ended = [wait_until(music, ["ended", "", ""])]
    ended += [wait_until(assistant, ["ended", "", "The other site has ended the pairing."])]
    assert [each["reasons"] for each in ended] == [["revoked_here"], ["revoked_by_peer"]]
    for found in ended:
        assert not found["enabled"]
        assert {link[2] for link in found["links"]} == {"ended"}
