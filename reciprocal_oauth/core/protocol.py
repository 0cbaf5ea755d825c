"""Parameters, values and limits of the protocol, each with the section that defines it."""

from typing import Final

#: The value of ``grant_type`` (draft-ietf-oauth-reciprocal-04, section 2.2.2).
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:reciprocal"

#: The parameter with the scope that party B asks for (draft-ietf-oauth-reciprocal-04, section 2.1).
RECIPROCAL: Final = "reciprocal"

#: The parameters of a hand-over. All are REQUIRED (draft-ietf-oauth-reciprocal-04, section 2.2.2).
PARAMETERS: Final = ("grant_type", "code", "client_id", "access_token")

#: The scope that asks for an ID token (OpenID Connect Core 1.0, section 3.1.2.1). A reciprocal code
#: comes without an authentication of the user, so it never includes this scope.
OPENID: Final = "openid"

#: Parameters that this site sets in an authorization request, or that would replace those
#: (RFC 6749, section 4.1.1; RFC 7636, section 4.3; RFC 9101, section 5; OpenID Connect Core 1.0,
#: section 3.1.2.1). The authorization URL and the extra parameters of a peer must not contain them.
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

# Error codes (RFC 6749, section 5.2).
INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_GRANT: Final = "invalid_grant"
UNAUTHORIZED_CLIENT: Final = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
#: The error code for an access token that is expired, revoked or unknown (RFC 6750, section 3.1).
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105
#: Sent with 429 or 503, for overload only. RFC 6749, section 4.1.2.1, defines it for the
#: authorization endpoint; the token endpoint has no such code.
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"
#: From the authorization endpoint (RFC 6749, section 4.1.2.1). Some token endpoints send it, too.
SERVER_ERROR: Final = "server_error"

# The longest values that are accepted, in characters. RFC 6749 defines no limit. A token may be a
# long JWT.
MAX_CODE_LENGTH: Final = 4096
MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_CLIENT_ID_LENGTH: Final = 255
MAX_CLIENT_SECRET_LENGTH: Final = 1024

#: The longest body of a token request that is accepted, in bytes.
MAX_BODY_LENGTH: Final = 64 * 1024
