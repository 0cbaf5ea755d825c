"""Step (A): the authorization request (RFC 6749, section 4.1.1; PKCE, RFC 7636)."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_variables
from oauthlib.common import generate_token
from oauthlib.oauth2 import WebApplicationClient

from ..core import scopes, site_address
from ..core.database import tried_again
from ..core.hashing import hash_of
from ..core.protocol import OPENID, OWN_AUTHORIZATION_PARAMETERS
from ..models import AuthorizationRequest, Peer
from ..secret import Secret
from . import visit_cookies

#: Visits of one person to one peer that are kept; the oldest go when more begin.
MAX_VISITS = 20
#: How long after its answer a visit is let alone.
_WORKED_ON = timedelta(minutes=1)


@dataclass(frozen=True)
class Departure:
    """A visit that is about to begin: the person leaves for the peer.

    :ivar url: where to send the person. It holds ``state``, so a ``repr`` does not show it.
    """

    url: Secret
    _request: HttpRequest
    _state_hash: str
    _browser_key: Secret

    def bind_to_browser(self, response: HttpResponseBase) -> None:
        """Tie the visit to the browser that gets ``response``. Without this, the callback refuses
        what the peer answers."""
        visit_cookies.give(self._request, response, self._state_hash, self._browser_key)


@sensitive_variables()
def begin(request: HttpRequest, peer: Peer, *, return_to: str = "") -> Departure:
    """Begin a visit to the peer, of the person who makes ``request``.

    ``state`` has 256 bits. Its hash goes into a row, which makes it single-use and names the
    person; a cookie ties it to this browser. Each peer has a redirect URI of its own, so that an
    answer that another peer provoked does not pass (RFC 9700, section 4.4.2).

    :param return_to: URL at which the person goes on afterwards, one that
        :func:`returning.is_allowed` allows. Empty: at the pages.
    """
    state = secrets.token_urlsafe(32)
    browser_key = visit_cookies.new_key()
    verifier = generate_token(64)
    nonce = secrets.token_urlsafe(24) if OPENID in scopes.split(peer.scope) else ""
    _forget_oldest(request.user, peer)
    base = site_address.base_url(request)
    redirect_uri = site_address.url_of("reciprocal_oauth:callback", peer.slug, base=base)
    tried_again(AuthorizationRequest.objects.create)(
        user=request.user,
        peer=peer,
        state_hash=hash_of(state),
        browser_hash=hash_of(browser_key.reveal()),
        code_verifier=Secret(verifier),
        nonce=nonce,
        redirect_uri=redirect_uri,
        return_to=return_to,
        language=get_language() or "",
    )
    parameters = {
        "response_type": "code",
        "client_id": peer.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": WebApplicationClient("").create_code_challenge(verifier, "S256"),
        "code_challenge_method": "S256",
    }
    if peer.scope:
        parameters["scope"] = peer.scope
    if nonce:
        parameters["nonce"] = nonce
    url = _with_query(peer.authorization_endpoint, {**peer.extra_parameters, **parameters})
    return Departure(Secret(url), request, hash_of(state), browser_key)


def _forget_oldest(user: Any, peer: Peer) -> None:
    """Make room for a visit: who presses the button over and over comes back from the newest."""
    rows = AuthorizationRequest.objects.filter(user=user, peer=peer)
    # What was answered just now may be worked on.
    busy = Q(answered_at__gt=timezone.now() - _WORKED_ON)
    oldest = rows.exclude(busy).order_by("-created_at").values_list("pk", flat=True)
    if over := list(oldest[MAX_VISITS - 1 :]):
        rows.filter(pk__in=over).delete()


@sensitive_variables()
def _with_query(url: str, parameters: dict[str, str]) -> str:
    """``url`` with more query parameters: its own are kept (RFC 6749, section 3.1), save those that
    the request says itself."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in parameters and name not in OWN_AUTHORIZATION_PARAMETERS
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()])))
