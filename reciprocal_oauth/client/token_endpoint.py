"""Sends requests to a peer's token endpoint and reads the responses.

RFC 6749, sections 2.3.1 (client authentication), 3.2 (token endpoint), 4.1.3 (code), 5.1 and 5.2
(responses), 6 (refresh).
"""

import json
import logging
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from requests.auth import AuthBase, HTTPBasicAuth

from ..core import scopes
from ..core.peer_urls import origin_of
from ..core.protocol import MAX_TOKEN_LENGTH, RECIPROCAL
from ..exceptions import AddressRefused, BadResponse, PeerRefused
from ..models import Peer
from ..secret import Secret
from . import http, retry_after

logger = logging.getLogger("reciprocal_oauth.client")

#: Longest ID token that is read, in characters. It may hold many claims, and is not stored.
MAX_ID_TOKEN_LENGTH = 32 * 1024
#: A token is refreshed this many seconds before it expires, because clocks differ and requests take
#: time. A short-lived token is used for at least half of its lifetime.
EXPIRY_MARGIN_SECONDS = 30
#: Longest lifetime of an access token that is accepted, in seconds (ten years).
_MAX_EXPIRES_IN = 10 * 365 * 24 * 3600
#: All registered error codes look like this (RFC 6749, section 11.4). A log repeats nothing else: a
#: peer could send our own code or token back as its error.
_ERROR_CODE = re.compile(r"[A-Za-z_]{1,60}")


@dataclass(frozen=True)
class TokenResponse:
    """The members of a token response (RFC 6749, section 5.1).

    :ivar scope: granted scope; ``None`` if it is not in the response: it is the requested one then.
    :ivar expires_at: when to refresh the access token; ``None`` if the peer did not say it.
    :ivar reciprocal: the ``reciprocal`` member (draft-ietf-oauth-reciprocal-04, section 2.1), not
        checked yet.
    :ivar has_reciprocal: whether the response has that member.
    :ivar ends_at: when the access token expires; ``None`` if the peer did not say it.
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
    """Send ``parameters`` to the peer's token endpoint, authenticated as its client.

    RFC 6749, section 5.1, demands status 200. Some servers send 201, and some send 200 for errors.
    So every 2xx with a token counts as success, and a 2xx with ``error`` and no token as an error.

    :raises PeerRefused: the peer responded with an error (RFC 6749, section 5.2).
    :raises BadResponse: the peer responded with 2xx, but not with a token response.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    sent_at = timezone.now()
    response = post(peer, peer.token_endpoint, parameters)
    if not response.is_success:
        raise refusal(response)
    return _read(response, peer, sent_at)


@sensitive_variables()
def post(peer: Peer, url: str, parameters: Mapping[str, str]) -> http.PeerResponse:
    """POST form fields to an endpoint of the peer, authenticated as its client.

    It uses the one method that is configured: RFC 6749, section 2.3, forbids two in one request.

    :raises AddressRefused: our client secret was not entered for ``url``, or this site never calls
        it.
    :raises PeerUnreachable: see :mod:`reciprocal_oauth.client.http`.
    """
    require_bound(peer, url)
    fields = dict(parameters)
    auth: AuthBase | None = None
    secret = peer.client_secret.reveal()
    if peer.token_endpoint_auth_method == Peer.AuthMethod.POST:
        fields |= {"client_id": peer.client_id, "client_secret": secret}
    else:
        # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined. A space is
        # sent as %20, because some servers decode "+" as a plus.
        auth = HTTPBasicAuth(quote(peer.client_id, safe=""), quote(secret, safe=""))
    return http.call("POST", url, data=fields, headers={"Accept": "application/json"}, auth=auth)


def require_bound(peer: Peer, url: str) -> None:
    """Check that a secret may be sent to ``url``, an endpoint of the peer.

    :raises AddressRefused: our client secret was entered for another origin or client ID.
    """
    if not peer.may_send_secret_to(url):
        raise AddressRefused(
            _(
                "The client secret was entered for another address or another client ID, and is "
                "not sent to %(origin)s. Enter it again on the page of the peer."
            )
            % {"origin": origin_of(url)}
        )


def refusal(response: http.PeerResponse) -> PeerRefused:
    """Return the error that a response stands for (RFC 6749, section 5.2)."""
    code = None if response.problem else members_of(response.body).get("error")
    is_foreign = code is None and bool(
        response.problem or response.body.strip() not in (b"", b"{}")
    )
    error = code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else ""
    log = f"HTTP {response.status}" + (f" {error}" if error else " without a readable error")
    return PeerRefused(
        log,
        status=response.status,
        error=error,
        retry_after=retry_after.seconds(response.headers.get("Retry-After"), timezone.now()),
        is_foreign=is_foreign,
    )


def _read(response: http.PeerResponse, peer: Peer, sent_at: datetime) -> TokenResponse:
    """Read a token response (RFC 6749, section 5.1); members that we do not know are ignored.

    :raises PeerRefused: it holds an error and no token.
    :raises BadResponse: it is not a token response.
    """
    body = members_of(response.body)
    access_token = _token(body, "access_token")
    if access_token is None:
        if body.get("access_token") is None and isinstance(body.get("error"), str):
            raise refusal(response)
        raise BadResponse("The token response has no usable access_token.")
    # RFC 6749, section 7.1: a client must not use a token of a type that it does not know. The
    # member is REQUIRED, but servers that know no other type leave it out.
    token_type = body.get("token_type")
    if token_type is not None and str(token_type).lower() != "bearer":
        raise BadResponse("The token response is not of token_type Bearer.")
    id_token = _token(body, "id_token", MAX_ID_TOKEN_LENGTH)
    if id_token is None and body.get("id_token") is not None:
        # It must be checked, because it says whose account it is. So it must not be ignored.
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
    """Return the members of a JSON object (RFC 8259, section 4); none for any other body.

    A byte order mark is ignored (RFC 8259, section 8.1). Deep nesting and very long numbers make
    the parser fail: such a body is not a JSON object either.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _token(body: Mapping[str, Any], name: str, longest: int = MAX_TOKEN_LENGTH) -> Secret | None:
    """Return a token, if it has a usable form: printable ASCII characters, at least one.

    RFC 6749, appendix A.12, allows spaces as well; they cannot be sent in a header (RFC 6750,
    section 2.1).
    """
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return None
    if not all(0x21 <= ord(character) <= 0x7E for character in value):
        return None
    return Secret(value)


def _refresh_token(body: Mapping[str, Any], peer: Peer) -> Secret | None:
    """Return the refresh token, if there is one (RFC 6749, section 6).

    :raises BadResponse: it is too long to be stored. Without it, the access would end unnoticed.
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
    """Return the lifetime in seconds; ``None`` if the peer did not say it (it is RECOMMENDED)."""
    if isinstance(expires_in, str) and re.fullmatch("[0-9]{1,12}", expires_in):
        expires_in = int(expires_in)  # Some servers send the number as a string.
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    if expires_in < 0 or (isinstance(expires_in, float) and not math.isfinite(expires_in)):
        return None
    return min(expires_in, _MAX_EXPIRES_IN)
