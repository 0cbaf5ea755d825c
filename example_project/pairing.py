"""Pairs the two example sites with the commands that the administrators of the two sites would use.

::

    assistant, music = two_sites(Path("/tmp/two-sites"), paired=True)
    with running(assistant, music, prepare=True):
        pair(assistant, music)
"""

import re
import shlex
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .sites import Site, SiteError

#: The code in an invitation.
_CODE = re.compile(r"(?<=code=)[A-Za-z0-9_-]+")


def pair(inviting: Site, accepting: Site, write: Callable[[str], object] | None = None) -> None:
    """Make the two sites peers of each other by an invitation, if they are not peers yet. Both must
    be running. Then set ``client_id`` of both.

    A site that has the other one as a peer already, from an earlier run, gets new credentials, and
    its links stay.

    :param write: prints a line for people; ``None`` prints nothing. No line contains the code of
        the invitation.
    :raises SiteError: a command failed.
    """
    say = write or (lambda line: None)
    sites = (inviting, accepting)
    peers = _peers(*sites)
    if all(map(_is_peer, sites, peers)):
        say("The sites are paired since an earlier run.\n")
    else:
        for site, peer in zip(sites, peers, strict=True):
            _move(site, peer)
        _pair(inviting, accepting, [bool(peer) for peer in peers], say)
        peers = _peers(*sites)
    for site, peer in zip(sites, peers, strict=True):
        if peer is None:
            raise SiteError(f"{site} has no peer after the pairing.\n{site.log_tail()}")
        site.client_id = peer["client_id"]


def _pair(inviting: Site, accepting: Site, renew: list[bool], say: Callable[[str], object]) -> None:
    say("Pairing the two sites, as their administrators would:\n")
    invite = ["reciprocal_pair", "invite", accepting.role.slug, f"--for={accepting.issuer}"]
    invite += _terms(inviting, renew=renew[0])
    say(_shown(inviting, invite))
    invitation = inviting.manage(*invite)
    say(f"  {_CODE.sub('…', invitation.strip())}")
    say("  (The code is left out here. Whoever has it can use the invitation.)\n")
    accept = ["reciprocal_pair", "accept", inviting.role.slug, "-", "--yes", "--wait=120"]
    accept += _terms(accepting, renew=renew[1])
    say(_shown(accepting, accept))
    for line in accepting.manage(*accept, stdin=invitation).splitlines():
        say(f"  {line}".rstrip())
    say("")


def _terms(site: Site, *, renew: bool) -> list[str]:
    openid = ["openid"] if site.env.get("EXAMPLE_OIDC") == "1" else []
    terms = {
        "--name": site.role.name,
        "--scope": " ".join([*openid, site.role.scope]),
        "--allowed-scope": " ".join([*openid, *site.role.scopes]),
    }
    flags = [f"{name}={value}" for name, value in terms.items()]
    return [*flags, "--enable", *(["--renew"] if renew else [])]


def _peers(*sites: Site) -> list[dict[str, Any] | None]:
    """Return what each site has stored about the other one; ``None`` if it is no peer there."""
    with ThreadPoolExecutor(len(sites)) as pool:
        return list(pool.map(_peer, sites))


def _peer(site: Site) -> dict[str, Any] | None:
    peers = site.manage_json("reciprocal_peer", "list", "--json")
    return next((peer for peer in peers if peer["slug"] == site.role.other.slug), None)


def _is_peer(site: Site, peer: dict[str, Any] | None) -> bool:
    return peer is not None and peer["issuer"] == site.other.issuer


def _move(site: Site, peer: dict[str, Any] | None) -> None:
    """Change the address of a peer that was at another port in an earlier run. Its people have to
    connect again."""
    if peer is None or _is_peer(site, peer):
        return
    flags = [f"--discover={site.other.issuer}", f"--homepage={site.other.url}/"]
    if peer["jwks_uri"]:
        flags.append(f"--jwks-uri={site.other.issuer}/reciprocal/jwks.json")
    # The pairing replaces the secret, if there is one.
    flags.append(f"--client-secret={site.client_secret}")
    site.manage("reciprocal_peer", "add", peer["slug"], *flags, "--accept-changes")


def _shown(site: Site, command: list[str]) -> str:
    return f"{site.role.slug}$ python manage.py {shlex.join(command)}"
