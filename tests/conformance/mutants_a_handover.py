"""Mistakes of a party A with the request that hands a code over."""

from .mutation import Change, Mutant, mutant

GRANT = '"grant_type": RECIPROCAL,'
TOKEN = '"access_token": link.token,'
CLIENT_ID = '"client_id": self.peer.client_id,\n                    "access_token"'
HEADER = """        header = basic_header(self.peer.client_id, self.peer.client_secret)
"""
SENDS = "return self.http.post(url, form, Authorization=header)"
TARGET = f"self.peer.token_endpoint,\n                {{\n                    {GRANT}"
NEW_CODE = "return self.server.new_code(self.client_here, link.user, scopes)"
CODE_VALUE = """        value = secrets.token_urlsafe(32)
        expires"""
DELIVERED = "if received is not None and not received.is_temporary:\n                return"
WAIT = "wait = received.retry_after if received is not None else 0.0"
TIMES = "for delay in (0.0, *self.retry_delays):"
CODE = "            code = self.new_code(link, number, scopes)\n"
OLD_CODES = """            self.server.kill_codes(self.client_here.id, link.user)
            return self.server"""
RESPONSE = """            response = connection.getresponse()
"""
IMPORTS = "import time\nfrom collections.abc import Mapping\n"
NEW_LINK = "self.links[session.user] = link\n"


def _with(name: str, caught_by: str, why: str, *parameters: str) -> Mutant:
    """A mutant that sends further parameters."""
    more = "".join(f"\n                    {each}," for each in parameters)
    return mutant(name, caught_by, why, Change(GRANT, GRANT + more))


def _in_handover(name: str, caught_by: str, why: str, *lines: str) -> Mutant:
    """A mutant that sends the hand-over in another way: these lines come before what it does."""
    text = "".join(f"            {line}\n" for line in lines)
    guard = '        if form.get("grant_type") == RECIPROCAL:\n'
    return mutant(name, caught_by, why, Change(HEADER, HEADER + guard + text))


REQUEST = (
    mutant(
        "wrong-urn",
        "A-E-1",
        "It sends the misprint of the draft's example.",
        Change(
            '"urn:ietf:params:oauth:grant-type:reciprocal"',
            '"urn:ietf:params:oauth:grant-type-reciprocal"',
        ),
    ),
    mutant(
        "client-id-of-other-party",
        "A-E-1",
        "client_id is that of party B at party A.",
        Change(CLIENT_ID, '"client_id": self.peer.id_here,\n                    "access_token"'),
    ),
    mutant(
        "no-client-id",
        "A-E-1",
        "It sends no client_id, because it authenticates by Basic.",
        Change(CLIENT_ID, '"access_token"'),
    ),
    mutant(
        "token-under-other-name",
        "A-E-1",
        "It sends the access token as token.",
        Change(TOKEN, '"token": link.token,'),
    ),
    mutant(
        "code-twice",
        "A-E-1",
        "It sends the code twice.",
        Change(
            "body = urlencode(form).encode()",
            "body = urlencode(form).encode()\n"
            '        if "access_token" in form:\n'
            '            body += b"&code=" + form["code"].encode()',
        ),
    ),
    mutant(
        "parameters-in-url",
        "A-E-2 A-E-6",
        "It sends the parameters in the URL.",
        Change(
            HEADER,
            HEADER + '        if form.get("grant_type") == RECIPROCAL:\n'
            '            url, form = f"{url}?{urlencode(form)}", {}\n',
        ),
        Change(
            IMPORTS,
            f"{IMPORTS}from urllib.parse import urlencode\n",
        ),
    ),
    mutant(
        "json",
        "A-E-2",
        "It sends JSON.",
        Change(
            HEADER,
            HEADER + '        if form.get("grant_type") == RECIPROCAL:\n'
            '            kind = {"Content-Type": "application/json", "Authorization": header}\n'
            '            return self.http._send("POST", url, json.dumps(form).encode(), kind)\n',
        ),
        Change(IMPORTS, f"import json\n{IMPORTS}"),
    ),
    _in_handover(
        "other-content-type",
        "A-E-2",
        "It names no form as the type of the body.",
        'kind = {"Content-Type": "text/plain", "Authorization": header}',
        "return self.http.post(url, form, **kind)",
    ),
    _in_handover(
        "other-charset",
        "A-E-2",
        "It names another charset.",
        'kind = {"Content-Type": "application/x-www-form-urlencoded;charset=ISO-8859-1"}',
        "return self.http.post(url, form, Authorization=header, **kind)",
    ),
    _in_handover(
        "no-authentication",
        "A-E-3",
        "It does not authenticate: the access token seems enough.",
        "return self.http.post(url, form)",
    ),
    _in_handover(
        "bearer-in-place-of-secret",
        "A-E-3",
        "It authenticates with the access token.",
        'return self.http.post(url, form, Authorization="Bearer " + form["access_token"])',
    ),
    _in_handover(
        "secret-twice",
        "A-E-3",
        "It authenticates by Basic and in the body.",
        'form = {**form, "client_secret": self.peer.client_secret}',
    ),
    _in_handover(
        "raw-basic",
        "A-E-3",
        "It does not encode its credentials for the header Basic.",
        "import base64",
        "pair = f'{self.peer.client_id}:{self.peer.client_secret}'",
        'header = "Basic " + base64.b64encode(pair.encode()).decode()',
    ),
    _in_handover(
        "secret-of-other-party",
        "A-E-3",
        "It authenticates with the secret that it gave to party B.",
        "header = basic_header(self.peer.client_id, self.client_here.secret)",
    ),
    _with(
        "sends-secret-of-other-party",
        "A-E-6",
        "It tells party B its secret.",
        '"b_secret": self.client_here.secret',
    ),
    mutant(
        "secret-in-url",
        "A-E-6",
        "Its secret is in the URL.",
        Change(
            HEADER,
            HEADER + '        if form.get("grant_type") == RECIPROCAL:\n'
            '            url += "?client_secret=" + quote(self.peer.client_secret)\n',
        ),
        Change(
            IMPORTS,
            f"{IMPORTS}from urllib.parse import quote\n",
        ),
    ),
    mutant(
        "token-of-first-link",
        "A-E-4",
        "It sends the access token of the user's first link.",
        Change(
            NEW_LINK,
            "link.token = self.first_tokens.setdefault(session.user, link.token)\n        "
            + NEW_LINK,
        ),
        Change(
            "        self.links: dict[str, Link] = {}\n",
            "        self.links: dict[str, Link] = {}\n        self.first_tokens = {}\n",
        ),
    ),
    mutant(
        "token-of-first-flow",
        "A-E-4",
        "It sends the access token of the first flow, as a cache has it.",
        Change(TOKEN, '"access_token": self.__dict__.setdefault("cached", link.token),'),
    ),
    mutant(
        "short-codes",
        "A-E-5",
        "Codes have eight characters.",
        Change(CODE_VALUE, CODE_VALUE.replace("secrets.token_urlsafe(32)", "secrets.token_hex(4)")),
    ),
    mutant(
        "endpoints-of-the-response",
        "A-E-7",
        "It believes the token endpoint that the token response names.",
        Change(
            NEW_LINK,
            f"{NEW_LINK}"
            '        self.target = members.get("token_endpoint", self.peer.token_endpoint)\n',
        ),
        Change(TARGET, TARGET.replace("self.peer.token_endpoint", "self.target")),
    ),
    mutant(
        "code-of-first-user",
        "A-E-8",
        "All codes are for the user who linked first.",
        Change(
            NEW_CODE,
            "first = next(iter(self.passwords))\n"
            "            self.server.allow(self.client_here.id, first, scopes)\n"
            "            return self.server.new_code(self.client_here, first, scopes)",
        ),
    ),
    mutant(
        "certificate-is-not-verified",
        "A-E-9",
        "It does not verify the certificate of party B.",
        Change(
            "self._context = ssl.create_default_context(cafile=ca or None)",
            "self._context = ssl._create_unverified_context()",
        ),
        has_tls=True,
    ),
)

RETRIES = (
    mutant(
        "never-sends",
        "A-CODE-1",
        "It never hands a code over.",
        Change(
            "        if scopes:\n            arguments", "        if False:\n            arguments"
        ),
    ),
    mutant(
        "never-again",
        "A-RETRY-1",
        "What fails for a while is not tried again.",
        Change(DELIVERED, "return"),
    ),
    mutant(
        "reset-is-final",
        "A-RETRY-1",
        "A connection that breaks is not tried again.",
        Change(DELIVERED, DELIVERED.replace("received is not None and", "received is None or")),
    ),
    mutant(
        "same-code-again",
        "A-RETRY-2",
        "It sends the same code again.",
        Change(TIMES, f'code = ""\n        {TIMES}'),
        Change(CODE, CODE.replace("code = self", "code = code or self")),
    ),
    mutant(
        "old-code-lives",
        "A-RETRY-8",
        "The code before works on when another one is sent.",
        Change(OLD_CODES, "            return self.server"),
    ),
    mutant(
        "retry-after-is-ignored",
        "A-RETRY-3",
        "It does not wait as long as party B asks.",
        Change(WAIT, "wait = 0.0"),
    ),
    mutant(
        "sends-refused-again",
        "A-RETRY-4",
        "It sends again whatever party B answers.",
        Change(DELIVERED, DELIVERED.replace("not received.is_temporary", "received.status == 200")),
        Change(TIMES, "for delay in (0.0, *([0.2] * 100)):"),
    ),
    mutant(
        "sends-400-again",
        "A-RETRY-4",
        "It takes every error for one that passes.",
        Change("return self.status == 429 or self.status >= 500", "return self.status >= 400"),
        settings={"retry_delays": [0.2] * 4},
    ),
    mutant(
        "follows-redirects",
        "A-RETRY-5",
        "It follows redirects, and sends code, token and secret to another address.",
        Change(
            RESPONSE,
            f"{RESPONSE}"
            '            target = response.headers.get("Location")\n'
            "            if 300 <= response.status < 400 and target:\n"
            "                return self._send(method, target, body, headers)\n",
        ),
    ),
    mutant(
        "needs-a-body",
        "A-RETRY-7",
        "A 200 without the JSON that it expects counts as a failure.",
        Change(
            DELIVERED,
            "if received is not None and received.members().get('ok'):\n                return",
        ),
    ),
    mutant(
        "needs-json",
        "A-RETRY-7",
        "A 200 with a page counts as a failure.",
        Change(
            DELIVERED,
            DELIVERED.replace("not received.is_temporary", 'received.body.startswith(b"{")'),
        ),
    ),
)

HANDOVER: tuple[Mutant, ...] = (*REQUEST, *RETRIES)
