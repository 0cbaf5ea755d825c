"""Step (E): the reciprocal grant as an oauthlib grant type, on the ordinary token endpoint.

::

    POST /token HTTP/1.1
    Authorization: Basic ...
    Content-Type: application/x-www-form-urlencoded

    grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal
      &code=hasdyubasdjahsbdkjbasd
      &client_id=example.com
      &access_token=sadadojsadlkjasdkljxxlkjdas

The shape of the request has been checked by the dialect before oauthlib sees it.
"""

import logging
from typing import Any

from oauthlib.common import Request
from oauthlib.oauth2.rfc6749.grant_types.base import GrantTypeBase

from ..core import protocol
from ..dialects import Dialect
from ..exceptions import HandoverRefused
from ..links import incoming_access
from ..secret import Secret
from .receive import receive

logger = logging.getLogger("reciprocal_oauth.party_b")

#: Marks, among the headers that oauthlib is given, a request that a dialect has parsed.
PARSED = "reciprocal_oauth.parsed"


class ReciprocalGrant(GrantTypeBase):
    """draft-ietf-oauth-reciprocal-04, "Reciprocal Authorization Code"."""

    def __init__(self, request_validator: Any, dialect: Dialect) -> None:
        super().__init__(request_validator)
        self.dialect = dialect

    def create_token_response(
        self, request: Request, token_handler: Any
    ) -> tuple[dict[str, str], str, int]:
        """Headers, body and status. No token is issued: the code is redeemed later."""
        try:
            self.validate_token_request(request)
            receive(
                request.client,
                Secret(request.code),
                Secret(request.access_token),
                accepts=lambda token: self.accepts(token, request),
            )
        except HandoverRefused as refused:
            _log(refused, request.client)
            return self._refuse(refused)
        status, headers, body = self.dialect.success()
        return dict(headers), body, status

    def validate_token_request(self, request: Request) -> None:
        """The draft's checks on the client, in its order.

        :raises HandoverRefused: ``invalid_client`` or ``unauthorized_client``.
        """
        if not request.headers.get(PARSED):
            # By a backend that finds parameters where the dialect does not look.
            raise HandoverRefused(protocol.INVALID_REQUEST, "the shape was not checked")
        self.check_client(request)
        self.check_grant_type(request)

    def check_client(self, request: Request) -> None:
        """ "Party B MUST verify the authentication provided by Party A per RFC 6749 2.3".

        A public client cannot authenticate, though DOT lets one pass with an empty secret; the
        dialect has made sure that some secret was sent.
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
        """Whether the site's validator lets this client use the grant."""
        if not self.request_validator.validate_grant_type(
            request.client_id, request.grant_type, request.client, request
        ):
            raise HandoverRefused(
                protocol.UNAUTHORIZED_CLIENT, "the validator does not allow the grant"
            )

    def accepts(self, token: Any, request: Request) -> bool:
        """The site's policy on the presented access token, beyond the draft's rule: a method
        ``validate_reciprocal_access_token(token, client, request)`` of its validator. Without one,
        every live token of the client that stands for an active user is good, whatever grant it
        came of."""
        policy = getattr(self.request_validator, "validate_reciprocal_access_token", None)
        return policy is None or bool(policy(token, request.client, request))

    def _refuse(self, refused: HandoverRefused) -> tuple[dict[str, str], str, int]:
        response = self.dialect.error(refused)
        return dict(response.items()), response.content.decode(), response.status_code


def _log(refused: HandoverRefused, client: Any) -> None:
    """A peer whose hand-over is refused for good has a fault, or is an attacker with a token of
    somebody else: its name is needed. What anybody can send, and what comes again, is no news."""
    if refused.status == 400 and client is not None:
        logger.warning(
            "A hand-over was refused: %s (%s)", refused, incoming_access.describe_client(client)
        )
    else:
        logger.info("A hand-over was refused: %s", refused)
