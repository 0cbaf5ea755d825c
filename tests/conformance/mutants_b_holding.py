"""Mistakes of a party B with what it holds of party A, and with odd hand-overs."""

from .mutation import Change, Mutant, mutant

KEPT = 'link.refresh_token = str(members.get("refresh_token") or link.refresh_token)'
TYPE = 'if str(members.get("token_type", "")).lower() != "bearer":'
CALL = 'return self.http.get(self.peer.api, Authorization=f"Bearer {link.access_token}").status'
REFRESH_SENDS = """            received = self.post(self.peer.token_endpoint, form)
            if received is None or received.is_temporary:
                return False"""

HOLDING = (
    mutant(
        "any-token-type",
        "B-USE-6",
        "It does not look at the type of the token.",
        Change(TYPE, 'if not members.get("token_type"):'),
    ),
    mutant(
        "token-in-the-url",
        "B-USE-7",
        "It calls the API with the token in the URL.",
        Change(
            CALL, 'return self.http.get(f"{self.peer.api}?access_token={link.access_token}").status'
        ),
    ),
    mutant(
        "keeps-the-first-refresh-token",
        "B-USE-8",
        "It keeps the refresh token that it got first.",
        Change(
            KEPT,
            'link.refresh_token = str(link.refresh_token or members.get("refresh_token") or "")',
        ),
    ),
    mutant(
        "refreshes-without-secret",
        "B-USE-9",
        "It refreshes as if it were a public client.",
        Change(
            REFRESH_SENDS,
            REFRESH_SENDS.replace(
                "self.post(self.peer.token_endpoint, form)",
                "self.http.post(\n                self.peer.token_endpoint,"
                ' {**form, "client_id": self.peer.client_id})',
            ),
        ),
    ),
    mutant(
        "user-of-the-latest-request",
        "B-USE-10",
        "What it knows of the latest request is kept in one place for all.",
        Change(
            "        handover = self.accept(client.id, token.user, code)\n",
            "        self.user = token.user\n"
            "        time.sleep(0.1)\n"
            "        handover = self.accept(client.id, self.user, code)\n",
        ),
    ),
    mutant(
        "needs-a-life",
        "B-RED-7",
        "A token response without expires_in is an error of the program.",
        Change('seconds = members.get("expires_in")', 'seconds = members["expires_in"]'),
    ),
    mutant(
        "short-column",
        "B-RED-8",
        "It keeps 255 characters of a token.",
        Change(
            "link.number, link.access_token = number, token",
            "link.number, link.access_token = number, token[:255]",
        ),
    ),
    mutant(
        "short-codes",
        "B-RED-6",
        "It keeps 255 characters of a code.",
        Change('        code = form["code"]\n', '        code = form["code"][:255]\n'),
    ),
    mutant(
        "decodes-codes-twice",
        "B-RED-6",
        "It decodes the percent signs in a code once more.",
        Change(
            '        code = form["code"]\n',
            '        code = form["code"].replace("%41", "A").replace("%2B", "+")\n',
        ),
    ),
    mutant(
        "silence-is-final",
        "B-RETRY-6",
        "It gives a redemption up that got no answer.",
        Change(
            "if received is not None and not received.is_temporary:",
            "if received is None:\n"
            "                return\n"
            "            if not received.is_temporary:",
        ),
    ),
)

REQUESTS = (
    mutant(
        "refusal-uses-code-up",
        "B-REP-5",
        "A code counts as known once it was seen, whatever became of the request.",
        Change(
            '        token = self.server.access_token(form["access_token"])\n',
            '        token = self.server.access_token(form["access_token"])\n'
            "        if token is None:\n"
            '            link = Link(client.id, "")\n'
            '            self.handovers[form["code"]] = HandOver(0, form["code"], link)\n',
        ),
    ),
    mutant(
        "empty-scope-is-refused",
        "B-PARAM-3",
        "An empty parameter is a wrong one.",
        Change(
            "        return {name: value for name, value in form.items() if value}\n",
            '        if "" in form.values() and "scope" in form:\n'
            '            raise Refused("invalid_scope")\n'
            "        return {name: value for name, value in form.items() if value}\n",
        ),
    ),
    mutant(
        "odd-basic-is-500",
        "B-AUTH-9",
        "A header that cannot be read is an error of the program.",
        Change(
            "        basic = request.basic()\n",
            "        basic = request.basic()\n"
            '        if basic is None and request.headers.get("Authorization"):\n'
            "            raise KeyError\n",
        ),
    ),
)

HELD: tuple[Mutant, ...] = (*HOLDING, *REQUESTS)
