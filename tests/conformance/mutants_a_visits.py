"""Mistakes of a party A with the visit to party B, with consent, and with scopes."""

from .mutation import Change, Mutant, mutant

STATE = "state, visit = secrets.token_urlsafe(32), Visit(secrets.token_urlsafe(48))"
VISIT = 'visit = session.visits.pop(answer.get("state", ""), None) if session else None'
ISS = 'if answer.get("iss") != self.peer.issuer:'
REFUSED = """        if "error" in answer or "code" not in answer:
            return message("The other site did not let you in.")
"""
METHOD = """            code_challenge=challenge_of(visit.verifier),
            code_challenge_method="S256",
"""
EXCHANGE_URI = '''                "redirect_uri": self.redirect_uri,
                "code_verifier"'''
TO_CONSENT = 'return redirect("/consent")'
ASKED = 'asked = members.get("reciprocal", answer.get("reciprocal", ""))'
MAY_HAVE = "return wanted & self.client_here.scopes or agreed"
WANTED = "wanted = scopes_of(asked) if isinstance(asked, str) else frozenset()"
CHOSEN = 'allowed = scopes_of(form.get("scope", "")) & link.question'
DECIDES = 'if form.get("decision") == "allow" and allowed:'
CSRF = 'if session is None or not hmac.compare_digest(form.get("csrf", ""), session.csrf):'
NEW_LINK = "self.links[session.user] = link"
TOKEN_SCOPE = '"scope": text_of(self.scopes_now(token)),\n        }'
CONSENT_ROUTE = '"/consent": {"GET": party.show_consent, "POST": party.answer_consent},'

AUTHORIZATION = (
    mutant(
        "state-is-fixed",
        "A-AUTHZ-1",
        "All states are the same.",
        Change(STATE, STATE.replace("secrets.token_urlsafe(32)", '"state-of-party-a-0001"')),
    ),
    mutant(
        "state-of-session",
        "A-AUTHZ-1",
        "The state is the same in each visit of a session.",
        Change(STATE, STATE.replace("secrets.token_urlsafe(32)", "session.csrf")),
    ),
    mutant(
        "state-is-short",
        "A-AUTHZ-1",
        "The state is a short number.",
        Change(STATE, STATE.replace("secrets.token_urlsafe(32)", "str(secrets.randbelow(10**8))")),
    ),
    mutant(
        "no-pkce",
        "A-AUTHZ-2",
        "It does not use PKCE.",
        Change(METHOD, ""),
        Change('                "code_verifier": visit.verifier,\n', ""),
    ),
    mutant(
        "pkce-is-plain",
        "A-AUTHZ-2",
        "It sends the verifier itself as the challenge.",
        Change(
            METHOD,
            METHOD.replace("challenge_of(visit.verifier)", "visit.verifier").replace(
                "S256", "plain"
            ),
        ),
    ),
    mutant(
        "verifier-is-wrong",
        "A-AUTHZ-2",
        "It makes up another verifier for the token request.",
        Change('"code_verifier": visit.verifier', '"code_verifier": secrets.token_urlsafe(48)'),
    ),
    mutant(
        "verifier-is-not-sent",
        "A-AUTHZ-2",
        "It sends a challenge, and no verifier.",
        Change('                "code_verifier": visit.verifier,\n', ""),
    ),
    mutant(
        "redirect-uri-is-not-sent",
        "A-AUTHZ-3",
        "The token request has no redirect_uri.",
        Change(EXCHANGE_URI, '                "code_verifier"'),
    ),
    mutant(
        "redirect-uri-differs",
        "A-AUTHZ-3",
        "The token request has another redirect_uri, with a slash at its end.",
        Change(EXCHANGE_URI, EXCHANGE_URI.replace("self.redirect_uri", 'self.redirect_uri + "/"')),
    ),
)

CALLBACK = (
    mutant(
        "other-state",
        "A-CB-1",
        "It takes any state while a visit is open.",
        Change(
            VISIT,
            "visit = (\n"
            '            session.visits.popitem()[1] if session and answer.get("state")'
            " and session.visits else None\n"
            "        )",
        ),
    ),
    mutant(
        "no-state",
        "A-CB-2",
        "It compares the state only if there is one.",
        Change(
            VISIT,
            'state = answer.get("state") or (list(session.visits) if session else [""])[-1]\n'
            "        visit = session.visits.pop(state, None) if session else None",
        ),
    ),
    mutant(
        "iss-is-not-compared",
        "A-CB-3",
        "It does not compare iss.",
        Change(ISS, "if False:"),
    ),
    mutant(
        "iss-is-compared-by-its-beginning",
        "A-CB-3",
        "It compares how iss begins.",
        Change(ISS, 'if not answer.get("iss", "").startswith(self.peer.issuer):'),
    ),
    mutant(
        "any-browser",
        "A-CB-4",
        "Any browser can bring the answer: states are not bound to sessions.",
        Change(
            VISIT,
            'state = answer.get("state", "")\n'
            "        owners = [each for each in self.sessions.values() if state in each.visits]\n"
            "        session = owners[0] if owners else session\n"
            "        visit = session.visits.pop(state, None) if session else None",
        ),
    ),
    mutant(
        "callback-twice",
        "A-CB-5",
        "It exchanges the code again when the page is loaded again.",
        Change(VISIT, VISIT.replace(".pop(", ".get(")),
    ),
    mutant(
        "consent-at-callback",
        "A-CB-6",
        "It shows the question at the address of the callback.",
        Change(TO_CONSENT, "return self.show_consent(request)"),
    ),
    mutant(
        "code-goes-on",
        "A-CB-6",
        "It carries the parameters of the callback on to the next page.",
        Change(TO_CONSENT, 'return redirect("/consent?" + request.query)'),
    ),
    mutant(
        "state-goes-on",
        "A-CB-6",
        "It carries the state on to the next page.",
        Change(TO_CONSENT, 'return redirect("/consent", state=answer["state"])'),
    ),
    mutant(
        "error-500-at-denial",
        "A-CB-7",
        "An answer without a code is an error of the program.",
        Change(REFUSED, ""),
    ),
    mutant(
        "error-is-overlooked",
        "A-CB-7",
        "It exchanges an empty code when party B answers with an error.",
        Change(REFUSED, '        answer.setdefault("code", "")\n'),
    ),
)

CONSENT = (
    mutant(
        "does-not-ask",
        "A-CON-1 A-CON-2",
        "It does not ask, and hands a code over at once.",
        Change(
            f"{NEW_LINK}\n        {TO_CONSENT}",
            f"{NEW_LINK}\n"
            "        allowed, link.question = link.question, None\n"
            "        self.decide(link, allowed)\n"
            '        return redirect("/")',
        ),
    ),
    mutant(
        "asks-afterwards",
        "A-CON-1 A-CON-2",
        "It hands a code over, and takes it back if the user says no.",
        Change(
            NEW_LINK,
            f"{NEW_LINK}\n        self.decide(self.links[session.user], self.question(asked))",
        ),
        Change(
            f"{DECIDES}\n            self.decide(link, allowed)",
            'if form.get("decision") != "allow":\n            self.decide(link, frozenset())',
        ),
    ),
    mutant(
        "no-is-yes",
        "A-CON-2",
        "It does not look at which button was pressed.",
        Change(DECIDES, "if allowed:"),
    ),
    mutant(
        "deny-sends-empty-consent",
        "A-CON-2",
        "When the user says no it hands over a code without any scope.",
        Change(
            f"{DECIDES}\n            self.decide(link, allowed)",
            'allows = form.get("decision") == "allow"\n'
            "        allowed = allowed if allows else frozenset()\n"
            "        self.decide(link, allowed)",
        ),
        Change(
            "        if scopes:\n            arguments", "        if True:\n            arguments"
        ),
    ),
    mutant(
        "no-csrf-protection",
        "A-CON-3",
        "It does not compare what the form holds against forgery.",
        Change(CSRF, "if session is None:"),
    ),
    mutant(
        "csrf-if-given",
        "A-CON-3",
        "It compares what the form holds against forgery only if it is there.",
        Change(CSRF, 'if session is None or form.get("csrf", session.csrf) != session.csrf:'),
    ),
    mutant(
        "consent-by-get",
        "A-CON-3",
        "A GET can answer the question.",
        Change(
            CONSENT_ROUTE,
            '"/consent": {"GET": party.consent_by_get, "POST": party.answer_consent},',
        ),
        Change(
            "    def show_access(",
            "    def consent_by_get(self, request: Request) -> Response:\n"
            '        if "decision" not in request.arguments():\n'
            "            return self.show_consent(request)\n"
            "        request.body = request.query.encode()\n"
            "        del request.headers['Content-Type']\n"
            "        request.headers['Content-Type'] = 'application/x-www-form-urlencoded'\n"
            "        return self.answer_consent(request)\n\n"
            "    def show_access(",
        ),
        Change(CSRF, 'if session is None or (request.method == "POST" and False):'),
    ),
    mutant(
        "form-names-the-user",
        "A-CON-4",
        "The form says whose question it answers, and nobody compares who sends it.",
        Change(
            CSRF,
            'owners = [each for each in self.sessions.values() if each.csrf == form.get("csrf")]\n'
            "        session = owners[0] if owners else None\n"
            "        if session is None:",
        ),
    ),
)

SCOPES = (
    mutant(
        "part-is-all",
        "A-SCOPE-1",
        "It grants all that was asked, whatever the user ticks.",
        Change(CHOSEN, "allowed = link.question"),
    ),
    mutant(
        "scope-is-not-said",
        "A-SCOPE-1",
        "The token response does not say that the scope differs.",
        Change(f"            {TOKEN_SCOPE}", "        }"),
    ),
    mutant(
        "says-what-was-asked",
        "A-SCOPE-1",
        "The token response says more scope than the token has.",
        Change(
            TOKEN_SCOPE,
            '"scope": text_of(self.clients[token.client_id].scopes),\n        }',
        ),
    ),
    mutant(
        "unknown-scope",
        "A-SCOPE-2",
        "It grants scopes that it does not know.",
        Change(MAY_HAVE, "return wanted or agreed"),
    ),
    mutant(
        "reciprocal-is-not-read",
        "A-SCOPE-3",
        "It does not read reciprocal, and grants what was agreed.",
        Change(ASKED, 'asked = ""'),
    ),
    mutant(
        "only-agreed-scopes",
        "A-SCOPE-3",
        "It grants no more than what was agreed.",
        Change(MAY_HAVE, "return wanted & agreed or agreed"),
    ),
    mutant(
        "nothing-asked-is-nothing",
        "A-SCOPE-4",
        "It grants nothing if nothing is asked.",
        Change(MAY_HAVE, "return wanted & self.client_here.scopes"),
    ),
    mutant(
        "nothing-asked-is-all",
        "A-SCOPE-4",
        "It grants all that the client may have if nothing is asked.",
        Change(MAY_HAVE, "return wanted & self.client_here.scopes or self.client_here.scopes"),
    ),
    mutant(
        "nothing-asked-sends-no-code",
        "A-SCOPE-4",
        "It does not go on without reciprocal.",
        Change(ASKED, 'asked = members["reciprocal"]'),
    ),
    mutant(
        "error-500-at-list",
        "A-SCOPE-5",
        "A list in reciprocal is an error of the program.",
        Change(WANTED, "wanted = scopes_of(asked)"),
    ),
    mutant(
        "odd-reciprocal-is-all",
        "A-SCOPE-5",
        "It offers all scopes if it does not understand reciprocal.",
        Change(WANTED, WANTED.replace("frozenset()", "self.client_here.scopes")),
    ),
    mutant(
        "unreadable-reciprocal-is-all",
        "A-SCOPE-5",
        "It offers all scopes if none of those that are asked is known.",
        Change(
            MAY_HAVE,
            "known = wanted & self.client_here.scopes\n"
            "        return known or (self.client_here.scopes if asked else agreed)",
        ),
    ),
)

VISITS: tuple[Mutant, ...] = (
    *AUTHORIZATION,
    *CALLBACK,
    *CONSENT,
    *SCOPES,
)
