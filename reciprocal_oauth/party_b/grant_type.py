"""The reciprocal grant: the oauthlib grant type with which a peer sends a reciprocal code.

This is step (E) in the figure of draft-ietf-oauth-reciprocal-04, section 2. Section 2.2.2 of the
draft defines the grant; it is an extension grant (RFC 6749, section 4.5). Example of a request::

    POST /token HTTP/1.1
    Authorization: Basic ...
    Content-Type: application/x-www-form-urlencoded

    grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal
      &code=hasdyubasdjahsbdkjbasd
      &client_id=example.com
      &access_token=sadadojsadlkjasdkljxxlkjdas

The token view checks the parameters (for example, that none is missing) before oauthlib gets the
request.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase

from ..core import protocol
from ..dialects import dialect_of
from ..dialects.base import Dialect, Handover
from ..dialects.form import refusal_response
from ..dialects.ietf import HEADERS
from ..exceptions import HandoverRefused
from ..links import incoming_access
from ..models import Peer
from .take import log_refusal, site_accepts, take

#: A key in Django's ``request.META``. The token view stores an :class:`Exchange` under this key
#: after it has checked the parameters of a hand-over. oauthlib's request object contains ``META``
#: as ``request.headers``.
EXCHANGE = "reciprocal_oauth.exchange"


@dataclass(frozen=True)
class Exchange:
    """A hand-over whose parameters the token view has checked.

    :ivar request: Django's request.
    :ivar handover: the values of the hand-over.
    :ivar dialect: the dialect that responds if no peer is known.
    :ivar started_at: when the request came, as a value of ``time.monotonic()``.
    """

    request: HttpRequest
    handover: Handover
    dialect: Dialect
    started_at: float = field(default_factory=time.monotonic)


class ReciprocalGrant(GrantTypeBase):
    """The grant type with which a peer hands over a reciprocal code to this site
    (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""

    def create_token_response(
        self, request: Request, token_handler: Any
    ) -> tuple[dict[str, str], str, int]:
        """Store the reciprocal code that a peer sends. The response contains no token, because this
        site redeems the code later.

        :returns: the headers, the body and the status of the response. The status is 200 if the
            code was stored; otherwise the response is an error (RFC 6749, section 5.2).
        """
        exchange = request.headers.get(EXCHANGE)
        try:
            if exchange is None:
                # The token view has not checked the parameters, because it did not recognise this
                # request as a hand-over. This happens if the site's own OAUTH2_BACKEND_CLASS reads
                # another format, such as JSON.
                reason = "the token view has not checked the parameters"
                raise HandoverRefused(protocol.INVALID_REQUEST, reason)
            self.validate_token_request(request)
            item = take(
                request.client,
                exchange.handover,
                accepts=lambda token: site_accepts(self.request_validator, token, request),
                started_at=exchange.started_at,
                trace=exchange.request.META.get("HTTP_TRACEPARENT", ""),
            )
        except HandoverRefused as refused:
            log_refusal(refused, request.client)
            if exchange is None:
                return _parts(refusal_response(refused, HEADERS))
            dialect = _answering(request, exchange)
            return _parts(dialect.error(refused, exchange.request))
        return _parts(dialect_of(item.peer).success(exchange.request))

    def validate_token_request(self, request: Request) -> None:
        """Authenticate the client, and check that it may use the reciprocal grant.

        draft-ietf-oauth-reciprocal-04, section 2.2.2, prescribes the order of the checks.

        :raises HandoverRefused: ``invalid_request``, ``invalid_client`` or ``unauthorized_client``
            (RFC 6749, section 5.2).
        """
        self.check_client(request)
        self.check_grant_type(request)

    def check_client(self, request: Request) -> None:
        """Authenticate the client, which must be confidential (RFC 6749, section 2.3).

        "Party B MUST verify the authentication provided by Party A"
        (draft-ietf-oauth-reciprocal-04, section 2.2.2). DOT accepts a public client that sends an
        empty secret. That proves nothing, so this method refuses public clients.

        :raises HandoverRefused: ``invalid_client`` with status 401 if the client does not
            authenticate; ``invalid_request`` if ``client_id`` names another client (RFC 6749,
            section 5.2).
        """
        validator = self.request_validator
        if not validator.authenticate_client(request) or request.client is None:
            raise HandoverRefused(
                protocol.INVALID_CLIENT, "client authentication failed", status=401
            )
        if request.client.client_type != request.client.CLIENT_CONFIDENTIAL:
            raise HandoverRefused(
                protocol.INVALID_CLIENT, "a public client cannot authenticate", status=401
            )
        if request.client.client_id != request.client_id:
            raise HandoverRefused(
                protocol.INVALID_REQUEST, "client_id is not the authenticated client"
            )

    def check_grant_type(self, request: Request) -> None:
        """Check that the validator class of the site allows the client to use this grant.

        :raises HandoverRefused: ``unauthorized_client`` if the validator does not allow the grant
            (RFC 6749, section 5.2).
        """
        if not self.request_validator.validate_grant_type(
            request.client_id, request.grant_type, request.client, request
        ):
            raise HandoverRefused(
                protocol.UNAUTHORIZED_CLIENT, "the validator does not allow the grant"
            )


def _answering(request: Request, exchange: Exchange) -> Dialect:
    """Return the dialect of the peer that sent the hand-over, so that the response to a refusal has
    the form that the peer expects. If no peer is known, return the dialect of the draft."""
    if request.client is None:
        return dialect_of_client(exchange.handover.client_id, exchange.dialect)
    return _dialect_or(incoming_access.peer_of(request.client), exchange.dialect)


def dialect_of_client(client_id: str | None, otherwise: Dialect) -> Dialect:
    """Return the dialect of the peer whose application has this client ID; ``otherwise`` if there
    is none. The client need not be authenticated: only the form of the response depends on it."""
    if not client_id:
        return otherwise
    named = Peer.objects.filter(application__client_id=client_id)
    return _dialect_or(named.first(), otherwise)


def _dialect_or(peer: Peer | None, otherwise: Dialect) -> Dialect:
    try:
        return otherwise if peer is None else dialect_of(peer)
    except ImproperlyConfigured:
        return otherwise


def _parts(response: HttpResponse) -> tuple[dict[str, str], str, int]:
    """Return headers, body and status of ``response``, as oauthlib expects them."""
    return dict(response.items()), response.content.decode(), response.status_code
