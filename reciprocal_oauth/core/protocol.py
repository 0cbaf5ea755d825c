"""Parameters, values and limits of the protocol. The comments cite the sections of the
specifications that define them."""

from typing import Final

#: The value of ``grant_type`` (draft-ietf-oauth-reciprocal-04, section 2.2.2).
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:reciprocal"

#: The name of the parameter with which party B (the site that will receive the reciprocal code)
#: says which scope it needs (draft-ietf-oauth-reciprocal-04, section 2.1).
RECIPROCAL: Final = "reciprocal"

#: The parameters of the token request in which party A hands over a code to party B. All are
#: REQUIRED (draft-ietf-oauth-reciprocal-04, section 2.2.2).
PARAMETERS: Final = ("grant_type", "code", "client_id", "access_token")

#: The scope by which a client asks for an ID token (OpenID Connect Core 1.0, section 3.1.2.1). An
#: ID token states how the user was authenticated. A reciprocal code is handed over without an
#: authentication of the user, so the scope of a reciprocal code never includes ``openid``.
OPENID: Final = "openid"

#: The authorization URL of a peer, and the extra parameters that are configured for the peer, must
#: not contain these parameters. This site sets some of them in the authorization request itself;
#: the others would change the request or its response in a way that this site does not support
#: (RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 9101, section 5; OpenID Connect Core 1.0,
#: section 3.1.2.1).
OWN_AUTHORIZATION_PARAMETERS: Final = frozenset(
    {
        "client_id",
        "client_secret",
        "code",
        "code_challenge",
        "code_challenge_method",
        "dpop_jkt",
        "iss",
        "nonce",
        RECIPROCAL,
        "redirect_uri",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)

#: The parameters with which a client authenticates by something that it has signed, and the only
#: value of the second one that this site knows (RFC 7521, section 4.2; RFC 7523, section 2.2).
CLIENT_ASSERTION: Final = "client_assertion"
CLIENT_ASSERTION_TYPE: Final = "client_assertion_type"
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: The name of this way to authenticate (OpenID Connect Core 1.0, section 9).
PRIVATE_KEY_JWT: Final = "private_key_jwt"

# The error codes of a token endpoint (RFC 6749, section 5.2).
INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_GRANT: Final = "invalid_grant"
INVALID_SCOPE: Final = "invalid_scope"
UNAUTHORIZED_CLIENT: Final = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
#: The error code for an access token that is expired, revoked or unknown (RFC 6750, section 3.1).
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105
#: The error code that this site's token endpoint sends with status 429 or 503 if there are too many
#: requests. RFC 6749, section 4.1.2.1, defines this code for the authorization endpoint. The token
#: endpoint uses it too, because RFC 6749, section 5.2, defines no such code for token endpoints.
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"
#: The error code for an internal error of the authorization endpoint (RFC 6749, section 4.1.2.1).
#: Some token endpoints send it too.
SERVER_ERROR: Final = "server_error"

# The longest values that this site accepts, in characters. RFC 6749 defines no limits. The limit
# for tokens is high, because a token can be a long JWT.
MAX_CODE_LENGTH: Final = 4096
MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_CLIENT_ID_LENGTH: Final = 255
MAX_CLIENT_SECRET_LENGTH: Final = 1024
MAX_ASSERTION_LENGTH: Final = 8 * 1024

#: The longest body of a token request that this site accepts, in bytes.
MAX_BODY_LENGTH: Final = 64 * 1024
