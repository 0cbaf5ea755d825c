"""Mistakes of a party B with the ordinary grant, by which the tester gets its access tokens."""

from .mutation import Change, Mutant, mutant

VERIFIER = """            if (challenge_of(verifier) if verifier else "") != code.challenge:
                raise Refused("invalid_grant")
"""
HAS_VERIFIER = """            if code.challenge and not verifier:
                raise Refused("invalid_grant")
"""
USED = """            if code.family is not None:
                self.kill(code.family)
                raise Refused("invalid_grant")
"""
UNKNOWN = "if code is None or code.client_id != client.id:"
LIFE = 'if code.expires < time.time() or code.redirect_uri != form.get("redirect_uri", ""):'
REGISTERED = 'if client is None or asked.get("redirect_uri") not in client.redirect_uris:'
REFRESHED = "if token is None or not token.is_refresh or token.client_id != client.id:"
REVOKED = "        if token is not None and token.client_id == client.id:\n            self.kill"
EXPIRES = '"expires_in": int(self.token_seconds),'
ISS = "return redirect(uri, code=code, state=state, iss=self.issuer, reciprocal=reciprocal)"

GRANT: tuple[Mutant, ...] = (
    mutant(
        "no-verifier-is-right",
        "B-AUTHZ-1",
        "A code is redeemed without its verifier.",
        Change(VERIFIER, VERIFIER.replace("if (", "if verifier and (")),
    ),
    mutant(
        "any-verifier-is-right",
        "B-AUTHZ-1",
        "It sees that there is a verifier, and does not compare it.",
        Change(VERIFIER, HAS_VERIFIER),
    ),
    mutant(
        "own-code-is-used-twice",
        "B-AUTHZ-2",
        "Its own codes can be redeemed twice.",
        Change(USED, ""),
    ),
    mutant(
        "own-code-of-any-client",
        "B-AUTHZ-3",
        "Any client can redeem its codes.",
        Change(UNKNOWN, "if code is None:"),
    ),
    mutant(
        "any-redirect-uri-at-redemption",
        "B-AUTHZ-3",
        "It does not compare the redirect URI of the redemption.",
        Change(LIFE, "if code.expires < time.time():"),
    ),
    mutant(
        "redirect-uri-by-its-beginning",
        "B-AUTHZ-4",
        "A redirect URI is right if it begins as the registered one.",
        Change(
            REGISTERED,
            'if client is None or not asked.get("redirect_uri", "").startswith('
            "client.redirect_uris):",
        ),
    ),
    mutant(
        "iss-is-promised",
        "B-AUTHZ-5",
        "The metadata promise iss, and the response has none.",
        Change(ISS, ISS.replace("iss=self.issuer, ", "")),
    ),
    mutant(
        "refresh-widens",
        "B-REF-1",
        "A refresh gives whatever the client may have.",
        Change(
            "            if not asked <= left:\n", "            if not asked <= client.scopes:\n"
        ),
        Change(
            "        if not token.user:\n            return token.scopes\n",
            "        if True:\n            return token.scopes\n",
        ),
    ),
    mutant(
        "refreshes-for-any-client",
        "B-REF-2",
        "It does not compare the client of a refresh token.",
        Change(REFRESHED, "if token is None or not token.is_refresh:"),
    ),
    mutant(
        "any-client-revokes",
        "B-REV-1",
        "Any client can revoke any token.",
        Change(REVOKED, REVOKED.replace(" and token.client_id == client.id", "")),
    ),
    mutant(
        "revokes-one-token",
        "B-REV-2",
        "A token is revoked by itself.",
        Change(
            "            self.kill(token.family)\n        return json",
            "            self.kill([token])\n        return json",
        ),
    ),
    mutant(
        "revokes-refresh-tokens-only",
        "B-TOK-5",
        "Only refresh tokens can be revoked.",
        Change(
            REVOKED, REVOKED.replace("token is not None", "token is not None and token.is_refresh")
        ),
    ),
    mutant(
        "life-is-a-text",
        "B-ANS-5",
        "expires_in is a text.",
        Change(EXPIRES, EXPIRES.replace("int(self.token_seconds)", "str(int(self.token_seconds))")),
    ),
    mutant(
        "own-response-without-token-type",
        "B-ANS-5",
        "Its token response has no token_type.",
        Change('            "token_type": "Bearer",\n', ""),
    ),
)
