"""Mistakes of a party B with the tokens that it holds, with updates, and with the end of a link."""

from .mutation import Change, Mutant, mutant

NEWEST = "is_newest = number >= link.number"
NEW_LINK = "link = self.links.setdefault((client_id, user), Link(client_id, user))"
REFRESH_TOKEN = 'str(members.get("refresh_token") or link.refresh_token)'
ASKS = 'reciprocal = self.peer.scope if client.is_peer else ""'
REVOKES = """        for link in ended:
            for token in filter(None, (link.access_token, link.refresh_token)):
                self.revoke(token)
"""
AGAIN = "if status == 401 and not is_refreshed and self.refresh(link, link.access_token):"

UPDATES = (
    mutant(
        "second-code-is-not-redeemed",
        "B-UPD-1",
        "A user who is linked already needs no second code, it thinks.",
        Change(
            NEW_LINK,
            f"{NEW_LINK}\n                if link.access_token:\n                    return None",
        ),
    ),
    mutant(
        "last-answer-wins",
        "B-UPD-2",
        "The answer that comes last wins, not the code that came last.",
        Change(NEWEST, "is_newest = True"),
        settings={"timeout": 10},
    ),
    mutant(
        "first-code-wins",
        "B-UPD-2",
        "The tokens of the first code stay in use.",
        Change(NEWEST, "is_newest = not link.access_token or number <= link.number"),
    ),
)

USES = (
    mutant(
        "user-of-the-response",
        "B-USE-1",
        "It believes the user whom the token response names.",
        Change(
            "        with self.lock:\n            is_known = self.is_known(link)\n",
            '        for name in ("user", "sub", "username", "user_id", "login"):\n'
            "            if name in members:\n"
            "                other = (link.client_id, str(members[name]))\n"
            "                link = self.links.setdefault(other, Link(*other))\n"
            "        with self.lock:\n            is_known = self.is_known(link)\n",
        ),
        Change(NEWEST, "is_newest = True"),
    ),
    mutant(
        "refresh-token-is-lost",
        "B-USE-2",
        "A refresh response without a refresh token ends the one that it has.",
        Change(REFRESH_TOKEN, 'str(members.get("refresh_token") or "")'),
    ),
    mutant(
        "never-refreshes",
        "B-USE-2",
        "It does not refresh.",
        Change("            if not link.refresh_token:\n", "            if True:\n"),
    ),
    mutant(
        "one-token-for-all",
        "B-USE-3",
        "It keeps one token for all users.",
        Change(
            "link = max(links, key=lambda each: each.number)",
            "link = max(self.links.values(), key=lambda each: each.number)",
        ),
    ),
    mutant(
        "refreshes-in-a-loop",
        "B-USE-4",
        "It tries again as long as the API answers 401.",
        Change(
            f"        {AGAIN}\n            status = self.call_api(link)\n",
            "        for _ in range(5):\n"
            "            if status == 401:\n"
            "                self.refresh(link, link.access_token)\n"
            "                status = self.call_api(link)\n",
        ),
        Change('                link.access_token = link.refresh_token = ""\n', ""),
    ),
)

USES_LATER = (
    mutant(
        "gives-up-at-a-failure",
        "B-USE-5",
        "A refresh that fails for a while ends what it has.",
        Change(
            "if received is None or received.is_temporary:\n                return False",
            "if received is None:\n                return False",
        ),
    ),
    mutant(
        "forgets-after-a-failure",
        "B-USE-5",
        "It takes the refresh token out before it has another one.",
        Change(
            "            received = self.post(self.peer.token_endpoint, form)\n"
            "            if received is None or received.is_temporary:",
            '            link.refresh_token = ""\n'
            "            received = self.post(self.peer.token_endpoint, form)\n"
            "            if received is None or received.is_temporary:",
        ),
    ),
)

ASKING = (
    mutant(
        "reciprocal-is-a-list",
        "B-ASK-1",
        "reciprocal is a list in the token response.",
        Change('members["reciprocal"] = reciprocal', 'members["reciprocal"] = reciprocal.split()'),
    ),
    mutant(
        "reciprocal-is-quoted",
        "B-ASK-1",
        "reciprocal is in quotes.",
        Change(ASKS, """reciprocal = f'"{self.peer.scope}"' if client.is_peer else \"\""""),
    ),
    mutant(
        "reciprocal-is-json",
        "B-ASK-1",
        "reciprocal is a list of scopes in JSON, as a text.",
        Change(ASKS, """reciprocal = '["' + self.peer.scope.replace(" ", '", "') + '"]'"""),
    ),
    mutant(
        "reciprocal-is-true",
        "B-ASK-1",
        "reciprocal is a flag.",
        Change('members["reciprocal"] = reciprocal', 'members["reciprocal"] = True'),
    ),
    mutant(
        "state-is-lost",
        "B-ASK-2",
        "The state does not come back.",
        Change('state = asked.get("state", "")', 'state = ""'),
    ),
    mutant(
        "state-is-cut",
        "B-ASK-2",
        "The state comes back shortened.",
        Change('state = asked.get("state", "")', 'state = asked.get("state", "")[:16]'),
    ),
    mutant(
        "state-in-lower-case",
        "B-ASK-2",
        "The state comes back in lower case.",
        Change('state = asked.get("state", "")', 'state = asked.get("state", "").lower()'),
    ),
)

ENDED = """        self.links: dict[tuple[str, str], Link] = {}
        self.ended: set[str] = set()
"""

ENDING = (
    mutant(
        "end-keeps-tokens",
        "B-END-1",
        "It does not revoke the tokens of a user who ends the link.",
        Change(REVOKES, ""),
    ),
    mutant(
        "end-does-not-see-what-comes-later",
        "B-END-3",
        "Tokens that come after the end of the link live on.",
        Change("        if not is_known:\n            self.revoke(token)\n", ""),
    ),
    mutant(
        "end-keeps-tokens-of-both",
        "B-END-4",
        "It ends its own tokens, and those of the client live on.",
        Change(
            "        for client in self.server.clients.values():\n"
            "            self.server.end(client.id, user)\n",
            "",
        ),
    ),
    mutant(
        "end-is-a-word",
        "B-END-4",
        "The page says that the link has ended, and nothing has.",
        Change(
            "            for link in ended:\n"
            "                del self.links[link.client_id, user]\n",
            "",
        ),
        Change(REVOKES, ""),
        Change(
            "        for client in self.server.clients.values():\n"
            "            self.server.end(client.id, user)\n",
            "",
        ),
    ),
    mutant(
        "end-of-all",
        "B-END-5",
        "The end of one user's link ends all.",
        Change(
            "ended = [each for each in self.links.values() if each.user == user]",
            "ended = list(self.links.values())",
        ),
        Change(
            "                del self.links[link.client_id, user]\n",
            "                del self.links[link.client_id, link.user]\n",
        ),
    ),
    mutant(
        "ended-for-ever",
        "B-END-6",
        "Who ended the link cannot link again.",
        Change(
            "    def is_known(self, link: Link) -> bool:\n",
            "    def is_known(self, link: Link) -> bool:\n"
            "        if link.user in self.ended:\n"
            "            return False\n",
        ),
        Change(
            "        self.links: dict[tuple[str, str], Link] = {}\n",
            "        self.links: dict[tuple[str, str], Link] = {}\n"
            "        self.ended: set[str] = set()\n",
        ),
        Change(
            "        with self.lock:\n            ended =",
            "        self.ended.add(user)\n        with self.lock:\n            ended =",
        ),
    ),
    mutant(
        "ended-is-refused",
        "B-END-6",
        "A hand-over for a link that has ended is refused, whatever the user allowed since.",
        Change("        self.links: dict[tuple[str, str], Link] = {}\n", ENDED),
        Change(
            "        with self.lock:\n            ended =",
            "        self.ended.add(user)\n        with self.lock:\n            ended =",
        ),
        Change(
            '        code = form["code"]\n',
            "        if token.user in self.ended:\n"
            '            raise Refused("invalid_grant")\n'
            '        code = form["code"]\n',
        ),
    ),
    mutant(
        "link-comes-back",
        "B-END-3",
        "An answer that comes after the end of the link makes it again.",
        Change(
            "            is_known = self.is_known(link)\n",
            "            link = self.links.setdefault((link.client_id, link.user), link)\n"
            "            is_known = True\n",
        ),
    ),
    mutant(
        "end-forgets-codes",
        "B-END-2",
        "It forgets the codes with the link, and redeems the old one again: its tokens live on.",
        Change(
            "        for client in self.server.clients.values():\n"
            "            self.server.end(client.id, user)\n",
            "",
        ),
        Change(
            "                del self.links[link.client_id, user]\n",
            "                del self.links[link.client_id, user]\n"
            "            for code, known in list(self.handovers.items()):\n"
            "                if known.link.user == user:\n"
            "                    del self.handovers[code]\n",
        ),
    ),
)

USE: tuple[Mutant, ...] = (
    *UPDATES,
    *USES,
    *USES_LATER,
    *ASKING,
    *ENDING,
)
