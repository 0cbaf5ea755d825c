"""Mistakes of a party A with updates, and with the end of a link."""

from .mutation import Change, Mutant, mutant

DECIDED = 'self.decide(link, scopes_of(form.get("scope", "")) & self.client_here.scopes)'
ALLOWS = "            self.server.allow(self.client_here.id, link.user, scopes)\n"
KILLS_CODES = "            self.server.kill_codes(self.client_here.id, link.user)\n"
ENDS = "            self.server.end(self.client_here.id, session.user)\n"
REVOKES = """        if link is not None:
            self.post(self.peer.revocation_endpoint, {"token": link.token})
"""
STILL = "if self.links.get(link.user) is not link or link.number != number:"
NOW = "return token.scopes & self.allowed.get((token.client_id, token.user), frozenset())"
END_BODY = """            self.allowed.pop((client_id, user), None)
            self.kill_codes(client_id, user)
            tokens = list(self.tokens.values())
            self.kill([each for each in tokens if (each.client_id, each.user) == (client_id, user)])
"""
KILLS = "            self.kill(token.family)\n        return json_response({})"

UPDATES = (
    mutant(
        "update-sends-no-code",
        "A-UPD-1",
        "It sends no code when the user allows more.",
        Change(
            DECIDED,
            'scopes = scopes_of(form.get("scope", "")) & self.client_here.scopes\n'
            "        self.server.allow(self.client_here.id, link.user, scopes)",
        ),
    ),
    mutant(
        "update-sends-what-is-new",
        "A-UPD-1",
        "The code of an update has only what the user added.",
        Change(
            DECIDED,
            'scopes = scopes_of(form.get("scope", "")) & self.client_here.scopes\n'
            "        had = self.server.allowed.get((self.client_here.id, link.user), frozenset())\n"
            "        self.decide(link, scopes - had or scopes)",
        ),
    ),
    mutant(
        "removal-waits",
        "A-UPD-2",
        "What the user takes away works on in the tokens that are out.",
        Change(NOW, "return token.scopes"),
    ),
    mutant(
        "removal-waits-for-a-refresh",
        "A-UPD-2",
        "What the user takes away works on in the access tokens, until a refresh replaces them.",
        Change(NOW, "return token.scopes"),
        Change(
            "            left = self.scopes_now(token)\n",
            "            allowed = self.allowed.get((token.client_id, token.user), frozenset())\n"
            "            left = token.scopes & allowed\n"
            "            self.kill([old for old in token.family if not old.is_refresh])\n",
        ),
    ),
    mutant(
        "removal-comes-back",
        "A-UPD-2",
        "What the user takes away comes back with a refresh.",
        Change(
            "            left = self.scopes_now(token)\n",
            "            left = token.scopes\n"
            "            self.allow(client.id, token.user, left)\n",
        ),
    ),
    mutant(
        "removal-is-not-kept",
        "A-UPD-2",
        "An update can only add.",
        Change(
            ALLOWS,
            "            had = self.server.allowed.get((self.client_here.id, link.user), scopes)\n"
            "            scopes = scopes | had\n" + ALLOWS,
        ),
    ),
    mutant(
        "older-update-wins",
        "A-UPD-3",
        "An update that is sent again counts again, whatever the user decided since.",
        Change(STILL, "if self.links.get(link.user) is not link:"),
        Change(
            "            return self.server.new_code(",
            f"{ALLOWS}            return self.server.new_code(",
        ),
    ),
    mutant(
        "each-code-sets-the-access",
        "A-UPD-3",
        "The codes of earlier updates live on, and each sets the access when it is redeemed.",
        Change(
            f"{KILLS_CODES}        if scopes:",
            "        if scopes:",
        ),
        Change(
            f"{KILLS_CODES}            return self.server",
            "            return self.server",
        ),
        Change(
            "            code.family = []\n",
            "            code.family = []\n"
            "            self.allow(client.id, code.user, code.scopes)\n",
        ),
    ),
)

ENDING = (
    mutant(
        "end-keeps-everything",
        "A-END-1",
        "The end of a link ends nothing of what party B holds.",
        Change(ENDS, ""),
    ),
    mutant(
        "end-keeps-access-tokens",
        "A-END-1",
        "The end of a link ends refresh tokens only.",
        Change(
            END_BODY,
            END_BODY.replace("            self.allowed.pop((client_id, user), None)\n", "").replace(
                "[each for each in tokens if (", "[each for each in tokens if each.is_refresh and ("
            ),
        ),
    ),
    mutant(
        "end-keeps-refresh-tokens",
        "A-END-1",
        "The end of a link ends access tokens only.",
        Change(
            END_BODY,
            END_BODY.replace("            self.allowed.pop((client_id, user), None)\n", "").replace(
                "[each for each in tokens if (",
                "[each for each in tokens if not each.is_refresh and (",
            ),
        ),
    ),
    mutant(
        "end-keeps-codes",
        "A-END-1",
        "A code that was handed over works after the end of the link.",
        Change(END_BODY, END_BODY.replace("            self.kill_codes(client_id, user)\n", "")),
    ),
    mutant(
        "end-does-not-revoke",
        "A-END-2",
        "It does not revoke its access token at party B.",
        Change(REVOKES, ""),
    ),
    mutant(
        "revocation-does-nothing",
        "A-END-3",
        "Its revocation endpoint ends nothing.",
        Change(KILLS, "            pass\n        return json_response({})"),
    ),
    mutant(
        "revocation-sends-new-code",
        "A-END-3",
        "When party B revokes its token it sends a new code.",
        Change(
            '            "/revoke": {"POST": server.revocation_endpoint},\n',
            '            "/revoke": {"POST": party.revoked},\n',
        ),
        Change(
            "    def metadata(self, request: Request)",
            "    def revoked(self, request: Request) -> Response:\n"
            "        response = self.server.revocation_endpoint(request)\n"
            "        for link in self.links.values():\n"
            "            self.decide(link, self.client_here.scopes)\n"
            "        return response\n\n"
            "    def metadata(self, request: Request)",
        ),
    ),
)

LINKS: tuple[Mutant, ...] = (*UPDATES, *ENDING)
