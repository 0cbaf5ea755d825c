"""The draft as it is written: draft-ietf-oauth-reciprocal-04.

::

    POST /token HTTP/1.1
    Authorization: Basic ...
    Content-Type: application/x-www-form-urlencoded

    grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal
      &code=...&client_id=...&access_token=...

Not implemented here: client authentication other than by secret.
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

#: Caches must not store responses of the token endpoint (RFC 6749, section 5.1).
HEADERS: Mapping[str, str] = {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    "Pragma": "no-cache",
}

#: Error codes of a response that may refuse the access token (RFC 6749, section 5.2; RFC 6750,
#: section 3.1), or none.
_ABOUT_THE_TOKEN = ("", protocol.INVALID_GRANT, protocol.INVALID_TOKEN)


class IETFDialect(Dialect):
    """Form-encoded, at the token endpoint, with the grant type's URN."""

    def recognise(self, request: HttpRequest) -> bool:
        """Return whether the request names the grant type of the draft
        (draft-ietf-oauth-reciprocal-04, section 2.2.2). Never raises."""
        return names_grant(request, protocol.GRANT_TYPE)

    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over in the form parameters (draft-ietf-oauth-reciprocal-04, section
        2.2.2).

        :raises HandoverRefused: the form is wrong, or the client does not authenticate.
        """
        return parse_form(request)

    def success(self) -> tuple[int, Mapping[str, str], str]:
        """Return status 200 with an empty JSON object and the headers against caching (RFC 6749,
        section 5.1)."""
        # The draft defines the status 200 and no body. DOT parses the body of a 200 as JSON.
        return 200, HEADERS, "{}"

    def error(self, refused: HandoverRefused) -> HttpResponse:
        """Return the JSON error response of the token endpoint (RFC 6749, section 5.2)."""
        return refusal_response(refused, HEADERS)

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Post the code and the access token to the hand-over endpoint of the peer
        (draft-ietf-oauth-reciprocal-04, section 2.2.2).

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
        """Request tokens with the code (RFC 6749, section 4.1.3).

        :raises PeerError: there are no tokens, see :func:`client.token_endpoint.request_token`.
        """
        # RFC 6749, section 4.1.3. Without redirect_uri: there was no authorization request.
        return token_endpoint.request_token(
            peer, {"grant_type": "authorization_code", "code": code.reveal()}
        )

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Request a new access token (RFC 6749, section 6).

        :raises PeerError: there are no tokens, see :func:`client.token_endpoint.request_token`.
        """
        return token_endpoint.request_token(
            peer, {"grant_type": "refresh_token", "refresh_token": refresh_token.reveal()}
        )

    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Post the token to the revocation endpoint of the peer (RFC 7009, section 2.1).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
        # RFC 7009, section 2.1. 400 with unsupported_token_type (section 2.2.1) is final too.
        response = token_endpoint.post(peer, peer.revocation_endpoint, {"token": token.reveal()})
        match handover_result(response):
            case Accepted():
                return Done()
            case Retry() | Failed(reason=Reason.CREDENTIALS_REFUSED | Reason.GONE) as result:
                return result
            case Failed(error=error) | StaleToken(error=error):
                return Failed(error, Reason.TOKEN_REFUSED)


def handover_result(response: PeerResponse) -> HandoverResult:
    """Return what a response to a hand-over means.

    The draft defines the statuses 200 and 400 only, and no body for 400. RFC 6749, section 5.2,
    defines error codes for 400 and 401. All other statuses come from HTTP servers and proxies.
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
