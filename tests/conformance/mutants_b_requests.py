"""Mistakes of a party B with its responses, and with clients and access tokens."""

from .mutation import Change, Mutant, mutant

ANSWER = "daemon=True).start()\n        return json_response({})"
NO_CLIENT = "        if client is None or not is_right:\n"
CHALLENGE = """            raise Refused("invalid_client", 401, **challenge)"""
OTHER_CLIENT = 'if form["client_id"] != client.id:'
IDENTITY = """        if basic and form.get("client_id", basic[0]) != basic[0]:
            raise Refused("invalid_request")
"""
WRONG_TOKEN = """        if token is None or token.client_id != client.id or not token.user:
            raise Refused("invalid_grant")
"""
DECODE = "return unquote_plus(client_id), unquote_plus(secret)"
LOOK_UP = 'token = self.server.access_token(form["access_token"])'
FOUND = "        token = self.tokens.get(value)\n        if token is None or token.is_refresh"
LIVES = "if token is None or token.is_refresh or token.expires < time.time():"


def _answers(name: str, why: str, answer: str) -> Mutant:
    new = ANSWER.replace("return json_response({})", answer)
    return mutant(name, "B-OK-1", why, Change(ANSWER, new))


RESPONSES = (
    _answers(
        "answers-204",
        "It answers 204 No Content.",
        "return Response(204)",
    ),
    _answers(
        "answers-202",
        "It answers 202 Accepted, as it redeems later.",
        "return json_response({}, 202)",
    ),
    _answers(
        "answers-redirect",
        "It answers with a redirect to a page.",
        'return Response(302, b"", {"Location": self.server.issuer})',
    ),
    mutant(
        "wrong-urn",
        "B-OK-1",
        "It knows the grant type by the name in the draft's IANA section only.",
        Change('"urn:ietf:params:oauth:grant-type:reciprocal"', '"grant-type:reciprocal"'),
    ),
    mutant(
        "any-urn",
        "B-GRANT-1",
        "It takes any grant type that ends as the draft's does.",
        Change(
            'if form["grant_type"] not in self.grants:',
            'if form["grant_type"].endswith("reciprocal"):\n'
            '            form["grant_type"] = RECIPROCAL\n'
            '        if form["grant_type"] not in self.grants:',
        ),
    ),
    mutant(
        "error-in-text",
        "B-ANS-1",
        "Its errors are plain text.",
        Change(
            'return json_response({"error": refused.error}, refused.status, **refused.headers)',
            "return Response(refused.status, refused.error.encode(), refused.headers)",
        ),
    ),
    mutant(
        "error-with-own-code",
        "B-ANS-1",
        "Its error codes are of its own.",
        Change('{"error": refused.error}', '{"error": "E_" + refused.error}'),
    ),
    mutant(
        "error-in-other-member",
        "B-ANS-1",
        "The error code is in a member with another name.",
        Change('{"error": refused.error}', '{"code": refused.error}'),
    ),
    mutant(
        "error-repeats-token",
        "B-ANS-2",
        "An error repeats the access token.",
        Change(
            WRONG_TOKEN,
            WRONG_TOKEN.replace(
                'raise Refused("invalid_grant")',
                'description = "unknown: " + form["access_token"]\n'
                '            raise Refused("invalid_grant", description=description)',
            ),
        ),
        Change(
            'return json_response({"error": refused.error}, refused.status, **refused.headers)',
            'more = {"error_description": refused.headers.pop("description", "")}\n'
            '    members = {"error": refused.error, **more}\n'
            "    return json_response(members, refused.status, **refused.headers)",
        ),
    ),
    mutant(
        "error-repeats-code",
        "B-ANS-2",
        "An error repeats the request.",
        Change(
            "        return error_response(refused)\n    except Exception",
            "        text = request.body.decode(errors='replace')\n"
            '        members = {"error": refused.error, "error_description": text}\n'
            "        return json_response(members, refused.status, **refused.headers)\n"
            "    except Exception",
        ),
    ),
    mutant(
        "tokens-can-be-stored",
        "B-ANS-3",
        "Token responses lack no-store.",
        Change('"Cache-Control": "no-store", "Pragma": "no-cache"}', '"Vary": "Accept"}'),
    ),
    mutant(
        "cors-for-all",
        "B-ANS-4",
        "Scripts of every origin may read its responses.",
        Change(
            '"Pragma": "no-cache"}', '"Pragma": "no-cache", "Access-Control-Allow-Origin": "*"}'
        ),
    ),
    mutant(
        "cors-for-asker",
        "B-ANS-4",
        "It allows each origin that asks.",
        Change(
            "        return methods[request.method](request)\n",
            "        response = methods[request.method](request)\n"
            "        origin = request.headers.get('Origin')\n"
            "        if origin:\n"
            "            response.headers['Access-Control-Allow-Origin'] = origin\n"
            "        return response\n",
        ),
    ),
)

AUTHENTICATION = (
    mutant(
        "basic-is-not-decoded",
        "B-AUTH-1",
        "It does not decode the credentials of the header Basic.",
        Change(DECODE, "return client_id, secret"),
    ),
    mutant(
        "secret-is-not-compared",
        "B-AUTH-2",
        "It does not compare the secret.",
        Change(NO_CLIENT, "        if client is None:\n"),
    ),
    mutant(
        "wrong-secret-is-403",
        "B-AUTH-2",
        "A wrong secret is 403.",
        Change(CHALLENGE, '            raise Refused("invalid_client", 403, **challenge)'),
    ),
    mutant(
        "no-challenge",
        "B-AUTH-3",
        "A 401 has no header WWW-Authenticate.",
        Change(CHALLENGE, '            raise Refused("invalid_client", 401)'),
    ),
    mutant(
        "bearer-challenge",
        "B-AUTH-3",
        "A 401 names another scheme than the client used.",
        Change("'Basic realm=\"token\"'", "'Bearer realm=\"token\"'"),
    ),
    mutant(
        "no-secret-is-right",
        "B-AUTH-4",
        "A client that sends no secret counts as a public client.",
        Change(NO_CLIENT, "        if client is None or (secret and not is_right):\n"),
    ),
    mutant(
        "bearer-is-enough",
        "B-AUTH-5",
        "The access token in the header is enough to authenticate.",
        Change(
            NO_CLIENT,
            "        token = self.tokens.get(request.bearer())\n"
            "        if token is not None:\n"
            "            return self.clients[token.client_id]\n" + NO_CLIENT,
        ),
    ),
    mutant(
        "authenticates-twice",
        "B-AUTH-6",
        "It takes a request that authenticates by Basic and in the body.",
        Change('if "Authorization" in request.headers and "client_secret" in form:', "if False:"),
    ),
    mutant(
        "client-id-is-not-compared",
        "B-AUTH-7",
        "It does not compare client_id with the client that authenticates.",
        Change(IDENTITY, ""),
        Change(OTHER_CLIENT, 'if form["client_id"] not in self.server.clients:'),
    ),
    mutant(
        "client-id-picks-the-client",
        "B-AUTH-7",
        "It takes the client that client_id names, not the one that authenticates.",
        Change(
            f'{OTHER_CLIENT}\n            raise Refused("invalid_request")\n',
            'client = self.server.clients.get(form["client_id"], client)\n',
        ),
        Change(IDENTITY, ""),
        Change(
            "if token is None or token.client_id != client.id or not token.user:",
            "if token is None or not token.user:",
        ),
    ),
    mutant(
        "unknown-client-is-told-apart",
        "B-AUTH-8",
        "An unknown client gets another error than a wrong secret.",
        Change(
            NO_CLIENT,
            '        if client is None:\n            raise Refused("unauthorized_client")\n'
            "        if not is_right:\n",
        ),
    ),
)

TOKENS = (
    mutant(
        "token-of-other-client",
        "B-TOK-1",
        "It does not compare the client of the access token.",
        Change("or token.client_id != client.id or not token.user", "or not token.user"),
    ),
    mutant(
        "ends-token-of-other-client",
        "B-TOK-1",
        "An access token that another client sends ends.",
        Change(
            WRONG_TOKEN,
            "        if token is not None and token.client_id != client.id:\n"
            "            self.server.kill(token.family)\n" + WRONG_TOKEN,
        ),
    ),
    mutant(
        "error-500-at-unknown-token",
        "B-TOK-2",
        "An unknown access token is an error of the program.",
        Change(
            "if token is None or token.client_id != client.id", "if token.client_id != client.id"
        ),
    ),
    mutant(
        "unknown-token-is-401",
        "B-TOK-2 B-TOK-9",
        "An unknown access token is 401, as at an API.",
        Change(WRONG_TOKEN, WRONG_TOKEN.replace('"invalid_grant"', '"invalid_token", 401')),
    ),
    mutant(
        "unknown-token-is-taken",
        "B-TOK-2",
        "It takes an unknown access token for a new user.",
        Change(
            LOOK_UP,
            f"{LOOK_UP}\n"
            "        if token is None:\n"
            "            scopes = client.scopes\n"
            '            token = self.server._new_token(client, "new", scopes, [], 60)',
        ),
    ),
    mutant(
        "letter-case-of-token",
        "B-TOK-3",
        "It looks access tokens up without regard to letter case, as some databases do.",
        Change(
            FOUND,
            "        lower = {key.lower(): token for key, token in self.tokens.items()}\n"
            f"{FOUND.replace('self.tokens.get(value)', 'lower.get(value.lower())')}",
        ),
    ),
    mutant(
        "expired-token",
        "B-TOK-4",
        "It does not look at the life of an access token.",
        Change(LIVES, "if token is None or token.is_refresh:"),
        settings={"token_seconds": 3},
        is_slow=True,
    ),
    mutant(
        "revoked-token",
        "B-TOK-5",
        "It takes revoked access tokens.",
        Change(
            "            self.kill(token.family)\n        return json_response({})",
            "            token.is_revoked = True\n        return json_response({})",
        ),
    ),
    mutant(
        "revokes-refresh-token-only",
        "B-TOK-5",
        "The revocation of an access token ends its refresh token only.",
        Change(
            "            self.kill(token.family)\n        return json_response({})",
            "            self.kill([each for each in token.family if each.is_refresh])\n"
            "        return json_response({})",
        ),
    ),
    mutant(
        "token-without-user",
        "B-TOK-6",
        "It takes a token that the client got for itself.",
        Change(
            "or token.client_id != client.id or not token.user", "or token.client_id != client.id"
        ),
    ),
    mutant(
        "token-of-client-is-told-apart",
        "B-TOK-7",
        "A token of another client gets another error than an unknown one.",
        Change(
            WRONG_TOKEN,
            "        if token is not None and token.client_id != client.id:\n"
            '            raise Refused("unauthorized_client")\n' + WRONG_TOKEN,
        ),
    ),
    mutant(
        "token-works-once",
        "B-TOK-8",
        "An access token carries one hand-over only.",
        Change(
            "        if handover is not None:\n",
            "        if handover is not None:\n            self.server.kill([token])\n",
        ),
    ),
    mutant(
        "refresh-token-as-access-token",
        "B-TOK-9",
        "It takes a refresh token for an access token.",
        Change(LIVES, "if token is None or token.expires < time.time():"),
    ),
    mutant(
        "refresh-loses-user",
        "B-OK-4",
        "An access token that was refreshed names no user.",
        Change(
            "self.issue_tokens(client, token.user, asked, token.family, keep=token.value)",
            'self.issue_tokens(client, "", asked, token.family, keep=token.value)',
        ),
    ),
)

REQUESTS: tuple[Mutant, ...] = (*RESPONSES, *AUTHENTICATION, *TOKENS)
