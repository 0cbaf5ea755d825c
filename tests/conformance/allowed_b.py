"""What a party B may do otherwise: no check may find a fault in it."""

from .allowed_both import COMMON
from .mutation import Allowed, Change, allowed

ANSWER = "daemon=True).start()\n        return json_response({})"
START = "threading.Thread(target=self.redeem, args=(handover,), daemon=True).start()"
FORM = 'form = {"grant_type": "authorization_code", "code": handover.code}'
SENDS = "return self.http.post(url, form, Authorization=header)"
ERROR = '{"error": refused.error}, refused.status'
WRONG_TOKEN = """        if token is None or token.client_id != client.id or not token.user:
            raise Refused("invalid_grant")
"""
VALUE = "        value = secrets.token_urlsafe(32)\n        token = Token("
MEMBERS = '            "scope": text_of(self.scopes_now(token)),\n        }'
ASKS = 'reciprocal = self.peer.scope if client.is_peer else ""'

RESPONSES = (
    allowed("unchanged", "Nothing is changed."),
    allowed("unchanged-with-tls", "Nothing is changed, and the tester has TLS.", has_tls=True),
    allowed(
        "short-lives",
        "Its access tokens live for a few seconds.",
        settings={"token_seconds": 8},
        is_slow=True,
    ),
    allowed(
        "empty-body",
        "The response to a hand-over is empty.",
        Change(ANSWER, ANSWER.replace("json_response({})", "Response()")),
    ),
    allowed(
        "more-in-body",
        "The response to a hand-over says how it stands.",
        Change(ANSWER, ANSWER.replace("{}", '{"status": "taken", "token_type": None}')),
    ),
    allowed(
        "answers-slowly",
        "It takes a second for its answer.",
        Change(ANSWER, ANSWER.replace("return", "time.sleep(1)\n        return")),
    ),
    allowed(
        "errors-with-description",
        "Its errors have a description and a page.",
        Change(
            ERROR,
            '{"error": refused.error, "error_description": "See the page.", '
            '"error_uri": f"https://b.example/{refused.error}"}, refused.status',
        ),
    ),
    allowed(
        "unknown-token-is-invalid-request",
        "An unknown access token is invalid_request.",
        Change(WRONG_TOKEN, WRONG_TOKEN.replace("invalid_grant", "invalid_request")),
    ),
    allowed(
        "other-client-is-401",
        "A client_id that is not the client's is 401.",
        Change(
            'if form["client_id"] != client.id:\n            raise Refused("invalid_request")',
            'if form["client_id"] != client.id:\n            challenge = {"WWW-Authenticate": '
            '\'Basic realm="b", charset="UTF-8"\'}\n'
            '            raise Refused("invalid_client", 401, **challenge)',
        ),
    ),
    allowed(
        "missing-secret-is-400",
        "A request without a secret is 400.",
        Change(
            "        client = self.clients.get(client_id)\n        known_secret",
            "        if not secret:\n"
            '            raise Refused("invalid_client")\n'
            "        client = self.clients.get(client_id)\n        known_secret",
        ),
    ),
    allowed(
        "secret-in-header-only",
        "It takes the secret in the header only.",
        Change(
            'client_id, secret = basic or (form.get("client_id", ""), '
            'form.get("client_secret", ""))',
            'client_id, secret = basic or ("", "")',
        ),
        Change(
            'ways = ["client_secret_basic", "client_secret_post"]', 'ways = ["client_secret_basic"]'
        ),
    ),
    allowed(
        "other-types-are-415",
        "A body of another type is 415.",
        Change(
            'get_content_type() != FORM:\n            raise Refused("invalid_request")',
            'get_content_type() != FORM:\n            raise Refused("invalid_request", 415)',
        ),
    ),
    allowed(
        "get-is-404",
        "Its token endpoint does not exist for GET.",
        Change('return Response(405, b"", {"Allow": ", ".join(methods)})', "return Response(404)"),
    ),
    allowed(
        "get-is-400",
        "A GET of its token endpoint is 400 with an error.",
        Change(
            'return Response(405, b"", {"Allow": ", ".join(methods)})',
            'return error_response(Refused("invalid_request"))',
        ),
    ),
    allowed(
        "limits-requests",
        "Each tenth request to the token endpoint has to wait a second.",
        Change(
            "        form = request.form()\n        client = self.authenticate(request, form)\n"
            '        if "grant_type"',
            '        self.count = getattr(self, "count", 0) + 1\n'
            "        if self.count % 10 == 0:\n"
            '            raise Refused("temporarily_unavailable", 429, **{"Retry-After": "1"})\n'
            "        form = request.form()\n        client = self.authenticate(request, form)\n"
            '        if "grant_type"',
        ),
    ),
)

TOKENS = (
    allowed(
        "long-tokens",
        "Its tokens look like JWTs of 1,500 characters.",
        Change(
            VALUE,
            VALUE.replace(
                "secrets.token_urlsafe(32)",
                '".".join(secrets.token_urlsafe(370) for _ in range(3))',
            ),
        ),
    ),
    allowed(
        "hexadecimal-tokens",
        "Its tokens have digits and small letters only.",
        Change(VALUE, VALUE.replace("token_urlsafe", "token_hex")),
    ),
    allowed(
        "lower-case-bearer",
        "The type of its tokens is bearer.",
        Change('"token_type": "Bearer"', '"token_type": "bearer"'),
    ),
    allowed(
        "more-members",
        "Its token responses have members of its own.",
        Change(
            MEMBERS,
            MEMBERS.replace("        }", '            "id": 7, "x": [None, {}],\n        }'),
        ),
    ),
    allowed(
        "no-expires-in",
        "Its token responses do not say how long the token lives.",
        Change('            "expires_in": int(self.token_seconds),\n', ""),
    ),
    allowed(
        "new-refresh-token",
        "Each refresh gives a new refresh token, and the old one ends.",
        Change(
            "return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)",
            "self.kill([token])\n"
            "            return self.issue_tokens(client, token.user, asked, token.family)",
        ),
    ),
    allowed(
        "refresh-ends-access-tokens",
        "A refresh ends the access tokens before it.",
        Change(
            "return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)",
            "self.kill([each for each in token.family if not each.is_refresh])\n"
            "            return self.issue_tokens(\n"
            "                client, token.user, asked, token.family, keep=token.value\n"
            "            )",
        ),
    ),
    allowed(
        "no-refresh-tokens",
        "It issues no refresh tokens.",
        Change("        if not keep:\n", "        if False:\n"),
    ),
    allowed(
        "one-grant-per-user",
        "A new authorization ends the tokens that the client has of the user.",
        Change(
            '        state = asked.get("state", "")\n',
            '        state = asked.get("state", "")\n'
            "        for token in list(self.tokens.values()):\n"
            "            if (token.client_id, token.user) == (client.id, user):\n"
            "                self.kill([token])\n",
        ),
    ),
    allowed(
        "access-tokens-cannot-be-revoked",
        "It says that it does not support the revocation of access tokens.",
        Change(
            'token = self.tokens.get(form.get("token", ""))\n'
            "        if token is not None and token",
            'token = self.tokens.get(form.get("token", ""))\n'
            "        if token is not None and not token.is_refresh:\n"
            '            raise Refused("unsupported_token_type")\n'
            "        if token is not None and token",
        ),
    ),
    allowed(
        "stores-late",
        "The tokens of a redemption are stored after two seconds.",
        Change(
            "        with self.lock:\n            is_known = self.is_known(link)\n",
            "        time.sleep(2)\n"
            "        with self.lock:\n            is_known = self.is_known(link)\n",
        ),
    ),
    allowed(
        "no-client-credentials",
        "It gives clients no tokens for themselves.",
        Change('            "client_credentials": self.client_credentials,\n', ""),
    ),
    allowed(
        "no-metadata",
        "It has no metadata.",
        Change(
            '            "/.well-known/oauth-authorization-server": {"GET": party.metadata},\n', ""
        ),
    ),
    allowed(
        "asks-nothing",
        "It does not say what it asks.",
        Change(ASKS, 'reciprocal = ""'),
    ),
    allowed(
        "asks-in-token-response",
        "It says what it asks in the token response only, and has no iss.",
        Change("iss=self.issuer, reciprocal=reciprocal)", ")"),
        Change('            "authorization_response_iss_parameter_supported": True,\n', ""),
    ),
    allowed(
        "asks-first-client-only",
        "Only the first client is a peer.",
        Change(
            'is_peer=bool(values.get("is_peer", True)),',
            'is_peer=not str(values["id"]).startswith("second"),',
        ),
    ),
    *COMMON,
    allowed(
        "scope-is-left-out",
        "A token response says the scope only if it is not what was asked.",
        Change(
            "        members = self._members(token)\n        if not keep",
            "        members = self._members(token)\n"
            '        if members["scope"] == "read write":\n'
            '            del members["scope"]\n'
            "        if not keep",
        ),
    ),
    allowed(
        "wrong-secret-is-400",
        "A wrong secret is 400, as the draft literally says.",
        Change(
            'raise Refused("invalid_client", 401, **challenge)', 'raise Refused("invalid_client")'
        ),
        warns="B-AUTH-2",
    ),
)

REDEMPTION = (
    allowed(
        "redeems-later",
        "It redeems codes two seconds later.",
        Change(
            "            time.sleep(max(wait, delay))\n",
            "            time.sleep(max(wait, delay, 2))\n",
        ),
    ),
    allowed(
        "redeems-with-secret-in-body",
        "It authenticates in the body.",
        Change(
            SENDS,
            "own = {\n"
            '                "client_id": self.peer.client_id,\n'
            '                "client_secret": self.peer.client_secret,\n'
            "            }\n"
            "            return self.http.post(url, {**form, **own})",
        ),
    ),
    allowed(
        "client-id-in-body-too",
        "The redemption has the client ID in the body, too.",
        Change(FORM, FORM.replace("}", ', "client_id": self.peer.client_id}')),
    ),
    allowed(
        "charset-in-redemption",
        "The redemption names UTF-8.",
        Change(
            'FORM = "application/x-www-form-urlencoded"',
            'FORM = "application/x-www-form-urlencoded"\nSENT = f"{FORM}; charset=utf-8"',
        ),
        Change('{"Content-Type": FORM, **headers}', '{"Content-Type": SENT, **headers}'),
    ),
    allowed(
        "parameters-in-other-order",
        "The code comes before the grant type.",
        Change(FORM, 'form = {"code": handover.code, "grant_type": "authorization_code"}'),
    ),
    allowed(
        "tries-more-often",
        "It tries eight times.",
        settings={"retry_delays": [0.3] * 7},
    ),
    allowed(
        "refused-code-once-more",
        "It sends a code that is refused once more.",
        Change(
            "if received is not None and not received.is_temporary:",
            "is_first = delay == 0.0 and received is not None and received.status == 400\n"
            "            if received is not None and not received.is_temporary and not is_first:",
        ),
    ),
    allowed(
        "tries-once",
        "It does not try again, which it should.",
        settings={"retry_delays": []},
        warns="B-RETRY-1 B-RETRY-4 B-RETRY-6",
    ),
    allowed(
        "known-code-of-other-user-is-invalid-request",
        "A code that came for another user is invalid_request.",
        Change(
            '(client_id, user):\n                raise Refused("invalid_grant")',
            '(client_id, user):\n                raise Refused("invalid_request")',
        ),
    ),
    allowed(
        "keeps-tokens-late",
        "It takes a moment to keep the tokens of a response.",
        Change(
            '        members = received.members()\n        token = members.get("access_token")\n',
            "        time.sleep(0.2)\n"
            '        members = received.members()\n        token = members.get("access_token")\n',
        ),
    ),
    allowed(
        "refreshes-ahead",
        "It refreshes a token ten seconds before its end.",
        Change(
            "is_refreshed = link.expires <= time.time()",
            "is_refreshed = link.expires <= time.time() + 10",
        ),
    ),
    allowed(
        "end-revokes-refresh-token-only",
        "At the end it revokes the refresh token only: the grant goes with it.",
        Change(
            "for token in filter(None, (link.access_token, link.refresh_token)):",
            "for token in filter(None, (link.refresh_token,)):",
        ),
    ),
    allowed(
        "ends-in-background",
        "It revokes tokens after the page.",
        Change(
            '                self.revoke(token)\n        return json_response({"ended"',
            "                threading.Timer(0.5, self.revoke, [token]).start()\n"
            '        return json_response({"ended"',
        ),
    ),
)

ALLOWED: tuple[Allowed, ...] = (*RESPONSES, *TOKENS, *REDEMPTION)
