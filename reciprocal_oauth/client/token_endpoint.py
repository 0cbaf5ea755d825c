"""Requests to a peer's token endpoint, and what is believed of its answers.

RFC 6749, sections 2.3.1 (client authentication), 4.1.3 (code), 5.1 and 5.2 (answers), 6 (refresh).
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

#: Longest ID token that is read, in characters: it may carry many claims, and is not stored.
MAX_ID_TOKEN_LENGTH = 32 * 1024
#: A token is renewed this many seconds early, but never before half of its life is over: clocks
#: differ and requests take time.
EXPIRY_MARGIN_SECONDS = 30
#: Longest life that is believed, in seconds (ten years).
_MAX_EXPIRES_IN = 10 * 365 * 24 * 3600
#: An error code as all that are registered look. Nothing else is repeated in a log: a peer could
#: send our own code or token back in it.
_ERROR_CODE = re.compile(r"[A-Za-z_]{1,60}")


@dataclass(frozen=True)
class TokenResponse:
    """What a token response gave us (RFC 6749, section 5.1).

    :ivar scope: granted scope; ``None`` where the peer left it out, so it is the one asked for.
    :ivar expires_at: when to renew the access token; ``None``: the peer did not say.
    :ivar reciprocal: the raw ``reciprocal`` member (draft, "Reciprocal Scope Request"), unchecked.
    :ivar has_reciprocal: whether the member was there at all.
    :ivar ends_at: when the access token ends, for one that cannot be renewed.
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

    Any 2xx with a token response is one, and one with an ``error`` and no token is an error: there
    are servers that say 201, and servers that say 200 to everything.

    :raises PeerRefused: it answered with an error (RFC 6749, section 5.2).
    :raises BadResponse: it answered 2xx, but not with a token response.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    begun = timezone.now()
    answer = post(peer, peer.token_endpoint, parameters)
    if not answer.is_success:
        raise refusal(answer)
    return _parse(answer, peer, begun)


@sensitive_variables()
def post(peer: Peer, url: str, parameters: Mapping[str, str]) -> http.PeerResponse:
    """POST form fields to an endpoint of the peer with client authentication, in the one way that
    is configured: RFC 6749, section 2.3, forbids two at once.

    :raises AddressRefused: our secret was not entered for what is at ``url``.
    """
    require_bound(peer, url)
    fields = dict(parameters)
    auth: AuthBase | None = None
    secret = peer.client_secret.reveal()
    if peer.token_endpoint_auth_method == Peer.AuthMethod.POST:
        fields |= {"client_id": peer.client_id, "client_secret": secret}
    else:
        # RFC 6749, section 2.3.1: both parts are form-encoded before they are joined. A space is
        # %20, which every server decodes that decodes at all; some take "+" for a plus.
        auth = HTTPBasicAuth(quote(peer.client_id, safe=""), quote(secret, safe=""))
    return http.call("POST", url, data=fields, headers={"Accept": "application/json"}, auth=auth)


def require_bound(peer: Peer, url: str) -> None:
    """Call it before anything secret is sent to an endpoint of the peer.

    :raises AddressRefused: our client secret was entered for others than who is at ``url``.
    """
    if not peer.may_be_sent_to(url):
        raise AddressRefused(
            _(
                "The client secret was entered for another address or another client ID, and is "
                "not sent to %(origin)s. Enter it again on the page of the peer."
            )
            % {"origin": origin_of(url)}
        )


def refusal(answer: http.PeerResponse) -> PeerRefused:
    """The error that an answer stands for which is no success."""
    said = None if answer.problem else members_of(answer.body).get("error")
    is_foreign = said is None and bool(answer.problem or answer.body.strip() not in (b"", b"{}"))
    error = said if isinstance(said, str) and _ERROR_CODE.fullmatch(said) else ""
    log = f"HTTP {answer.status}" + (f" {error}" if error else " without a readable error")
    return PeerRefused(
        log,
        status=answer.status,
        error=error,
        retry_after=retry_after.seconds(answer.headers.get("Retry-After"), timezone.now()),
        is_foreign=is_foreign,
    )


def _parse(answer: http.PeerResponse, peer: Peer, begun: datetime) -> TokenResponse:
    body = members_of(answer.body)
    access_token = _token(body, "access_token")
    if access_token is None:
        if body.get("access_token") is None and isinstance(body.get("error"), str):
            raise refusal(answer)
        raise BadResponse("The token response carries no usable access_token.")
    # REQUIRED, but left out by servers that know no other type.
    token_type = body.get("token_type")
    if token_type is not None and str(token_type).lower() != "bearer":
        raise BadResponse("The token response is not of token_type Bearer.")
    id_token = _token(body, "id_token", MAX_ID_TOKEN_LENGTH)
    if id_token is None and body.get("id_token") is not None:
        # Not the same as none: it would have to be checked, and tells accounts apart.
        raise BadResponse("The token response carries no usable id_token.")
    life = _life(body.get("expires_in"))
    margin = min(EXPIRY_MARGIN_SECONDS, life / 2) if life else 0
    granted = scopes.read(body["scope"]) if "scope" in body else None
    return TokenResponse(
        access_token=access_token,
        refresh_token=_refresh_token(body, peer),
        scope=None if granted is None else scopes.join(granted),
        expires_at=None if life is None else begun + timedelta(seconds=life - margin),
        id_token=id_token,
        reciprocal=body.get(RECIPROCAL),
        has_reciprocal=RECIPROCAL in body,
        ends_at=None if life is None else begun + timedelta(seconds=life),
    )


def members_of(body: bytes) -> dict[str, Any]:
    """The members of a JSON object; none, if the body is anything else.

    A byte order mark is passed over (RFC 8259, section 8.1). A deep nesting exhausts the stack and
    a long number the converter: both are just bad answers.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _token(body: Mapping[str, Any], name: str, longest: int = MAX_TOKEN_LENGTH) -> Secret | None:
    """RFC 6749, appendix A.12: one or more printable ASCII characters."""
    value = body.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        return None
    if not all(0x21 <= ord(character) <= 0x7E for character in value):
        return None
    return Secret(value)


def _refresh_token(body: Mapping[str, Any], peer: Peer) -> Secret | None:
    """:raises BadResponse: it is too long: without it, the access would end unseen."""
    value = body.get("refresh_token")
    if isinstance(value, str) and len(value) > MAX_TOKEN_LENGTH:
        raise BadResponse(
            f"The token response has a refresh_token of more than {MAX_TOKEN_LENGTH} characters."
        )
    token = _token(body, "refresh_token")
    if token is None and value:
        logger.warning("Peer %s sent a refresh_token that cannot be used; ignored", peer.slug)
    return token


def _life(expires_in: object) -> float | None:
    """Seconds; ``None``: the peer did not say."""
    if isinstance(expires_in, str) and re.fullmatch("[0-9]{1,12}", expires_in):
        expires_in = int(expires_in)  # Some providers quote the number.
    if isinstance(expires_in, bool) or not isinstance(expires_in, int | float):
        return None
    if expires_in < 0 or (isinstance(expires_in, float) and not math.isfinite(expires_in)):
        return None
    return min(expires_in, _MAX_EXPIRES_IN)
