"""Step (E): the reciprocal grant as an oauthlib grant type, at the token endpoint.

draft-ietf-oauth-reciprocal-04, section 2.2.2; RFC 6749, section 4.5 (extension grants).

::

    POST /token HTTP/1.1
    Authorization: Basic ...
    Content-Type: application/x-www-form-urlencoded

    grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal
      &code=hasdyubasdjahsbdkjbasd
      &client_id=example.com
      &access_token=sadadojsadlkjasdkljxxlkjdas

The dialect has checked the parameters before oauthlib gets the request.
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

#: The key in ``request.headers`` that marks a request whose parameters a dialect has checked.
PARSED = "reciprocal_oauth.parsed"


class ReciprocalGrant(GrantTypeBase):
    """The reciprocal grant (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""

    def __init__(self, request_validator: Any, dialect: Dialect) -> None:
        super().__init__(request_validator)
        self.dialect = dialect

    def create_token_response(
        self, request: Request, token_handler: Any
    ) -> tuple[dict[str, str], str, int]:
        """Store the code of a hand-over. Issues no token: the code is redeemed later.

        :returns: headers, body and status of the response: 200, or an error of RFC 6749, section
            5.2.
        """
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
        """Check the client, in the order of draft-ietf-oauth-reciprocal-04, section 2.2.2.

        :raises HandoverRefused: ``invalid_request``, ``invalid_client`` or ``unauthorized_client``
            (RFC 6749, section 5.2).
        """
        if not request.headers.get(PARSED):
            # The site's OAUTH2_BACKEND_CLASS has read parameters that the dialect did not see.
            raise HandoverRefused(protocol.INVALID_REQUEST, "the shape was not checked")
        self.check_client(request)
        self.check_grant_type(request)

    def check_client(self, request: Request) -> None:
        """Authenticate the client, which must be confidential (RFC 6749, section 2.3).

        "Party B MUST verify the authentication provided by Party A"
        (draft-ietf-oauth-reciprocal-04, section 2.2.2). DOT accepts a public client with an empty
        secret, which is no authentication.

        :raises HandoverRefused: ``invalid_client`` with 401; ``invalid_request``: ``client_id``
            names another client (RFC 6749, section 5.2).
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
        """Require that the site's validator allows the grant for this client.

        :raises HandoverRefused: ``unauthorized_client`` (RFC 6749, section 5.2).
        """
        if not self.request_validator.validate_grant_type(
            request.client_id, request.grant_type, request.client, request
        ):
            raise HandoverRefused(
                protocol.UNAUTHORIZED_CLIENT, "the validator does not allow the grant"
            )

    def accepts(self, token: Any, request: Request) -> bool:
        """Whether the site accepts the access token of the hand-over.

        A site can add a rule to those of the draft: a method
        ``validate_reciprocal_access_token(token, client, request)`` of its validator. Without the
        method, every valid token of the client for an active user is accepted, of any grant.
        """
        policy = getattr(self.request_validator, "validate_reciprocal_access_token", None)
        return policy is None or bool(policy(token, request.client, request))

    def _refuse(self, refused: HandoverRefused) -> tuple[dict[str, str], str, int]:
        response = self.dialect.error(refused)
        return dict(response.items()), response.content.decode(), response.status_code


def _log(refused: HandoverRefused, client: Any) -> None:
    """Warn, with the client's name, about a final refusal of an authenticated client: it has a
    fault, or uses a stolen token. Other refusals are logged as information only."""
    if refused.status == 400 and client is not None:
        logger.warning(
            "A hand-over was refused: %s (%s)", refused, incoming_access.describe_client(client)
        )
    else:
        logger.info("A hand-over was refused: %s", refused)
