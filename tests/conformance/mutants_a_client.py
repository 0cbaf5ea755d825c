"""Mistakes of a party A with its own tokens at party B, and with links that change meanwhile."""

from .mutation import Change, Mutant, mutant

REFRESHES = "            self.refresh(link)\n            code = self.new_code"
KEPT = 'self.refresh_token = str(members.get("refresh_token") or self.refresh_token)'
FIRST = 'self.refresh_token = str(self.refresh_token or members.get("refresh_token") or "")'
NEWEST = "if self.links.get(link.user) is not link or link.number != number:"
SENT = '"access_token": link.token,'

TOKENS = (
    mutant(
        "sends-expired-tokens",
        "A-TOK-1",
        "It does not refresh.",
        Change(REFRESHES, "            code = self.new_code"),
    ),
    mutant(
        "keeps-the-first-refresh-token",
        "A-TOK-2",
        "It keeps the refresh token that it got first.",
        Change(KEPT, FIRST),
    ),
    mutant(
        "refresh-token-is-lost",
        "A-TOK-3",
        "A response without a refresh token ends the one that it has.",
        Change(KEPT, 'self.refresh_token = str(members.get("refresh_token") or "")'),
    ),
    mutant(
        "newest-token-of-anybody",
        "A-E-10",
        "A hand-over has the access token that came last, whoever linked.",
        Change(SENT, '"access_token": list(self.links.values())[-1].token,'),
    ),
    mutant(
        "one-link-for-all",
        "A-E-10",
        "A new link takes the place of those of others.",
        Change(
            "self.links[session.user] = link\n",
            "for user in [each for each in self.links if each != session.user]:\n"
            "            self.server.end(self.client_here.id, user)\n"
            "            del self.links[user]\n"
            "        self.links[session.user] = link\n",
        ),
    ),
)

MEANWHILE = (
    mutant(
        "retries-in-the-wrong-order",
        "A-UPD-4",
        "A hand-over that is sent again does not look whether the user has decided otherwise.",
        Change(NEWEST, "if self.links.get(link.user) is not link:"),
    ),
    mutant(
        "retries-after-the-end",
        "A-END-4",
        "A hand-over that is sent again does not look whether the link has ended.",
        Change(
            f"            {NEWEST}",
            "            self.server.allow(self.client_here.id, link.user, scopes)\n"
            "            if link.number != number:",
        ),
    ),
)

CLIENT: tuple[Mutant, ...] = (*TOKENS, *MEANWHILE)
