"""Checks with requests to the token endpoint of the peer: whether it is there, accepts our client
credentials, and accepts reciprocal codes.

Each request contains our real client credentials, and either an invented authorization code, or an
invented reciprocal code and access token. The peer must refuse such a request. A token endpoint
first authenticates the client and then checks the code (RFC 6749, section 4.1.3). So the error code
in the response shows what is wrong (RFC 6749, section 5.2).

If the dialect of the peer is not ``ietf``, the dialect redeems the invented code, and the check
whether the peer accepts reciprocal codes is not made. In another dialect, a refusal of an invented
hand-over may prove nothing. :mod:`.vendor` makes further checks for such a peer.
"""

import secrets
from collections.abc import Mapping, MutableMapping
from urllib.parse import urlsplit

from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from ...client import token_endpoint
from ...core.protocol import (
    GRANT_TYPE,
    INVALID_CLIENT,
    INVALID_GRANT,
    UNAUTHORIZED_CLIENT,
    UNSUPPORTED_GRANT_TYPE,
)
from ...dialects import Dialect
from ...exceptions import BadResponse, DecryptionError, PeerError, PeerRefused, TLSFailed
from ...models import Peer
from ...secret import Secret
from ..findings import DRAFT, Check, Result, State
from ..sheet import jwks_uri
from . import pairing_standing
from .clock import Clock


@sensitive_variables()
def check(
    peer: Peer,
    dialect: Dialect | None,
    results: MutableMapping[Check, Result],
    base: str,
    clock: Clock,
    *,
    standing: pairing_standing.Standing,
    announced: bool,
) -> None:
    """Make the checks one after the other and store their results in ``results``. If a check fails,
    do not make the checks that need its success, and leave their results as they are.

    :param dialect: the dialect of the peer; ``None`` if it is ``ietf``.
    :param base: the URL of this site.
    :param clock: reads the time of the peer from the responses.
    :param standing: what the pairing says about this site, if there is one.
    :param announced: whether the peer's metadata lists the reciprocal grant.
    """
    if dialect is not None and not dialect.takes_codes(peer):
        reason = gettext("This site sends no codes to this kind of peer.")
        results[Check.GRANT] = State.NOT_NEEDED, reason
    try:
        asked = _ask_for_tokens(peer, dialect, clock)
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
            result, refused = _grant(peer, clock, announced=announced)
            results[Check.GRANT] = pairing_standing.explain(standing, result, refused)


@sensitive_variables()
def _ask_for_tokens(peer: Peer, dialect: Dialect | None, clock: Clock) -> PeerError | None:
    """Let the peer redeem an invented code, in the form of its dialect.

    :returns: see :func:`_ask`.
    """
    if dialect is None:
        return _ask(peer, peer.token_endpoint, {"grant_type": "authorization_code"}, clock)
    try:
        dialect.redeem(peer, Secret(secrets.token_urlsafe()))
    except PeerError as error:
        return error
    return None


@sensitive_variables()
def _ask(peer: Peer, url: str, parameters: Mapping[str, str], clock: Clock) -> PeerError | None:
    """Send our client credentials, an invented code and an invented code verifier (RFC 7636,
    section 4.5) to ``url``, an endpoint of the peer.

    :param parameters: the other parameters of the request, such as the grant type.
    :returns: the error if the peer refused the request or if the request failed; ``None`` if the
        peer accepted the invented code.
    """
    made_up = {"code": secrets.token_urlsafe(), "code_verifier": secrets.token_urlsafe(48)}
    sent_at = timezone.now()
    try:
        response = token_endpoint.post(peer, url, {**made_up, **parameters})
    except PeerError as error:
        return error
    clock.read(response.headers, sent_at)
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


def _credentials(refused: PeerRefused, peer: Peer, base: str) -> Result:
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


def _signed_for_nothing(peer: Peer, base: str) -> str:
    """Return what can be wrong if the peer refuses what this site signs."""
    return gettext(
        "It refuses what this site signs. Can it read our keys at %(jwks_uri)s? Does it know us by "
        "the client ID %(client_id)s, and itself by the issuer %(issuer)s? Does its clock agree?"
    ) % {
        "jwks_uri": jwks_uri(base) or "–",
        "client_id": peer.client_id,
        "issuer": peer.audience,
    }


def _grant(peer: Peer, clock: Clock, *, announced: bool) -> tuple[Result, PeerError | None]:
    """Return the result of the check that the peer accepts reciprocal codes, and the error on which
    it is based. Send the peer an invented reciprocal code and access token
    (draft-ietf-oauth-reciprocal-04, section 2.2.2).

    :param announced: whether the peer's metadata lists the reciprocal grant. If it does, other
        error codes than ``invalid_grant`` can also show that the peer accepts reciprocal codes.
    """
    if peer.dialect != DRAFT:
        reason = gettext("Not checked: this check is only for peers with the dialect “ietf”.")
        return (State.UNKNOWN, reason), None
    made_up = {"client_id": peer.client_id, "access_token": secrets.token_urlsafe()}
    asked = _ask(peer, peer.handover_endpoint, {"grant_type": GRANT_TYPE, **made_up}, clock)
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
