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

#: A key in Django's ``request.META``. The token view sets this key after it has checked the
#: parameters of a hand-over. oauthlib's request object contains ``META`` as ``request.headers``.
PARSED = "reciprocal_oauth.parsed"


class ReciprocalGrant(GrantTypeBase):
    """The grant type with which a peer hands over a reciprocal code to this site
    (draft-ietf-oauth-reciprocal-04, section 2.2.2)."""

    def __init__(self, request_validator: Any, dialect: Dialect) -> None:
        super().__init__(request_validator)
        self.dialect = dialect

    def create_token_response(
        self, request: Request, token_handler: Any
    ) -> tuple[dict[str, str], str, int]:
        """Store the reciprocal code that a peer sends. The response contains no token, because this
        site redeems the code later.

        :returns: the headers, the body and the status of the response. The status is 200 if the
            code was stored; otherwise the response is an error (RFC 6749, section 5.2).
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
        """Authenticate the client, and check that it may use the reciprocal grant.

        draft-ietf-oauth-reciprocal-04, section 2.2.2, prescribes the order of the checks.

        :raises HandoverRefused: ``invalid_request``, ``invalid_client`` or ``unauthorized_client``
            (RFC 6749, section 5.2).
        """
        if not request.headers.get(PARSED):
            # The token view has not checked the parameters, because it did not recognise this
            # request as a hand-over. This happens if the site's own OAUTH2_BACKEND_CLASS reads
            # another format, such as JSON.
            reason = "the token view has not checked the parameters"
            raise HandoverRefused(protocol.INVALID_REQUEST, reason)
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

    def accepts(self, token: Any, request: Request) -> bool:
        """Return whether the site accepts the access token that the peer sent with the code.

        A site can add its own rule: it defines a method
        ``validate_reciprocal_access_token(token, client, request)`` in its validator class. Without
        this method, the site accepts the access token. The function :func:`.receive.receive` makes
        all other checks: for example, the token must be valid and belong to an active user.
        """
        policy = getattr(self.request_validator, "validate_reciprocal_access_token", None)
        return policy is None or bool(policy(token, request.client, request))

    def _refuse(self, refused: HandoverRefused) -> tuple[dict[str, str], str, int]:
        response = self.dialect.error(refused)
        return dict(response.items()), response.content.decode(), response.status_code


def _log(refused: HandoverRefused, client: Any) -> None:
    """Log that a hand-over was refused.

    If the client has authenticated and the status is 400, log a warning with the name of the
    client: the client has a fault or uses a stolen token, so an administrator should look at it.
    Log every other refusal at the level ``INFO``.
    """
    if refused.status == 400 and client is not None:
        logger.warning(
            "A hand-over was refused: %s (%s)", refused, incoming_access.describe_client(client)
        )
    else:
        logger.info("A hand-over was refused: %s", refused)
