"""Sends requests to a peer's token endpoint and reads the responses.

This module follows RFC 6749, sections 2.3.1 (client authentication), 3.2 (token endpoint), 4.1.3
(authorization code), 5.1 and 5.2 (responses) and 6 (refresh), and RFC 7523, section 2.2 (client
authentication with a signed assertion).
"""

import json
import logging
import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from requests.auth import AuthBase, HTTPBasicAuth

from ..core import scopes, telemetry
from ..core.peer_urls import origin_of
from ..core.protocol import (
    CLIENT_ASSERTION,
    CLIENT_ASSERTION_TYPE,
    JWT_BEARER,
    MAX_TOKEN_LENGTH,
    RECIPROCAL,
)
from ..exceptions import AddressRefused, BadResponse, PeerRefused
from ..keys import assertions
from ..models import Peer
from ..secret import Secret
from . import http, retry_after

logger = logging.getLogger("reciprocal_oauth.client")

#: The longest ID token that is accepted, in characters. It can be longer than other tokens, because
#: it can contain many claims and is not stored.
MAX_ID_TOKEN_LENGTH = 32 * 1024
#: An access token is refreshed this many seconds before it expires, because clocks differ and
#: requests take time. If this is more than half of its lifetime, the token is refreshed after half
#: of its lifetime instead.
EXPIRY_MARGIN_SECONDS = 30
#: The longest lifetime of an access token, in seconds (ten years). If the peer names a longer
#: lifetime, this value is used instead.
_MAX_EXPIRES_IN = 10 * 365 * 24 * 3600
#: The form of an error code. All registered error codes have this form (RFC 6749, section 11.4). A
#: value of another form is ignored, because error codes are logged, and the value could be a secret
#: from our own request that the peer has sent back.
_ERROR_CODE = re.compile(r"[A-Za-z_]{1,60}")


@dataclass(frozen=True)
class TokenResponse:
    """The members of a token response (RFC 6749, section 5.1).

    :ivar scope: the granted scope; ``None`` if the response does not contain a scope, which means
        that the peer granted the requested scope.
    :ivar expires_at: when this site should refresh the access token, a little earlier than
        ``ends_at``; ``None`` if the peer did not say when the token expires.
    :ivar reciprocal: the member ``reciprocal`` of the response, which is not checked yet
        (draft-ietf-oauth-reciprocal-04, section 2.1).
    :ivar has_reciprocal: whether the response contains the member ``reciprocal``.
    :ivar ends_at: when the access token expires; ``None`` if the peer did not say when.
    """

    access_token: Secret
    refresh_token: Secret | None
    scope: str | None
    expires_at: datetime | None
    id_token: Secret | None
    reciprocal: object
    has_reciprocal: bool
    ends_at: datetime | None = None


@sensitive_variables()
def request_token(peer: Peer, parameters: Mapping[str, str]) -> TokenResponse:
    """Send ``parameters`` with our client credentials to the peer's token endpoint. Return the
    token response.

    RFC 6749, section 5.1, requires status 200 for success. Some servers send 201, and some servers
    send an error with status 200. So every response with a 2xx status and a token is a success. A
    response with a 2xx status, an ``error`` and no token is an error.

    :raises PeerRefused: the peer responded with an error (RFC 6749, section 5.2).
    :raises BadResponse: the peer responded with a 2xx status, but without a usable token response.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    sent_at = timezone.now()
    response = post(peer, peer.token_endpoint, parameters)
    if not response.is_success:
        raise refusal(response)
    members = members_of(response.body)
    if members.get("access_token") is None and isinstance(members.get("error"), str):
        raise refusal(response)
    return tokens_in(members, peer, sent_at)


@sensitive_variables()
def post(peer: Peer, url: str, parameters: Mapping[str, str]) -> http.PeerResponse:
    """Send form fields with our client credentials to an endpoint of the peer, in a POST request.

    The credentials are sent with the configured method only (HTTP Basic, form fields, or a signed
    assertion), because RFC 6749, section 2.3, forbids two methods in one request. Each call signs a
    new assertion, because the peer accepts an assertion only once.

    :raises AddressRefused: this site must not call ``url``, or must not send our client secret to
        it; see :func:`require_bound`. Or it must not sign for the audience of the peer.
    :raises DecryptionError: the client secret or the key of this site cannot be decrypted.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    require_bound(peer, url)
    fields = dict(parameters)
    auth: AuthBase | None = None
    if peer.signs_assertions:
        fields |= _signed(peer)
    elif peer.token_endpoint_auth_method == Peer.AuthMethod.POST:
        secret = peer.client_secret.reveal()
        fields |= {"client_id": peer.client_id, "client_secret": secret}
    else:
        secret = peer.client_secret.reveal()
        # Client ID and secret are form-encoded, and the results are joined (RFC 6749, section
        # 2.3.1). Use quote(), which encodes a space as %20: some servers do not decode "+".
        auth = HTTPBasicAuth(quote(peer.client_id, safe=""), quote(secret, safe=""))
    headers = {"Accept": "application/json", **telemetry.trace_headers()}
    return http.call("POST", url, data=fields, headers=headers, auth=auth)


@sensitive_variables()
def _signed(peer: Peer) -> dict[str, str]:
    """Return the form fields of a new assertion (RFC 7521, section 4.2; RFC 7523, section 2.2).

    Its audience is the issuer of the peer and never the URL of the request. The metadata of a peer
    can name the token endpoint of another server, and this other server would accept an assertion
    with its own address (draft-ietf-oauth-rfc7523bis).

    :raises AddressRefused: the audience is missing, or somebody has changed it since an
        administrator saved the peer.
    """
    audience = peer.audience
    if not origin_of(audience):
        raise AddressRefused(_("The peer has no issuer, so nothing is signed for it."))
    require_bound(peer, audience)
    signed = assertions.sign(peer.client_id, audience, (peer.assertion_algorithm,))
    return {
        "client_id": peer.client_id,
        CLIENT_ASSERTION_TYPE: JWT_BEARER,
        CLIENT_ASSERTION: signed.reveal(),
    }


@sensitive_variables()
def post_json(
    peer: Peer,
    url: str,
    members: Mapping[str, Any],
    *,
    bearer: Secret | None = None,
    addresses: Collection[str] = (),
) -> http.PeerResponse:
    """Send a JSON object to the peer, in a POST request. Unlike :func:`post`, this function adds no
    client credentials.

    :param members: the members of the JSON object. They can contain our client secret or tokens.
    :param bearer: an access token for the ``Authorization`` header (RFC 6750, section 2.1).
    :param addresses: all addresses of a vendor that has several, if ``url`` is not a field of the
        peer. The token endpoint of the peer must be one of them too, so that a secret that was
        entered for this vendor goes only to this vendor.
    :raises AddressRefused: this site must not call ``url``, or must not send secrets to it.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    if addresses:
        _require_listed(peer, url, addresses)
    else:
        require_bound(peer, url)
    headers = {"Accept": "application/json", "Content-Type": "application/json; charset=utf-8"}
    return http.call("POST", url, json=members, headers=headers, bearer=bearer)


def _require_listed(peer: Peer, url: str, addresses: Collection[str]) -> None:
    require_bound(peer, peer.token_endpoint)
    if not {url, peer.token_endpoint} <= set(addresses):
        raise AddressRefused(
            _("%(origin)s is not an address of this vendor, so no secret is sent to it.")
            % {"origin": origin_of(url)}
        )


def require_bound(peer: Peer, url: str) -> None:
    """Check that this site may send secrets to ``url``, an endpoint of the peer, or sign for it.

    :raises AddressRefused: the administrator entered our client secret for another origin than that
        of ``url``, or for another client ID. Or, if this site signs, the administrator saved the
        peer with another origin or another client ID.
    """
    if peer.may_send_secret_to(url):
        return
    text = _(
        "The client secret was entered for another address or another client ID, so it "
        "is not sent to %(origin)s. Enter it again on the page of the peer."
    )
    if peer.signs_assertions:
        text = _(
            "The peer was saved with another address or another client ID, so this site does not "
            "prove its identity to %(origin)s. Check the page of the peer, and save it."
        )
    raise AddressRefused(text % {"origin": origin_of(url)})


def refusal(response: http.PeerResponse) -> PeerRefused:
    """Return the exception for an error response of the peer. It contains the status, the error
    code (RFC 6749, section 5.2), and the seconds to wait (RFC 9110, section 10.2.3)."""
    code = None if response.problem else members_of(response.body).get("error")
    is_foreign = code is None and bool(
        response.problem or response.body.strip() not in (b"", b"{}")
    )
    error = error_code(code)
    log = f"HTTP {response.status}" + (f" {error}" if error else " without a readable error")
    return PeerRefused(
        log,
        status=response.status,
        error=error,
        retry_after=retry_after.seconds(response.headers.get("Retry-After"), timezone.now()),
        is_foreign=is_foreign,
    )


def error_code(value: object) -> str:
    """Return ``value`` if it has the form of an error code (RFC 6749, section 11.4); otherwise
    ``""``, so that it can be logged."""
    return value if isinstance(value, str) and _ERROR_CODE.fullmatch(value) else ""


def tokens_in(body: Mapping[str, Any], peer: Peer, sent_at: datetime) -> TokenResponse:
    """Read the members of a token response (RFC 6749, section 5.1). Ignore members that this app
    does not know. A dialect whose vendor gives the members other names renames them first.

    :param sent_at: when this site sent the token request.
    :raises BadResponse: the response is not a usable token response.
    """
    access_token = _token(body, "access_token")
    if access_token is None:
        raise BadResponse("The token response has no usable access_token.")
    # A client must not use a token whose type it does not know (RFC 6749, section 7.1). The member
    # "token_type" is REQUIRED (RFC 6749, section 5.1), but accept a response without it: some
    # servers that issue only Bearer tokens leave it out.
    token_type = body.get("token_type")
    if token_type is not None and str(token_type).lower() != "bearer":
        raise BadResponse("The token response is not of token_type Bearer.")
    id_token = _token(body, "id_token", MAX_ID_TOKEN_LENGTH)
    if id_token is None and body.get("id_token") is not None:
        # Do not ignore an unusable ID token. The ID token says which account at the peer the user
        # has, so a response with an ID token that cannot be checked must be refused.
        raise BadResponse("The token response has no usable id_token.")
    lifetime = _lifetime(body.get("expires_in"))
    margin = min(EXPIRY_MARGIN_SECONDS, lifetime / 2) if lifetime else 0
    granted = scopes.read(body["scope"]) if "scope" in body else None
    return TokenResponse(
        access_token=access_token,
        refresh_token=_refresh_token(body, peer),
        scope=None if granted is None else scopes.join(granted),
        expires_at=None if lifetime is None else sent_at + timedelta(seconds=lifetime - margin),
        id_token=id_token,
        reciprocal=body.get(RECIPROCAL),
        has_reciprocal=RECIPROCAL in body,
        ends_at=None if lifetime is None else sent_at + timedelta(seconds=lifetime),
    )


def members_of(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object (RFC 8259, section 4). If ``body`` is anything else,
    return an empty dictionary.

    A byte order mark at the start is ignored (RFC 8259, section 8.1). The result is also empty if
    the parser fails because of deep nesting or a very long number.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _token(body: Mapping[str, Any], name: str, longest: int = MAX_TOKEN_LENGTH) -> Secret | None:
    """Return the token in the member ``name``; ``None`` if it is missing or unusable.

    A usable token has between one and ``longest`` printable ASCII characters and no space.
    RFC 6749, appendix A.12, allows spaces too, but a token with a space cannot be sent in a header
    (RFC 6750, section 2.1).
    """
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return None
    if not all(0x21 <= ord(character) <= 0x7E for character in value):
        return None
    return Secret(value)


def _refresh_token(body: Mapping[str, Any], peer: Peer) -> Secret | None:
    """Return the refresh token (RFC 6749, section 5.1); ``None`` if it is missing or unusable.

    :raises BadResponse: the refresh token is too long to be stored. If it were ignored, this site
        would lose its access without a warning when the access token expires.
    """
    value = body.get("refresh_token")
    if isinstance(value, str) and len(value) > MAX_TOKEN_LENGTH:
        raise BadResponse(
            f"The token response has a refresh_token of more than {MAX_TOKEN_LENGTH} characters."
        )
    token = _token(body, "refresh_token")
    if token is None and value:
        logger.warning("Peer %s sent a refresh_token that cannot be used; ignored", peer.slug)
    return token


def _lifetime(expires_in: object) -> float | None:
    """Return the lifetime of the access token in seconds; ``None`` if ``expires_in`` is missing or
    unusable. ``expires_in`` is RECOMMENDED, not required (RFC 6749, section 5.1)."""
    if isinstance(expires_in, str) and re.fullmatch("[0-9]{1,12}", expires_in):
        expires_in = int(expires_in)  # Some servers send the number as a string.
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    if expires_in < 0 or (isinstance(expires_in, float) and not math.isfinite(expires_in)):
        return None
    return min(expires_in, _MAX_EXPIRES_IN)
