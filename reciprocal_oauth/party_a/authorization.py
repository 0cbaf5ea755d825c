"""Step (A): the authorization request (RFC 6749, section 4.1.1; PKCE, RFC 7636)."""

import logging
import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from django.http import HttpRequest
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables
from oauthlib.common import generate_token
from oauthlib.oauth2 import WebApplicationClient

from .. import scopes
from ..models import AuthorizationRequest, Peer
from ..models.ledger import hash_of
from ..protocol import OPENID
from ..secret import Secret
from . import returning

logger = logging.getLogger("reciprocal_oauth.party_a")

SESSION_KEY = "reciprocal_oauth_states"
#: Visits to peers that one session may have under way; older ones are forgotten.
MAX_STATES = 10


@sensitive_variables()
def begin(request: HttpRequest, peer: Peer, *, return_to: str = "") -> str:
    """Begin a visit to the peer and give the URL to send the person to, who makes ``request``.

    ``state`` has 256 bits. Its hash goes into the session, which ties the answer to this browser,
    and into a row, which makes it single-use. Each peer has a redirect URI of its own, so that an
    answer that another peer provoked does not pass (RFC 9700, section 4.4.2).

    :param return_to: URL at which the person goes on afterwards, one that
        :func:`returning.is_allowed` allows. Empty: at the pages.
    """
    state = secrets.token_urlsafe(32)
    verifier = generate_token(64)
    nonce = secrets.token_urlsafe(24) if OPENID in scopes.split(peer.scope) else ""
    callback = reverse("reciprocal_oauth:callback", args=[peer.slug])
    redirect_uri = request.build_absolute_uri(callback)
    AuthorizationRequest.objects.create(
        user=request.user,  # type: ignore[misc]
        peer=peer,
        state_hash=hash_of(state),
        code_verifier=Secret(verifier),
        nonce=nonce,
        redirect_uri=redirect_uri,
    )
    session = request.session
    states = [*session.get(SESSION_KEY, []), hash_of(state)][-MAX_STATES:]
    session[SESSION_KEY] = states
    if return_to:
        returning.remember(session, hash_of(state), return_to, states)
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
    return _with_query(peer.authorization_endpoint, parameters)


@sensitive_variables()
def _with_query(url: str, parameters: dict[str, str]) -> str:
    """``url`` with more query parameters: its own are kept (RFC 6749, section 3.1)."""
    parts = urlsplit(url)
    kept = [
        (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
        if name not in parameters
    ]
    return urlunsplit(parts._replace(query=urlencode([*kept, *parameters.items()])))
