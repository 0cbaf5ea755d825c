"""Words on the wire, each with the section that defines it."""

from typing import Final

#: draft-ietf-oauth-reciprocal-04, "Reciprocal Authorization Code": the value of ``grant_type``.
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:reciprocal"

#: draft-ietf-oauth-reciprocal-04, "Reciprocal Scope Request": the scope that party B asks for.
RECIPROCAL: Final = "reciprocal"

#: draft-ietf-oauth-reciprocal-04, "Reciprocal Authorization Code": all four are REQUIRED.
PARAMETERS: Final = ("grant_type", "code", "client_id", "access_token")

#: The scope of OpenID Connect. A reciprocal code stands outside an authentication, so no ID token
#: can be issued for it and the scope is never part of a reciprocal grant.
OPENID: Final = "openid"

#: What an authorization request of ours says itself, or what would speak in its place (RFC 6749,
#: section 4.1.1; RFC 7636; RFC 9101; OpenID Connect Core 1.0, section 3.1.2.1): neither the address
#: nor the extra parameters of a peer can say it.
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

# Error codes of RFC 6749, section 5.2.
INVALID_REQUEST: Final = "invalid_request"
INVALID_CLIENT: Final = "invalid_client"
INVALID_GRANT: Final = "invalid_grant"
UNAUTHORIZED_CLIENT: Final = "unauthorized_client"
UNSUPPORTED_GRANT_TYPE: Final = "unsupported_grant_type"
#: RFC 6750, section 3.1: the error code of an access token that is no longer good.
INVALID_TOKEN: Final = "invalid_token"  # noqa: S105
#: For overload only, with 429 or 503. RFC 6749 knows it at the authorization endpoint (section
#: 4.1.2.1) and has nothing else for it.
TEMPORARILY_UNAVAILABLE: Final = "temporarily_unavailable"
#: RFC 6749, section 4.1.2.1; some servers send it from the token endpoint.
SERVER_ERROR: Final = "server_error"

# Longest values that are taken, in characters. RFC 6749 sets none; longer ones would only feed the
# hasher and the database. A token may be a JWT that carries a good deal.
MAX_CODE_LENGTH: Final = 4096
MAX_TOKEN_LENGTH: Final = 8 * 1024
MAX_CLIENT_ID_LENGTH: Final = 255
MAX_CLIENT_SECRET_LENGTH: Final = 1024

#: Longest body of a token request, in bytes.
MAX_BODY_LENGTH: Final = 64 * 1024
