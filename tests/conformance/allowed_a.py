"""What a party A may do otherwise: no check may find a fault in it."""

from .allowed_both import COMMON
from .mutation import Allowed, Change, allowed

GRANT = '"grant_type": RECIPROCAL,'
SENDS = "return self.http.post(url, form, Authorization=header)"
VALUE = "        value = secrets.token_urlsafe(32)\n        token = Token("
CODE_VALUE = "        value = secrets.token_urlsafe(32)\n        expires"
MEMBERS = '            "scope": text_of(self.scopes_now(token)),\n        }'
ERROR = '{"error": refused.error}, refused.status'
DELIVERED = "if received is not None and not received.is_temporary:"
REFRESHES = "return self.issue_tokens(client, token.user, asked, token.family, keep=token.value)"
REQUEST = '            response_type="code",\n'

VISITS = (
    allowed("unchanged", "Nothing is changed."),
    allowed("unchanged-with-tls", "Nothing is changed, and the tester has TLS.", has_tls=True),
    allowed(
        "short-lives",
        "Its codes live for a few seconds.",
        settings={"code_seconds": 6},
        waits={"code_lifetime": 6},
        is_slow=True,
    ),
    allowed(
        "redirects-by-302",
        "It redirects with status 302.",
        Change("return Response(303,", "return Response(302,"),
    ),
    allowed(
        "more-in-authorization-request",
        "Its authorization request has more parameters.",
        Change(REQUEST, f'{REQUEST}            prompt="consent",\n            nonce="n",\n'),
    ),
    allowed(
        "no-scope-in-authorization-request",
        "Its authorization request has no scope.",
        Change("            scope=self.peer.scope,\n", ""),
    ),
    allowed(
        "long-state",
        "Its state looks like a JWT of 400 characters.",
        Change(
            "state, visit = secrets.token_urlsafe(32),",
            'state, visit = ".".join(secrets.token_urlsafe(100) for _ in range(3)),',
        ),
    ),
    allowed(
        "secret-in-body",
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
        "client-id-in-exchange",
        "Its token request has the client ID in the body, too.",
        Change(
            '                "code_verifier": visit.verifier,\n',
            '                "code_verifier": visit.verifier,\n'
            '                "client_id": self.peer.client_id,\n',
        ),
    ),
    allowed(
        "page-in-place-of-error",
        "A wrong callback is a page with status 200.",
        Change(
            'message("This answer belongs to no visit of yours.", 400)', 'message("Not yours.")'
        ),
    ),
    allowed(
        "denial-is-an-error-page",
        "It answers 400 when party B answers with an error.",
        Change(
            'message("The other site did not let you in.")',
            'message("The other site did not let you in.", 400)',
        ),
    ),
    allowed(
        "no-box-is-ticked",
        "The question has no box that is ticked.",
        Change("boxes(scopes, scopes) + buttons", "boxes(scopes, ()) + buttons"),
    ),
    allowed(
        "reads-authorization-response-first",
        "The scope of the authorization response goes before that of the token response.",
        Change(
            'asked = members.get("reciprocal", answer.get("reciprocal", ""))',
            'asked = answer.get("reciprocal") or members.get("reciprocal", "")',
        ),
    ),
    allowed(
        "odd-reciprocal-is-refused",
        "It does not go on if it does not understand reciprocal.",
        Change(
            '        link = Link(session.user, "", self.question(asked))\n',
            "        if not isinstance(asked, str):\n"
            '            return message("The other site asks for something odd.", 400)\n'
            '        link = Link(session.user, "", self.question(asked))\n',
        ),
    ),
)

HANDOVER = (
    allowed(
        "more-parameters",
        "The hand-over has more parameters.",
        Change(
            GRANT, f'{GRANT}\n                    "scope": "read",\n                    "x": "1",'
        ),
    ),
    allowed(
        "charset",
        "The hand-over names UTF-8.",
        Change(
            'FORM = "application/x-www-form-urlencoded"',
            'FORM = "application/x-www-form-urlencoded"\nSENT = f"{FORM}; charset=UTF-8"',
        ),
        Change('{"Content-Type": FORM, **headers}', '{"Content-Type": SENT, **headers}'),
    ),
    allowed(
        "sends-later",
        "It hands codes over two seconds later.",
        Change(
            "            time.sleep(max(wait, delay))\n",
            "            time.sleep(max(wait, delay, 2))\n",
        ),
    ),
    allowed(
        "sends-in-the-request",
        "It hands the code over before the page after consent.",
        Change(
            "threading.Thread(target=self.hand_over, args=arguments, daemon=True).start()",
            "self.hand_over(*arguments)",
        ),
    ),
    allowed(
        "long-codes",
        "Its codes look like JWTs of 1,000 characters.",
        Change(
            CODE_VALUE,
            CODE_VALUE.replace(
                "secrets.token_urlsafe(32)",
                '".".join(secrets.token_urlsafe(250) for _ in range(3))',
            ),
        ),
    ),
    allowed(
        "hexadecimal-codes",
        "Its codes have digits and small letters only.",
        Change(CODE_VALUE, CODE_VALUE.replace("token_urlsafe", "token_hex")),
    ),
    allowed(
        "tries-more-often",
        "It tries eight times.",
        settings={"retry_delays": [0.3] * 7},
    ),
    allowed(
        "refused-once-more",
        "It sends again, once, what is refused.",
        Change(
            DELIVERED,
            "is_first = delay == 0.0 and received is not None and received.status in (400, 401)\n"
            f"            {DELIVERED[:-1]} and not is_first:",
        ),
    ),
    allowed(
        "sends-once",
        "It does not send again, which it should.",
        settings={"retry_delays": []},
        warns="A-RETRY-1 A-RETRY-2 A-RETRY-3",
    ),
)

TOKENS = (
    *COMMON,
    allowed(
        "scope-is-left-out",
        "A token response says the scope only if it is not what was asked.",
        Change(
            "        members = self._members(token)\n        if not keep",
            "        members = self._members(token)\n"
            '        if scopes_of(members["scope"]) == self.asked:\n'
            '            del members["scope"]\n'
            "        if not keep",
        ),
        Change(
            "        link = Link(session.user,",
            "        self.server.asked = scopes_of(str(asked))\n        link = Link(session.user,",
        ),
    ),
    allowed(
        "api-names-nobody",
        "Its API does not tell whose token it is.",
        Change(
            'return json_response({"user": token.user, "scope"', 'return json_response({"scope"'
        ),
    ),
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
            REFRESHES,
            "self.kill([token])\n"
            "            return self.issue_tokens(client, token.user, asked, token.family)",
        ),
    ),
    allowed(
        "new-code-ends-tokens",
        "When a new code is redeemed, the tokens of the codes before it end.",
        Change(
            "            code.family = []\n",
            "            for token in list(self.tokens.values()):\n"
            "                if (token.client_id, token.user) == (client.id, code.user):\n"
            "                    self.kill([token])\n"
            "            code.family = []\n",
        ),
    ),
    allowed(
        "errors-with-description",
        "Its errors have a description and a page.",
        Change(
            ERROR,
            '{"error": refused.error, "error_description": "See the page.", '
            '"error_uri": f"https://a.example/{refused.error}"}, refused.status',
        ),
    ),
    allowed(
        "used-code-is-invalid-request",
        "A code that was redeemed is invalid_request.",
        Change(
            'self.kill(code.family)\n                raise Refused("invalid_grant")',
            'self.kill(code.family)\n                raise Refused("invalid_request")',
        ),
    ),
    allowed(
        "get-is-404",
        "Its token endpoint does not exist for GET.",
        Change('return Response(405, b"", {"Allow": ", ".join(methods)})', "return Response(404)"),
    ),
    allowed(
        "wrong-secret-is-400",
        "A wrong secret is 400 without a challenge.",
        Change(
            'raise Refused("invalid_client", 401, **challenge)', 'raise Refused("invalid_client")'
        ),
    ),
    allowed(
        "scope-at-redemption-is-refused",
        "It refuses a redemption that asks for a scope.",
        Change(
            "            code.family = []\n",
            '            if "scope" in form:\n'
            '                raise Refused("invalid_request")\n'
            "            code.family = []\n",
        ),
    ),
    allowed(
        "no-code-at-updates",
        "It sends no code when the user changes the access, which it can.",
        Change(
            'self.decide(link, scopes_of(form.get("scope", "")) & self.client_here.scopes)',
            'scopes = scopes_of(form.get("scope", "")) & self.client_here.scopes\n'
            "        self.server.allow(self.client_here.id, link.user, scopes)",
        ),
        warns="A-UPD-1",
    ),
    allowed(
        "revokes-in-background",
        "At the end it revokes its token after the page.",
        Change(
            '            self.post(self.peer.revocation_endpoint, {"token": link.token})\n',
            '            arguments = [self.peer.revocation_endpoint, {"token": link.token}]\n'
            "            threading.Timer(0.5, self.post, arguments).start()\n",
        ),
    ),
)

ALLOWED: tuple[Allowed, ...] = (*VISITS, *HANDOVER, *TOKENS)
