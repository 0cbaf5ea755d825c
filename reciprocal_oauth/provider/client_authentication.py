"""Client authentication with a client secret (RFC 6749, section 2.3.1) or with a key (RFC 7523,
section 2.2). Each method overrides a DOT method.
"""

import logging
from typing import TYPE_CHECKING, Any

from oauthlib.common import Request

from ..core import protocol, telemetry
from . import client_keys, verified_secrets

logger = logging.getLogger("reciprocal_oauth.provider")

#: The grant type of devices without a browser (RFC 8628, section 3.4).
_DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"

if TYPE_CHECKING:
    from oauth2_provider.oauth2_validators import OAuth2Validator as _Validator
else:
    _Validator = object


class ClientAuthenticationMixin(_Validator):
    """The part of the site's validator class that reads and checks client credentials."""

    def client_authentication_required(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Return whether the client must authenticate (RFC 6749, section 3.2.1). A client that must
        sign, or that sends an assertion, always must."""
        if client_keys.signing_peer(request) is not None:
            return True
        required: bool = super().client_authentication_required(request, *args, **kwargs)
        return required or client_keys.must_sign(request.client)

    def authenticate_client(self, request: Request, *args: Any, **kwargs: Any) -> bool:
        """Return whether the client has proved who it is. A peer that authenticates with a key
        cannot do it in another way: its client secret is refused."""
        peer = client_keys.signing_peer(request)
        if peer is not None:
            return client_keys.authenticate(request, peer) or _count_failure("assertion")
        if not super().authenticate_client(request, *args, **kwargs):
            return _count_failure("secret")
        if client_keys.must_sign(request.client):
            logger.warning(
                "A client secret was refused: client %s authenticates with a key",
                request.client.client_id,
            )
            return _count_failure("secret")
        return True

    def _extract_basic_auth(self, request: Request) -> str | None:
        # The name of an authentication scheme is case-insensitive (RFC 9110, section 11.1), but DOT
        # accepts only the spelling "Basic".
        scheme, _space, credentials = request.headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        return credentials if credentials and scheme.lower() == "basic" else None

    def _authenticate_basic_auth(self, request: Request) -> bool:
        # DOT decodes the credentials with the charset in request.encoding, or with Django's default
        # charset if the attribute is None. If the attribute was never set, oauthlib returns the
        # request parameter "encoding" instead. Then a client could choose an unknown charset, and
        # the response would have status 500. So set the attribute.
        request.encoding = None
        return super()._authenticate_basic_auth(request)

    def _authenticate_request_body(self, request: Request) -> bool:
        # DOT tries the credentials in the body if those in the header are wrong. For a hand-over (a
        # request with a reciprocal code) and for a body without a secret, do not try the body: it
        # could cost a second slow hash, or authenticate another client. "The client MUST NOT use
        # more than one authentication method in each request" (RFC 6749, section 2.3). Devices are
        # an exception, because they need no credentials (RFC 8628, section 3.4).
        is_second = request.headers.get("Authorization") and request.grant_type != _DEVICE_CODE
        if is_second and (request.grant_type == protocol.GRANT_TYPE or not request.client_secret):
            return False
        return super()._authenticate_request_body(request)

    def _check_secret(self, provided_secret: str, stored_secret: str) -> bool:
        return verified_secrets.matches(provided_secret, stored_secret, super()._check_secret)


def _count_failure(reason: str) -> bool:
    """Count that a client did not prove who it is, and return ``False``."""
    telemetry.count(telemetry.Count.CLIENT_AUTHENTICATION_FAILURES, reason=reason)
    return False
