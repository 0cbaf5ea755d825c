"""Sends the browser of the user to the peer with an authorization request (RFC 6749, section
4.1.1). The request uses PKCE (RFC 7636, section 4.3).

This is step (A) of figure 1 in draft-ietf-oauth-reciprocal-04, section 2.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError
from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import get_language
from django.views.decorators.debug import sensitive_variables
from oauthlib.common import generate_token
from oauthlib.oauth2 import WebApplicationClient

from ..client.authorization_endpoint import request_url
from ..core import scopes, site_address, telemetry
from ..core.database import atomic, tried_again
from ..core.hashing import hash_of
from ..core.protocol import OPENID
from ..models import AuthorizationRequest, Peer
from ..secret import Secret
from . import visit_cookies
from .app_starts import AppStart, StartUsed
from .attempts import IN_USE_AFTER_RESPONSE

#: The largest number of visits (authorization requests) of one user to one peer that are stored.
#: When a new visit starts, the oldest visits beyond this number are deleted. Failed visits are
#: counted separately, so that a user who presses the button often does not delete them.
MAX_VISITS = 20


@dataclass(frozen=True)
class StartedVisit:
    """A new visit, before the browser is redirected to the peer.

    :ivar url: the URL of the authorization request (RFC 6749, section 4.1.1), to which the caller
        redirects the browser. ``repr()`` hides the URL, because it contains ``state``.
    """

    url: Secret
    _request: HttpRequest
    _state_hash: str
    _browser_key: Secret

    def bind_to_browser(self, response: HttpResponseBase) -> None:
        """Set a cookie in ``response`` that shows later that the visit was started in this browser
        (RFC 6749, section 10.12). This site refuses the authorization response of the peer if the
        browser does not send the cookie with it."""
        visit_cookies.set_cookie(self._request, response, self._state_hash, self._browser_key)


@sensitive_variables()
def begin(
    request: HttpRequest, peer: Peer, *, return_to: str = "", start: AppStart | None = None
) -> StartedVisit:
    """Start a visit: create the authorization request that sends the user of ``request`` to the
    peer.

    - ``state`` has 256 random bits (RFC 6749, sections 10.10 and 10.12). The database stores the
      hash of ``state``, the user, and whether ``state`` was used. A cookie ensures that ``state``
      is accepted only from this browser.
    - Each peer has its own redirect URI, which is a defense against mix-up attacks (RFC 9700,
      section 4.4.2.2).
    - ``nonce`` is sent if the scope contains ``openid`` (OpenID Connect Core 1.0, section 3.1.2.1).

    :param return_to: the URL to which the user returns at the end. It must be allowed by
        :func:`.return_urls.is_allowed`. If it is empty, the user returns to a page of this app.
    :param start: the start of the app that wants the connection. It names the return URL, and this
        site asks for consent on its own page before the user returns.
    :raises StartUsed: the start has begun a connection before.
    """
    with telemetry.span(telemetry.Step.AUTHORIZATION_REQUEST, peer.slug):
        return _begin(request, peer, return_to, start)


@sensitive_variables()
def _begin(
    request: HttpRequest, peer: Peer, return_to: str, start: AppStart | None
) -> StartedVisit:
    state = secrets.token_urlsafe(32)
    browser_key = visit_cookies.new_browser_key()
    verifier = generate_token(64)
    nonce = secrets.token_urlsafe(24) if OPENID in scopes.split(peer.scope) else ""
    _delete_oldest_visits(request.user, peer)
    base = site_address.base_url(request)
    redirect_uri = site_address.url_of("reciprocal_oauth:callback", peer.slug, base=base)
    tried_again(_store)(
        start,
        user=request.user,
        peer=peer,
        state_hash=hash_of(state),
        browser_hash=hash_of(browser_key.reveal()),
        code_verifier=Secret(verifier),
        nonce=nonce,
        redirect_uri=redirect_uri,
        return_to=start.return_to if start else return_to,
        language=get_language() or "",
    )
    parameters = {
        "response_type": "code",
        "client_id": peer.client_id,
        "redirect_uri": redirect_uri,
        "state": state,
        # The PKCE code challenge: RFC 7636, sections 4.2 and 4.3.
        "code_challenge": WebApplicationClient("").create_code_challenge(verifier, "S256"),
        "code_challenge_method": "S256",
    }
    if peer.scope:
        parameters["scope"] = peer.scope
    if nonce:
        parameters["nonce"] = nonce
    url = request_url(peer.authorization_endpoint, {**peer.extra_parameters, **parameters})
    return StartedVisit(Secret(url), request, hash_of(state), browser_key)


def _store(start: AppStart | None, **values: Any) -> None:
    """Store a new visit. Its column ``start_hash`` is unique, so that two requests at the same time
    cannot use the same start.

    :raises StartUsed: the start has begun a connection before.
    """
    if start is None:
        AuthorizationRequest.objects.create(**values)
        return
    values |= {"asks_here": True, "start_hash": start.text_hash, "app_state": start.state}
    try:
        with atomic():
            AuthorizationRequest.objects.create(**values)
    except IntegrityError:
        if not AuthorizationRequest.objects.filter(start_hash=start.text_hash).exists():
            raise  # Another reason, such as a user that was deleted meanwhile.
        raise StartUsed("the start has begun a connection before") from None


def _delete_oldest_visits(user: Any, peer: Peer) -> None:
    """Delete the oldest visits (authorization requests) of ``user`` to ``peer``, so that at most
    :data:`MAX_VISITS` failed visits and :data:`MAX_VISITS` other visits exist after the new visit
    is stored. Visits whose response has just arrived are not counted and not deleted."""
    rows = AuthorizationRequest.objects.filter(user=user, peer=peer)
    in_use = Q(problem="", answered_at__gt=timezone.now() - IN_USE_AFTER_RESPONSE)
    oldest = rows.exclude(in_use).order_by("-created_at").values_list("pk", "problem")
    failed = [pk for pk, problem in oldest if problem]
    others = [pk for pk, problem in oldest if not problem]
    if over := failed[MAX_VISITS:] + others[MAX_VISITS - 1 :]:
        rows.filter(pk__in=over).delete()
