"""Checks whether a peer is set up correctly, at this site and at the peer, as far as this site can
find out.

- ``token_endpoint``: requests to the token endpoint with our credentials and invented values.
- ``authorization``: authorization requests without a session: the redirect URI of this site.
- ``metadata``: compares the metadata of the peer with the peer here.
- ``scopes``: whether the scopes exist, at the peer and here.
- ``clock``: compares the clocks of both sites.
- ``cookies``: whether both sites share cookies.
- ``worker``: whether this site has a worker; it concerns all peers.
- ``vendor``: further checks for a peer of a vendor, without requests to the peer.
- ``pairing_standing``: how far the pairing is, which can explain a failed check.
"""

from collections.abc import MutableMapping
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from ...client import addresses, proxy
from ...core import site_address
from ...dialects import Dialect, dialect_of
from ...exceptions import PeerError
from ...models import Pairing, Peer
from ..findings import DRAFT, Check, Finding, Result, State, has_failed
from . import (
    authorization,
    cookies,
    metadata,
    pairing_standing,
    scopes,
    token_endpoint,
    vendor,
    worker,
)
from .clock import Clock

__all__ = ["Check", "Finding", "Result", "State", "has_failed", "run", "run_for_site"]

#: The checks that are made for every peer.
_FOR_ALL = (
    Check.NAME,
    Check.TLS,
    Check.METADATA,
    Check.ENDPOINT,
    Check.CREDENTIALS,
    Check.GRANT,
    Check.REDIRECT_URI,
    Check.RESPONSE,
    Check.SCOPES,
    Check.CLOCK,
    Check.COOKIES,
)
_DEFAULT_PORTS = {"https": 443, "http": 80}


@sensitive_variables()
def run(peer: Peer, base: str | None = None) -> list[Finding]:
    """Check the peer. Return one finding for each check that is made for a peer with this dialect,
    in the order of :class:`Check`.

    Each request takes at most ``HTTP_TOTAL_TIMEOUT_SECONDS``. The checks change nothing at the
    peer. At this site, they change two values: whether the peer supports the reverse direction;
    and if nothing failed, the findings of a complete pairing, so that it no longer counts as one
    whose test has failed.

    :param base: the URL of this site; by default, the one in the settings.
    """
    base = site_address.base_url() if base is None else base
    results: dict[Check, Result] = dict.fromkeys(
        _FOR_ALL, (State.UNKNOWN, gettext("Not checked, because another check failed."))
    )
    dialect = _dialect(peer)
    if not peer.sends_codes:
        reason = gettext("This peer sends no codes, so this site sends it no requests.")
        results = dict.fromkeys(_FOR_ALL, (State.NOT_NEEDED, reason))
        results[Check.SCOPES] = scopes.check_here(peer)
    else:
        _run_checks(peer, dialect, results, base)
    if dialect is not None:
        results |= vendor.results(peer, dialect, base)
    findings = [Finding(check, *result) for check, result in results.items()]
    if not has_failed(findings):
        # While the pairing has a task, that task stores its own findings.
        complete = Pairing.objects.filter(peer=peer, state=Pairing.State.COMPLETE)
        complete = complete.filter(task=Pairing.Task.NONE)
        complete.update(findings=[each.as_dict() for each in findings])
    return findings


def run_for_site() -> list[Finding]:
    """Check what concerns all peers alike, at this site only. No request is sent."""
    return [Finding(Check.WORKER, *worker.check())]


def _dialect(peer: Peer) -> Dialect | None:
    """Return the dialect of the peer; ``None`` if it is ``ietf``, or if it does not exist."""
    if peer.dialect == DRAFT:
        return None
    try:
        return dialect_of(peer)
    except ImproperlyConfigured:
        return None


@sensitive_variables()
def _run_checks(
    peer: Peer, dialect: Dialect | None, results: MutableMapping[Check, Result], base: str
) -> None:
    """Make the checks one after the other and store their results in ``results``.

    If a check fails, do not make the checks that need its success. Their result in ``results``
    stays ``UNKNOWN``, as :func:`run` has set it.

    :param base: the URL of this site; see :func:`run`.
    """
    results[Check.COOKIES] = cookies.check(peer, base)
    results[Check.NAME] = _name(peer)
    if results[Check.NAME][0] == State.FAILED:
        results[Check.SCOPES] = scopes.check(peer, None, authorization.ScopeAnswer())
        return
    found, results[Check.METADATA] = metadata.check(peer)
    standing, clock = pairing_standing.ask(peer), Clock()
    token_endpoint.check(
        peer,
        dialect,
        results,
        base,
        clock,
        standing=standing,
        announced=found is not None and found.takes_handovers,
    )
    listed = () if found is None else found.scopes
    answer = authorization.check(peer, results, base, clock, standing=standing, listed=listed)
    results[Check.SCOPES] = scopes.check(peer, found, answer)
    results[Check.CLOCK] = clock.check(peer)


def _name(peer: Peer) -> Result:
    """Look up the host of the token endpoint, unless the proxy of this site does that."""
    parts = urlsplit(peer.token_endpoint)
    host = parts.hostname or ""
    try:
        if way := proxy.proxy_for(host):
            proxy.refuse_bad_address(host)
            return State.UNKNOWN, gettext("The proxy %s looks up the name.") % way
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        return State.PASSED, ", ".join(addresses.resolve(host, port))
    except PeerError as error:
        return State.FAILED, str(error)
