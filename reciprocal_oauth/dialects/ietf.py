"""The dialect ``ietf``, which follows draft-ietf-oauth-reciprocal-04.

Example of a hand-over (a request in which one site sends the other site a reciprocal code)::

    POST /token HTTP/1.1
    Authorization: Basic ...
    Content-Type: application/x-www-form-urlencoded

    grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal
      &code=...&client_id=...&access_token=...

Not implemented: client authentication without a client secret.
"""

from collections.abc import Mapping

from django.http import HttpRequest, HttpResponse

from ..client import token_endpoint
from ..client.http import PeerResponse
from ..client.token_endpoint import TokenResponse
from ..core import protocol
from ..exceptions import HandoverRefused
from ..models import Peer, Reason
from ..models.results import (
    Accepted,
    Done,
    Failed,
    HandoverResult,
    Retry,
    RevocationResult,
    StaleToken,
)
from ..secret import Secret
from .base import Dialect, Handover
from .form import names_grant, parse_form, refusal_response

#: The headers of a response. Caches must not store a response of the token endpoint (RFC 6749,
#: section 5.1).
HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
}

#: The error codes that a peer can send because the access token in a hand-over is no longer valid
#: (RFC 6749, section 5.2; RFC 6750, section 3.1). ``""`` means that the response contains no
#: readable error code.
_ABOUT_THE_TOKEN = ("", protocol.INVALID_GRANT, protocol.INVALID_TOKEN)


class IETFDialect(Dialect):
    """The dialect that follows draft-ietf-oauth-reciprocal-04. A site sends a reciprocal code as a
    form field to the token endpoint of the other site, with the grant type
    ``urn:ietf:params:oauth:grant-type:reciprocal``."""

    def recognise(self, request: HttpRequest) -> bool:
        """Return whether the request uses the grant type of the draft
        (draft-ietf-oauth-reciprocal-04, section 2.2.2). Raise no exception."""
        return names_grant(request, protocol.GRANT_TYPE)

    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over that the form fields of the request contain
        (draft-ietf-oauth-reciprocal-04, section 2.2.2).

        :raises HandoverRefused: the form of the request is wrong, or the request contains no client
            credentials.
        """
        return parse_form(request)

    def success(self, request: HttpRequest) -> HttpResponse:
        """Return status 200 (draft-ietf-oauth-reciprocal-04, section 2.2.2), headers that forbid
        caching (RFC 6749, section 5.1), and an empty JSON object as the body."""
        # The draft defines no body. Return a JSON body, because DOT's token view parses the body of
        # each of its own responses with status 200 as JSON.
        return HttpResponse("{}", headers=dict(HEADERS))

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return the response to a hand-over that was refused: a JSON object with the error code
        (RFC 6749, section 5.2)."""
        return refusal_response(refused, HEADERS)

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Send the code and the access token to the endpoint at which the peer accepts reciprocal
        codes (draft-ietf-oauth-reciprocal-04, section 2.2.2).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
        response = token_endpoint.post(
            peer,
            peer.handover_endpoint,
            {
                "grant_type": protocol.GRANT_TYPE,
                "code": code.reveal(),
                "client_id": peer.client_id,
                "access_token": access_token.reveal(),
            },
        )
        return handover_result(response)

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """Redeem a reciprocal code for tokens at the peer (RFC 6749, section 4.1.3).

        :raises PeerError: the peer returned no usable tokens; see
            :func:`client.token_endpoint.request_token`.
        """
        # The request has no redirect_uri, because a reciprocal code comes without an authorization
        # request (RFC 6749, section 4.1.3).
        return token_endpoint.request_token(
            peer, {"grant_type": "authorization_code", "code": code.reveal()}
        )

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Request a new access token from the peer (RFC 6749, section 6).

        :raises PeerError: the peer returned no usable tokens; see
            :func:`client.token_endpoint.request_token`.
        """
        return token_endpoint.request_token(
            peer, {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        )

    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Send the token to the revocation endpoint of the peer (RFC 7009, section 2.1).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
        response = token_endpoint.post(peer, peer.revocation_endpoint, {"token": token.reveal()})
        match handover_result(response):
            case Accepted():
                return Done()
            case Retry() | Failed(reason=Reason.CREDENTIALS_REFUSED | Reason.GONE) as result:
                return result
            # For example, the error "unsupported_token_type" with status 400 (RFC 7009, section
            # 2.2.1). Do not repeat the revocation, because a later attempt would fail too.
            case Failed(error=error) | StaleToken(error=error):
                return Failed(error, Reason.TOKEN_REFUSED)


def handover_result(response: PeerResponse) -> HandoverResult:
    """Return the result of a hand-over. ``response`` is the response of the peer to the request
    with the reciprocal code. :meth:`IETFDialect.revoke` also calls this function, with the response
    to a revocation.

    The draft defines only the statuses 200 and 400, and no response body. RFC 6749, section 5.2,
    defines error codes for status 400 and 401. Other statuses come from web servers and proxies.
    """
    refusal = token_endpoint.refusal(response)
    status, error, text = response.status, refusal.error, str(refusal)
    if response.is_success:
        return Accepted(detail=f"HTTP {status}")
    if error == protocol.UNSUPPORTED_GRANT_TYPE and status < 500:
        return Failed(text, Reason.NO_REVERSE)
    if refusal.refuses_credentials:
        return Failed(text, Reason.CREDENTIALS_REFUSED)
    if refusal.may_pass or status in (404, 405) or status < 400:
        return Retry(text, Reason.UNREACHABLE, refusal.retry_after)
    if status in (400, 401) and error in _ABOUT_THE_TOKEN:
        return StaleToken(text)
    return Failed(text, Reason.GONE if status == 410 else Reason.HANDOVER_REFUSED)
