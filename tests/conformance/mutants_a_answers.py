"""Mistakes of a party A with the responses of party B, and with what follows the consent."""

from .mutation import Change, Mutant, mutant

STATE = "state, visit = secrets.token_urlsafe(32), Visit(secrets.token_urlsafe(48))"
ISS = 'if answer.get("iss") != self.peer.issuer:'
TO_CONSENT = 'return redirect("/consent")'
NEW_LINK = "self.links[session.user] = link"
USABLE = "if not isinstance(token, str) or not token or not is_bearer:"
TOKEN = """        token = members.get("access_token")
        is_bearer"""
TOKEN_AS_TEXT = TOKEN.replace('members.get("access_token")', 'str(members.get("access_token", ""))')
EXCHANGED = "        members = received.members() if received is not None and received.status"

RESPONSES = (
    mutant(
        "goes-on-without-a-token",
        "A-CB-8",
        "It does not look whether there is an access token.",
        Change(USABLE, "if False:"),
        Change(TOKEN, TOKEN_AS_TEXT),
    ),
    mutant(
        "error-500-without-a-token",
        "A-CB-8",
        "A token response without an access token is an error of the program.",
        Change(TOKEN, TOKEN.replace('members.get("access_token")', 'members["access_token"]')),
    ),
    mutant(
        "null-is-a-token",
        "A-CB-8",
        "It takes null for an access token.",
        Change(TOKEN, TOKEN_AS_TEXT),
    ),
    mutant(
        "any-token-type",
        "A-CB-10",
        "It does not look at the type of the token.",
        Change(USABLE, "if not isinstance(token, str) or not token:"),
    ),
    mutant(
        "missing-iss-is-right",
        "A-CB-9",
        "It compares iss only if there is one.",
        Change(ISS, 'if answer.get("iss", self.peer.issuer) != self.peer.issuer:'),
    ),
    mutant(
        "iss-with-a-slash",
        "A-CB-3",
        "It takes a slash at the end of iss away.",
        Change(ISS, 'if answer.get("iss", "").rstrip("/") != self.peer.issuer:'),
    ),
    mutant(
        "exchange-follows-redirects",
        "A-CB-11",
        "It follows a redirect of the token request.",
        Change(
            EXCHANGED,
            "        if received is not None and received.status == 307:\n"
            '            self.post(received.headers["Location"], {"code": answer["code"]})\n'
            + EXCHANGED,
        ),
    ),
    mutant(
        "one-verifier-for-all",
        "A-AUTHZ-2",
        "All visits have the same verifier.",
        Change(STATE, STATE.replace("secrets.token_urlsafe(48)", '"verifier-of-party-a-" * 3')),
    ),
)

CONSENT = (
    mutant(
        "asks-once",
        "A-CON-5",
        "A user who allowed something once is not asked again.",
        Change(
            '        link = Link(session.user, "", self.question(asked))\n',
            '        link = Link(session.user, "", self.question(asked))\n'
            "        known = self.links.get(session.user)\n",
        ),
        Change(
            f"{NEW_LINK}\n        {TO_CONSENT}",
            f"{NEW_LINK}\n"
            "        if known is not None and known.question is None:\n"
            "            allowed, link.question = link.question, None\n"
            "            self.decide(link, allowed)\n"
            f"        {TO_CONSENT}",
        ),
    ),
    mutant(
        "code-in-the-address",
        "A-CB-12",
        "The code stands in the address of the page after the consent.",
        Change(
            '            self.decide(link, allowed)\n        return redirect("/")',
            "            self.decide(link, allowed)\n"
            "            time.sleep(0.3)\n"
            "            codes = [each.value for each in self.server.codes.values()]\n"
            '            return redirect("/", code=codes[-1])\n'
            '        return redirect("/")',
        ),
    ),
)

ANSWERS: tuple[Mutant, ...] = (*RESPONSES, *CONSENT)
