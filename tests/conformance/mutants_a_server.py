"""Mistakes of a party A with its token endpoint, its revocation endpoint and its API."""

from .mutation import Change, Mutant, mutant

FORM = """        form = request.form()
        client = self.authenticate(request, form)
        if "grant_type\""""
LAST_CODE = """        if "code" in form:
            form["code"] = form["code"].split(" ")[-1]
"""
IDENTITY = """        if basic and form.get("client_id", basic[0]) != basic[0]:
            raise Refused("invalid_request")
"""
CHALLENGED = """            challenge = {"WWW-Authenticate": 'Basic realm="token"'}
            raise Refused("invalid_client", 401, **challenge)"""
MISSING = """        if "code" not in form:
            raise Refused("invalid_request")
        with"""
UNKNOWN = """            if code is None or code.client_id != client.id:
                raise Refused("invalid_grant")
            if code.family"""
REFRESHED = "if token is None or not token.is_refresh or token.client_id != client.id:"
NARROWED = "return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)"
REVOKED = """        if token is not None and token.client_id == client.id:
            self.kill(token.family)
        return json_response({})"""
READ = 'token = self.tokens.get(form.get("token", ""))'
FOUND = """        token = self.tokens.get(value)
        if token is None or token.is_refresh or"""
NO_TOKEN = """        if token is None:
            challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
"""

TOKEN_ENDPOINT = (
    mutant(
        "parameters-of-the-query",
        "A-CODE-14",
        "The token endpoint reads the query, too.",
        Change(FORM, FORM.replace("request.form()", "{**request.arguments(), **request.form()}")),
    ),
    mutant(
        "last-code-counts",
        "A-CODE-15",
        "Of two codes, the last one counts.",
        Change(
            FORM,
            FORM.replace("request.form()", 'request.form(several=("code",))').replace(
                "        client", LAST_CODE + "        client"
            ),
        ),
    ),
    mutant(
        "odd-basic-is-500",
        "A-AUTH-2",
        "A header that cannot be read is an error of the program.",
        Change(
            "        basic = request.basic()\n",
            "        basic = request.basic()\n"
            '        if basic is None and request.headers.get("Authorization"):\n'
            "            raise KeyError\n",
        ),
    ),
    mutant(
        "no-challenge",
        "A-AUTH-3",
        "The refusal has no WWW-Authenticate.",
        Change(CHALLENGED, '            raise Refused("invalid_client", 401)'),
    ),
    mutant(
        "two-identities",
        "A-AUTH-4",
        "It does not compare client_id with the client that authenticates.",
        Change(IDENTITY, ""),
    ),
    mutant(
        "missing-code-is-500",
        "A-ANS-1",
        "A redemption without a code is an error of the program.",
        Change(MISSING, "        with"),
    ),
    mutant(
        "own-error-codes",
        "A-ANS-1",
        "Its errors have codes of its own.",
        Change(UNKNOWN, UNKNOWN.replace("invalid_grant", "bad_code")),
    ),
    mutant(
        "error-repeats-the-code",
        "A-ANS-2",
        "The error about an unknown code repeats it.",
        Change(UNKNOWN, UNKNOWN.replace('"invalid_grant"', "f\"invalid_grant: {form['code']}\"")),
    ),
)

REFRESH = (
    mutant(
        "refreshes-for-another-client",
        "A-REF-2",
        "It does not compare the client of a refresh token.",
        Change(REFRESHED, "if token is None or not token.is_refresh:"),
    ),
    mutant(
        "narrow-for-ever",
        "A-REF-3",
        "A refresh for a part of the scope narrows the refresh token.",
        Change(NARROWED, f"token.scopes = asked\n            {NARROWED}"),
    ),
)

API = (
    mutant(
        "api-takes-refresh-tokens",
        "A-API-2",
        "The API takes refresh tokens.",
        Change(FOUND, FOUND.replace("token.is_refresh or", "")),
    ),
    mutant(
        "api-looks-up-patterns",
        "A-API-2",
        "The API looks tokens up by a pattern.",
        Change(
            FOUND,
            '        start = value.rstrip("%")\n'
            "        known = [each for each in self.tokens if each.startswith(start)]\n"
            + FOUND.replace("self.tokens.get(value)", "self.tokens.get((known or [value])[0])"),
        ),
    ),
    mutant(
        "api-ignores-letter-case",
        "A-API-2",
        "The API looks tokens up in whatever letter case.",
        Change(
            FOUND,
            FOUND.replace(
                "self.tokens.get(value)",
                "{key.lower(): each for key, each in self.tokens.items()}.get(value.lower())",
            ),
        ),
    ),
    mutant(
        "api-does-not-challenge",
        "A-API-3",
        "The API does not say which scheme it wants.",
        Change(NO_TOKEN, "        if token is None:\n            challenge = {}\n"),
    ),
)

REVOCATION = (
    mutant(
        "revokes-for-another-client",
        "A-REV-1",
        "Any client can revoke any token.",
        Change(REVOKED, REVOKED.replace(" and token.client_id == client.id", "")),
    ),
    mutant(
        "revokes-one-token",
        "A-REV-2",
        "A token is revoked by itself.",
        Change(REVOKED, REVOKED.replace("token.family", "[token]")),
    ),
    mutant(
        "unknown-token-is-an-error",
        "A-REV-3",
        "An unknown token is an error.",
        Change(
            REVOKED,
            REVOKED.replace(
                "        return",
                "        elif token is None:\n"
                '            raise Refused("invalid_request")\n'
                "        return",
            ),
        ),
    ),
    mutant(
        "believes-the-hint",
        "A-REV-4",
        "It looks only among the tokens that token_type_hint names.",
        Change(
            REVOKED,
            REVOKED.replace(
                "if token is not None",
                'is_hint = form.get("token_type_hint") == "refresh_token"\n'
                "        if token is not None and token.is_refresh == is_hint",
            ),
        ),
    ),
)

SERVER: tuple[Mutant, ...] = (*TOKEN_ENDPOINT, *REFRESH, *API, *REVOCATION)
