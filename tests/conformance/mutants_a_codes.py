"""Mistakes of a party A with the redemption of its codes, with tokens, and with its API."""

from .mutation import Change, Mutant, mutant

UNKNOWN = """            if code is None or code.client_id != client.id:
                raise Refused("invalid_grant")
"""
USED = """            if code.family is not None:
                self.kill(code.family)
                raise Refused("invalid_grant")
"""
LIFE = 'if code.expires < time.time() or code.redirect_uri != form.get("redirect_uri", ""):'
PKCE = 'if (challenge_of(verifier) if verifier else "") != code.challenge:'
FOUND = 'code = self.codes.get(form["code"])'
RIGHT = "        if client is None or not is_right:\n"
GIVES = "return self.issue_tokens(client, code.user, code.scopes, code.family, code.reciprocal)"
NOT_MORE = """            if not asked <= left:
                raise Refused("invalid_scope")
"""
REFRESHES = "return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)"
POST_ONLY = '"/token": {"POST": server.token_endpoint},'
LOCKED = """        with self.lock:
            code = self.codes.get(form["code"])
"""
NO_TOKEN = """        if token is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
            return error_response(Refused("invalid_token", 401, **challenge))
"""
NEEDED = "if needed not in self.scopes_now(token):"
MORE_SCOPE = '(scopes_of(form["scope"]) if "scope" in form else code.scopes) & client.scopes'

REDEEMING = (
    mutant(
        "basic-is-not-decoded",
        "A-AUTH-1",
        "The form-encoding of ID and secret in the header is not undone.",
        Change(
            "return unquote_plus(client_id), unquote_plus(secret)",
            "return client_id, secret",
        ),
    ),
    mutant(
        "code-needs-redirect-uri",
        "A-CODE-1",
        "A code without redirect_uri is refused.",
        Change(LIFE, 'if code.expires < time.time() or "redirect_uri" not in form:'),
    ),
    mutant(
        "code-needs-verifier",
        "A-CODE-1",
        "A code without a verifier is refused.",
        Change(PKCE, "if challenge_of(verifier) != code.challenge:"),
    ),
    mutant(
        "tokens-can-be-stored",
        "A-CODE-13",
        "Token responses lack no-store.",
        Change('"Cache-Control": "no-store", "Pragma": "no-cache"}', '"Vary": "Accept"}'),
    ),
    mutant(
        "no-token-type",
        "A-CODE-1",
        "Token responses lack token_type.",
        Change('            "token_type": "Bearer",\n', ""),
    ),
    mutant(
        "answers-201",
        "A-CODE-1",
        "The token response is 201 Created.",
        Change(
            "        return json_response(members)\n\n    def _new_token",
            "        return json_response(members, 201)\n\n    def _new_token",
        ),
    ),
    mutant(
        "token-does-not-work",
        "A-CODE-1",
        "The token does not work at the API until the refresh.",
        Change(
            "if token is None or token.is_refresh or",
            "if token is None or token.is_refresh or len(token.family) < 3 or",
        ),
    ),
    mutant(
        "code-works-twice",
        "A-CODE-2",
        "A code can be redeemed again.",
        Change(USED, ""),
    ),
    mutant(
        "second-use-is-500",
        "A-CODE-2",
        "The second use of a code is an error of the program.",
        Change(USED, "            assert code.family is None\n"),
    ),
    mutant(
        "second-use-keeps-tokens",
        "A-CODE-3",
        "The second use of a code does not end its tokens.",
        Change(USED, USED.replace("                self.kill(code.family)\n", "")),
    ),
    mutant(
        "second-use-ends-access-only",
        "A-CODE-3",
        "The second use of a code ends the access token, and the refresh token lives.",
        Change(USED, USED.replace("self.kill(code.family)", "self.kill(code.family[:1])")),
    ),
    mutant(
        "code-of-other-client",
        "A-CODE-4",
        "Another client can redeem the code.",
        Change(UNKNOWN, UNKNOWN.replace(" or code.client_id != client.id", "")),
    ),
    mutant(
        "other-client-uses-code-up",
        "A-CODE-4",
        "A code that another client sends is used up.",
        Change(
            UNKNOWN,
            "            if code is not None and code.client_id != client.id:\n"
            "                del self.codes[code.value]\n" + UNKNOWN,
        ),
    ),
    mutant(
        "secret-is-not-compared",
        "A-CODE-5",
        "It does not compare the secret.",
        Change(RIGHT, "        if client is None:\n"),
    ),
    mutant(
        "no-secret-is-right",
        "A-CODE-5",
        "A client that sends no secret counts as a public client.",
        Change(RIGHT, "        if client is None or (secret and not is_right):\n"),
    ),
    mutant(
        "wrong-secret-is-500",
        "A-CODE-5",
        "A wrong secret is an error of the program.",
        Change('raise Refused("invalid_client", 401, **challenge)', "raise KeyError"),
    ),
    mutant(
        "code-lives-on",
        "A-CODE-6",
        "It does not look at the life of a code.",
        Change(LIFE, 'if code.redirect_uri != form.get("redirect_uri", ""):'),
        settings={"code_seconds": 3},
        waits={"code_lifetime": 3},
        is_slow=True,
    ),
    mutant(
        "verifier-is-overlooked",
        "A-CODE-7",
        "It does not look at a verifier if there was no challenge.",
        Change(PKCE, "if code.challenge and challenge_of(verifier) != code.challenge:"),
    ),
    mutant(
        "takes-get",
        "A-CODE-8",
        "A code can be redeemed by GET.",
        Change(
            POST_ONLY, '"/token": {"POST": server.token_endpoint, "GET": server.token_endpoint},'
        ),
        Change(
            '        if "Content-Type" not in self.headers or',
            '        if self.method == "GET":\n'
            "            return self.arguments()\n"
            '        if "Content-Type" not in self.headers or',
        ),
    ),
    mutant(
        "scope-at-redemption",
        "A-CODE-9",
        "The redemption can ask for more scope than the user allowed.",
        Change(
            GIVES,
            f"scopes = {MORE_SCOPE}\n"
            "            self.allow(client.id, code.user, scopes | code.scopes)\n"
            f"            {GIVES.replace('code.scopes', 'scopes')}",
        ),
    ),
    mutant(
        "scope-at-refresh",
        "A-CODE-9",
        "The refresh can ask for more scope than the user allowed.",
        Change(
            NOT_MORE,
            "            asked &= client.scopes\n"
            "            self.allow(client.id, token.user, asked | left)\n",
        ),
    ),
    mutant(
        "codes-at-once",
        "A-CODE-10",
        "Requests at once all find the code unused.",
        Change(
            LOCKED,
            '        code = self.codes.get(form["code"])\n'
            "        is_used = code is not None and code.family is not None\n"
            "        time.sleep(0.1)\n"
            "        with self.lock:\n",
        ),
        Change("            if code.family is not None:\n", "            if is_used:\n"),
    ),
    mutant(
        "error-500-at-once",
        "A-CODE-10",
        "Requests at once meet an error of the database.",
        Change(
            LOCKED,
            "        if not self.lock.acquire(blocking=False):\n"
            '            raise RuntimeError("database is locked")\n'
            "        with self.lock:\n"
            "            self.lock.release()\n"
            "            time.sleep(0.1)\n"
            '            code = self.codes.get(form["code"])\n',
        ),
    ),
    mutant(
        "letter-case-of-codes",
        "A-CODE-11",
        "It looks codes up without regard to letter case.",
        Change(
            FOUND,
            "lower = {key.lower(): code for key, code in self.codes.items()}\n"
            '            code = lower.get(form.get("code", "").lower())',
        ),
    ),
    mutant(
        "blanks-around-codes",
        "A-CODE-11",
        "It cuts blanks off.",
        Change(FOUND, 'code = self.codes.get(form["code"].strip())'),
    ),
    mutant(
        "exemption-leaks",
        "A-CODE-12",
        "No code needs its verifier, because those that are handed over have none.",
        Change(PKCE, "if verifier and challenge_of(verifier) != code.challenge:"),
    ),
)

API = (
    mutant(
        "unknown-token-at-api",
        "A-API-1",
        "The API answers 403 to an unknown token.",
        Change(NO_TOKEN, NO_TOKEN.replace("401", "403")),
    ),
    mutant(
        "api-takes-every-token",
        "A-API-1",
        "The API answers 200 to an unknown token.",
        Change(NO_TOKEN, "        if token is None:\n            return json_response({})\n"),
    ),
    mutant(
        "api-compares-no-scope",
        "A-API-1",
        "The API does not look at the scope.",
        Change(NEEDED, "if False:"),
    ),
    mutant(
        "missing-scope-is-401",
        "A-API-1",
        "The API answers 401 to a token that lacks the scope.",
        Change(
            'Refused("insufficient_scope", 403, **challenge)',
            'Refused("insufficient_scope", 401, **challenge)',
        ),
    ),
    mutant(
        "refresh-does-not-work",
        "A-REF-1",
        "Refresh tokens do not work.",
        Change("if token is None or not token.is_refresh or", "if True or"),
    ),
    mutant(
        "refresh-widens",
        "A-REF-1",
        "A refresh gives all scopes that the client may have.",
        Change(
            REFRESHES,
            "self.allow(client.id, token.user, client.scopes)\n"
            f"            {REFRESHES.replace('asked', 'client.scopes')}",
        ),
    ),
    mutant(
        "refreshed-token-does-not-work",
        "A-REF-1",
        "The API does not know access tokens that were refreshed.",
        Change(
            "if token is None or token.is_refresh or",
            "if token is None or token.is_refresh or len(token.family) > 2 or",
        ),
    ),
)

CODES: tuple[Mutant, ...] = (*REDEEMING, *API)
