"""The access that a stand-in gives to the music service: codes, access tokens, refresh tokens."""

import base64
import hashlib
import secrets
from dataclasses import dataclass


@dataclass
class Grant:
    """The access of the site to the account of the person at the vendor.

    :ivar redirect_uri: the redirect URI of the authorization request; ``""`` for a reciprocal code.
    :ivar challenge: the PKCE challenge of the authorization request (RFC 7636, section 4.2).
    """

    code: str
    redirect_uri: str = ""
    challenge: str = ""
    access_token: str = ""
    refresh_token: str = ""


class Grants:
    """All access that a stand-in has given. Everything is in memory."""

    def __init__(self) -> None:
        self._all: list[Grant] = []

    def new_code(self, *, redirect_uri: str = "", challenge: str = "") -> str:
        """Return a new code, which can be redeemed once."""
        grant = Grant(secrets.token_urlsafe(16), redirect_uri, challenge)
        self._all.append(grant)
        return grant.code

    def redeem(self, code: str, *, redirect_uri: str = "", verifier: str = "") -> Grant | None:
        """Return the grant of ``code`` with new tokens; ``None`` if the code is unknown or was
        redeemed, or if the redirect URI or the PKCE verifier is wrong (RFC 6749, section 4.1.3;
        RFC 7636, section 4.6)."""
        for grant in self._all:
            if code and grant.code == code:
                digest = hashlib.sha256(verifier.encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if grant.redirect_uri != redirect_uri or grant.challenge not in ("", challenge):
                    return None
                grant.code = ""
                return self._with_new_tokens(grant)
        return None

    def refresh(self, refresh_token: str) -> Grant | None:
        """Return the grant of ``refresh_token`` with a new access token; ``None`` if the refresh
        token is unknown."""
        for grant in self._all:
            if refresh_token and grant.refresh_token == refresh_token:
                return self._with_new_tokens(grant)
        return None

    def of(self, access_token: str) -> Grant | None:
        """Return the grant of ``access_token``; ``None`` if the token is unknown or has expired."""
        return next((g for g in self._all if access_token and g.access_token == access_token), None)

    def expire(self) -> None:
        """Let all access tokens expire. The refresh tokens still work."""
        for grant in self._all:
            grant.access_token = ""

    def end(self) -> None:
        """End all access."""
        self._all.clear()

    def _with_new_tokens(self, grant: Grant) -> Grant:
        grant.access_token = secrets.token_urlsafe(24)
        grant.refresh_token = grant.refresh_token or secrets.token_urlsafe(24)
        return grant
