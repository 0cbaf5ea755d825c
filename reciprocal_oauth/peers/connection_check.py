"""Checks with requests to the peer whether the peer is set up correctly at this site.

Each request, except those for the metadata, contains our real client credentials, and either an
invented authorization code, or an invented reciprocal code and access token. The peer must refuse
such a request. A token endpoint first authenticates the client and then checks the code (RFC 6749,
section 4.1.3). So the error code in the response shows what is wrong (RFC 6749, section 5.2).

If the dialect of the peer is not ``ietf``, the dialect redeems the invented code, and the check
whether the peer accepts reciprocal codes is not made. In another dialect, a refusal of an invented
hand-over may prove nothing. :mod:`.vendor_checks` makes further checks for such a peer.
"""

import secrets
from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from ..client import addresses, proxy, token_endpoint
from ..client.discovery import Metadata, discover
from ..core import site_address
from ..core.peer_urls import is_endpoint
from ..core.protocol import (
    GRANT_TYPE,
    INVALID_CLIENT,
    INVALID_GRANT,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
)
from ..dialects import Dialect, dialect_of
from ..exceptions import BadResponse, DecryptionError, PeerError, PeerRefused, TLSFailed
from ..models import Peer
from ..secret import Secret
from ..vendors import preset_of
from . import pairing_standing, vendor_checks
from .findings import Check, Finding, Result, State, has_failed
from .sheet import jwks_uri

__all__ = ["Check", "Finding", "Result", "State", "has_failed", "run"]

#: The name of the dialect that follows draft-ietf-oauth-reciprocal-04, section 2.2.2, exactly.
_DRAFT = "ietf"
#: The checks that are made for every peer.
_FOR_ALL = (
    Check.NAME,
    Check.TLS,
    Check.METADATA,
    Check.ENDPOINT,
    Check.CREDENTIALS,
    Check.GRANT,
)
_DEFAULT_PORTS = {"https": 443, "http": 80}
_IN_METADATA = (
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
)


@sensitive_variables()
def run(peer: Peer, base: str | None = None) -> list[Finding]:
    """Check the peer. Return one finding for each check that is made for a peer with this dialect,
    in the order of :class:`Check`.

    Each request takes at most ``HTTP_TOTAL_TIMEOUT_SECONDS``. The checks change nothing at the
    peer. At this site, they change only one value: whether the peer supports the reverse direction.

    :param base: the URL of this site; by default, the one in the settings.
    """
    results: dict[Check, Result] = dict.fromkeys(
        _FOR_ALL, (State.UNKNOWN, gettext("Not checked, because another check failed."))
    )
    dialect = _dialect(peer)
    if not peer.sends_codes:
        reason = gettext("This peer sends no codes, so this site sends it no requests.")
        results = dict.fromkeys(_FOR_ALL, (State.NOT_NEEDED, reason))
    else:
        _run_checks(peer, dialect, results, base)
    if dialect is not None:
        results |= vendor_checks.results(peer, dialect, base)
    return [Finding(check, *result) for check, result in results.items()]


def _dialect(peer: Peer) -> Dialect | None:
    """Return the dialect of the peer; ``None`` if it is ``ietf``, or if it does not exist."""
    if peer.dialect == _DRAFT:
        return None
    try:
        return dialect_of(peer)
    except ImproperlyConfigured:
        return None


@sensitive_variables()
def _run_checks(
    peer: Peer,
    dialect: Dialect | None,
    results: MutableMapping[Check, Result],
    base: str | None,
) -> None:
    """Make the checks one after the other and store their results in ``results``.

    If a check fails, do not make the checks that need its success. Their result in ``results``
    stays ``UNKNOWN``, as :func:`run` has set it.

    :param base: the URL of this site; see :func:`run`.
    """
    if dialect is not None and not dialect.takes_codes(peer):
        reason = gettext("This site sends no codes to this kind of peer.")
        results[Check.GRANT] = State.NOT_NEEDED, reason
    try:
        results[Check.NAME] = _name(peer)
    except PeerError as error:
        results[Check.NAME] = State.FAILED, str(error)
        return
    announced, results[Check.METADATA] = _metadata(peer)
    standing = pairing_standing.ask(peer)
    try:
        asked = _ask_for_tokens(peer, dialect)
    except DecryptionError as error:
        reason = gettext("The stored secret cannot be read with the keys of this site.")
        if peer.signs_assertions:
            reason = str(error)
        results[Check.CREDENTIALS] = State.FAILED, reason
        return
    results[Check.TLS] = _tls(peer, asked)
    results[Check.ENDPOINT] = _endpoint(asked)
    if isinstance(asked, PeerRefused):
        result = _credentials(asked, peer, base)
        results[Check.CREDENTIALS] = pairing_standing.explain(standing, result, asked)
        is_unknown = results[Check.GRANT][0] == State.UNKNOWN
        if is_unknown and result[0] != State.FAILED:
            result, refused = _grant(peer, announced=announced)
            results[Check.GRANT] = pairing_standing.explain(standing, result, refused)


@sensitive_variables()
def _ask_for_tokens(peer: Peer, dialect: Dialect | None) -> PeerError | None:
    """Let the peer redeem an invented code, in the form of its dialect.

    :returns: see :func:`_ask`.
    """
    if dialect is None:
        return _ask(peer, peer.token_endpoint, {"grant_type": "authorization_code"})
    try:
        dialect.redeem(peer, Secret(secrets.token_urlsafe()))
    except PeerError as error:
        return error
    return None


@sensitive_variables()
def _ask(peer: Peer, url: str, parameters: Mapping[str, str]) -> PeerError | None:
    """Send our client credentials, an invented code and an invented code verifier (RFC 7636,
    section 4.5) to ``url``, an endpoint of the peer.

    :param parameters: the other parameters of the request, such as the grant type.
    :returns: the error if the peer refused the request or if the request failed; ``None`` if the
        peer accepted the invented code.
    """
    made_up = {"code": secrets.token_urlsafe(), "code_verifier": secrets.token_urlsafe(48)}
    try:
        response = token_endpoint.post(peer, url, {**made_up, **parameters})
    except PeerError as error:
        return error
    return None if response.is_success else token_endpoint.refusal(response)


def _tls(peer: Peer, asked: PeerError | None) -> Result:
    """Return the result of the check that the connection to the token endpoint uses TLS, as RFC
    6749, section 3.2, requires.

    :param asked: the error of the request to the token endpoint; ``None`` if the request succeeded.
    """
    if isinstance(asked, TLSFailed):
        return State.FAILED, str(asked)
    if asked is not None and not isinstance(asked, PeerRefused | BadResponse):
        return State.UNKNOWN, gettext("There was no connection.")
    if urlsplit(peer.token_endpoint).scheme != "https":
        return State.UNKNOWN, gettext("It is not encrypted. That is allowed only on this machine.")
    return State.PASSED, gettext("The certificate is valid.")


def _name(peer: Peer) -> Result:
    """Look up the host of the token endpoint, unless the proxy of this site does that.

    :raises PeerError: the name does not resolve, or leads to an address that may not be called.
    """
    parts = urlsplit(peer.token_endpoint)
    host = parts.hostname or ""
    if way := proxy.proxy_for(host):
        proxy.refuse_bad_address(host)
        return State.UNKNOWN, gettext("The proxy %s looks up the name.") % way
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    return State.PASSED, ", ".join(addresses.resolve(host, port))


def _metadata(peer: Peer) -> tuple[bool, Result]:
    """Return two values: whether the peer's metadata lists the reciprocal grant; and the result of
    the check that compares the metadata with the peer's fields at this site."""
    if not peer.issuer and preset_of(peer.dialect):
        reason = gettext("The addresses of this vendor are known without metadata.")
        return False, (State.NOT_NEEDED, reason)
    if not peer.issuer:
        reason = gettext("The peer has no issuer here, so its metadata cannot be read.")
        return False, (State.UNKNOWN, reason)
    try:
        metadata = discover(peer.issuer)
    except PeerError as error:
        return False, (State.FAILED, "; ".join(str(error).splitlines()))
    return metadata.takes_handovers, _compare(peer, metadata)


def _compare(peer: Peer, metadata: Metadata) -> Result:
    """Compare the peer's fields at this site with its metadata: the endpoints (RFC 8414, section 2)
    and whether the peer sends the ``iss`` parameter (RFC 9207, section 2.4)."""
    # Skip an endpoint whose field is empty at this site. This site does not use such an endpoint,
    # so it is no error if the metadata names a URL for it.
    differing = [
        str(peer._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
        for name in _IN_METADATA
        if (here := getattr(peer, name)) and not is_endpoint(here, getattr(metadata, name))
    ]
    if differing:
        text = gettext("The metadata and the peer here have different addresses for: %s.")
        return State.FAILED, text % ", ".join(differing)
    if peer.sends_iss and not metadata.sends_iss:
        return State.UNKNOWN, gettext(
            "Its metadata does not say that the peer names its issuer in its responses. This site "
            "refuses responses without an issuer."
        )
    reason = gettext("All addresses agree.")
    if metadata.sends_iss and not peer.sends_iss:
        reason += " " + gettext(
            "Its metadata says that the peer names its issuer in its responses. Switch on "
            "“%(field)s” here, so that responses without an issuer are refused."
        ) % {"field": peer._meta.get_field("sends_iss").verbose_name}
    return State.PASSED, reason


def _endpoint(asked: PeerError | None) -> Result:
    if asked is None:
        return State.FAILED, gettext(
            "It accepts a made-up code. Either it checks nothing, or it is not a token endpoint."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    # A token endpoint refuses with status 400 or 401 and an error code (RFC 6749, section 5.2).
    # A response without an error code can come from any web page, so the check fails. But if its
    # status is 401, 403 or 429, it can come from a gateway in front of a token endpoint, so the
    # result is "unknown".
    if asked.error and asked.status in (400, 401, 403, 429):
        return State.PASSED, gettext("It responds like a token endpoint: %s.") % asked
    if asked.status in (401, 403, 429):
        return _unknown(asked)
    return State.FAILED, gettext("It does not respond like a token endpoint: %s.") % asked


def _credentials(refused: PeerRefused, peer: Peer, base: str | None) -> Result:
    """Return the result of the check that the peer accepts our client credentials.

    The error code of the peer shows this result (RFC 6749, section 5.2): ``invalid_client`` means
    that the peer refused the credentials. ``invalid_grant`` means that it refused only the code.
    """
    # Look at the error code before the status, because some servers refuse an unknown code with
    # status 401.
    if refused.error == INVALID_GRANT:
        return State.PASSED, gettext("It refused only the made-up code.")
    if refused.status == 401 or refused.error == INVALID_CLIENT:
        if peer.signs_assertions:
            return State.FAILED, _signed_for_nothing(peer, base)
        return State.FAILED, gettext(
            "It refuses our credentials. Compare client ID, client secret and method with the "
            "registration at the peer."
        )
    if refused.error in (UNAUTHORIZED_CLIENT, UNSUPPORTED_GRANT_TYPE):
        return State.FAILED, gettext("It does not allow this site to use authorization codes.")
    return _unknown(refused)


def _signed_for_nothing(peer: Peer, base: str | None) -> str:
    """Return what can be wrong if the peer refuses what this site signs."""
    return gettext(
        "It refuses what this site signs. Can it read our keys at %(jwks_uri)s? Does it know us by "
        "the client ID %(client_id)s, and itself by the issuer %(issuer)s? Does its clock agree?"
    ) % {
        "jwks_uri": jwks_uri(site_address.base_url() if base is None else base) or "–",
        "client_id": peer.client_id,
        "issuer": peer.audience,
    }


def _grant(peer: Peer, *, announced: bool) -> tuple[Result, PeerError | None]:
    """Return the result of the check that the peer accepts reciprocal codes, and the error on which
    it is based. Send the peer an invented reciprocal code and access token
    (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :param announced: whether the peer's metadata lists the reciprocal grant. If it does, other
        error codes than ``invalid_grant`` can also show that the peer accepts reciprocal codes.
    """
    if peer.dialect != _DRAFT:
        reason = gettext("Not checked: this check is only for peers with the dialect “ietf”.")
        return (State.UNKNOWN, reason), None
    made_up = {"client_id": peer.client_id, "access_token": secrets.token_urlsafe()}
    asked = _ask(peer, peer.handover_endpoint, {"grant_type": GRANT_TYPE, **made_up})
    return _of_handover(peer, asked, announced=announced), asked


def _of_handover(peer: Peer, asked: PeerError | None, *, announced: bool) -> Result:
    """Return what the response to the invented hand-over shows."""
    if asked is None:
        return State.FAILED, gettext(
            "It accepts a made-up hand-over. Either it does not check hand-overs, or the address "
            "is wrong."
        )
    if not isinstance(asked, PeerRefused):
        return State.FAILED, str(asked)
    if asked.error == UNSUPPORTED_GRANT_TYPE and asked.status < 500:
        peer.record_reverse_support(is_supported=False)
        return State.FAILED, gettext(
            "It does not support the reverse direction, because it does not know the reciprocal "
            "grant. Links with this peer work one way."
        )
    if asked.error == UNAUTHORIZED_CLIENT:
        return State.FAILED, gettext("It does not allow this site to use the reciprocal grant.")
    if asked.status == 401 or asked.error == INVALID_CLIENT:
        return State.FAILED, gettext("It refuses our credentials at the address for hand-overs.")
    if asked.status in (404, 405, 410):
        return State.FAILED, gettext("No hand-overs are accepted at this address: %s.") % asked
    if asked.status == 400 and (asked.error == INVALID_GRANT or (asked.error and announced)):
        peer.record_reverse_support(is_supported=True)
        return State.PASSED, gettext("It refused only the made-up values.")
    return _unknown(asked)


def _unknown(refused: PeerRefused) -> Result:
    return State.UNKNOWN, gettext(
        "The response does not show the result of this check: %s."
    ) % refused
