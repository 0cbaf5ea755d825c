"""Mistakes of a party B with the redemption of a code."""

from .mutation import Change, Mutant, mutant

FORM = 'form = {"grant_type": "authorization_code", "code": handover.code}'
START = "threading.Thread(target=self.redeem, args=(handover,), daemon=True).start()"
SENDS = "received = self.post(self.peer.token_endpoint, form)\n            if received is not None"
KNOWN_AGAIN = """                raise Refused("invalid_grant")
            return None
"""
BASIC = "return self.http.post(url, form, Authorization=header)"
PERMANENT = "if received is not None and not received.is_temporary:"
MEMBERS = """        members = received.members()
        token = members.get("access_token")
"""
RESPONSE = """            response = connection.getresponse()
"""
JSON = "except (ValueError, RecursionError):"
OBJECT = "return members if isinstance(members, dict) else {}"
TIMES = "for delay in (0.0, *self.retry_delays):"
TAKEN = "        handover = self.accept(client.id, token.user, code)\n"


def _sends(name: str, caught_by: str, why: str, *parameters: str) -> Mutant:
    """A mutant that sends further parameters with the code."""
    more = "".join(f", {each}" for each in parameters)
    return mutant(name, caught_by, why, Change(FORM, FORM.replace("}", more + "}")))


def _parameter(name: str) -> Mutant:
    return mutant(
        f"redeems-at-{name.replace('_', '-')}",
        "B-TARGET-1",
        f"It redeems the code at the address that the parameter {name} names.",
        Change(
            TAKEN,
            f'        self.target = form.get("{name}", self.peer.token_endpoint)\n{TAKEN}',
        ),
        Change(
            "self.post(self.peer.token_endpoint, form)\n            if received is not None",
            "self.post(self.target, form)\n            if received is not None",
        ),
    )


ONCE = (
    mutant(
        "never-redeems",
        "B-OK-2",
        "It takes codes, and never redeems them.",
        Change(START, "pass"),
    ),
    mutant(
        "redeems-twice",
        "B-RED-4",
        "It redeems each code twice, as two workers take it.",
        Change(START, f"{START}\n            {START}"),
    ),
    mutant(
        "redeems-until-it-fails",
        "B-RED-4",
        "It goes on although it has tokens.",
        Change(
            "self.keep(handover.link, received, handover.number)\n                return",
            "if not self.keep(handover.link, received, handover.number):\n"
            "                    return",
        ),
    ),
    mutant(
        "known-code-is-refused",
        "B-REP-1",
        "The same request again is 400.",
        Change(KNOWN_AGAIN, KNOWN_AGAIN.replace("return None", 'raise Refused("invalid_grant")')),
    ),
    mutant(
        "known-code-is-409",
        "B-REP-1",
        "The same request again is 409.",
        Change(
            KNOWN_AGAIN, KNOWN_AGAIN.replace("return None", 'raise Refused("invalid_grant", 409)')
        ),
    ),
    mutant(
        "known-code-is-redeemed",
        "B-REP-2",
        "The same request again is redeemed again.",
        Change(KNOWN_AGAIN, KNOWN_AGAIN.replace("return None", "return known")),
    ),
    mutant(
        "code-of-other-user",
        "B-REP-3",
        "It takes a code that came for another user before.",
        Change(
            "if (known.link.client_id, known.link.user) != (client_id, user):",
            "if known.link.client_id != client_id:",
        ),
    ),
    mutant(
        "code-of-other-user-is-redeemed",
        "B-REP-3",
        "It keeps codes for each user apart, and redeems the same code for two.",
        Change("known = self.handovers.get(code)", "known = self.handovers.get((user, code))"),
        Change(
            "self.handovers[code] = HandOver(len(self.handovers) + 1, code, link)\n"
            "                return self.handovers[code]",
            "self.handovers[user, code] = HandOver(len(self.handovers) + 1, code, link)\n"
            "                return self.handovers[user, code]",
        ),
    ),
    mutant(
        "code-is-looked-up-before-the-lock",
        "B-REP-4",
        "Requests at once all find the code unknown.",
        Change(
            "        with self.lock:\n            known = self.handovers.get(code)\n",
            "        known = self.handovers.get(code)\n        time.sleep(0.1)\n"
            "        with self.lock:\n",
        ),
    ),
    mutant(
        "error-500-at-once",
        "B-REP-4",
        "Requests at once meet an error of the database.",
        Change(
            "        with self.lock:\n            known = self.handovers.get(code)\n",
            "        is_new = code not in self.handovers\n        time.sleep(0.1)\n"
            "        with self.lock:\n            known = self.handovers.get(code)\n"
            "            if is_new and known:\n"
            '                raise RuntimeError("UNIQUE constraint failed")\n',
        ),
    ),
)

SHAPE = (
    _sends(
        "redeems-with-redirect-uri",
        "B-RED-3",
        "It sends a redirect_uri.",
        '"redirect_uri": self.server.issuer + "/callback"',
    ),
    _sends(
        "redeems-with-blank-redirect-uri",
        "B-RED-3",
        "It sends an empty redirect_uri.",
        '"redirect_uri": ""',
    ),
    _sends(
        "redeems-with-verifier",
        "B-RED-3",
        "It sends a verifier, as for its other codes.",
        '"code_verifier": "v" * 43',
    ),
    _sends(
        "redeems-with-secret-twice",
        "B-RED-2",
        "It authenticates in the body, too.",
        '"client_id": self.peer.client_id',
        '"client_secret": self.peer.client_secret',
    ),
    mutant(
        "redeems-without-secret",
        "B-RED-2",
        "It does not authenticate.",
        Change(BASIC, "return self.http.post(url, form)"),
        Change(FORM, FORM.replace("}", ', "client_id": self.peer.client_id}')),
    ),
    mutant(
        "redeems-with-other-secret",
        "B-RED-2",
        "It authenticates with the credentials of the other party.",
        Change(
            "header = basic_header(self.peer.client_id, self.peer.client_secret)",
            "other = next(iter(self.server.clients.values()))\n"
            "        header = basic_header(other.id, other.secret)",
        ),
    ),
    mutant(
        "redeems-with-raw-basic",
        "B-RED-2",
        "It does not encode its credentials for the header Basic.",
        Change(
            'pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"',
            'pair = f"{client_id}:{secret}"',
        ),
    ),
    mutant(
        "redeems-with-other-grant-type",
        "B-RED-1",
        "It sends the grant type of the hand-over.",
        Change(FORM, FORM.replace('"authorization_code"', "RECIPROCAL")),
    ),
    mutant(
        "redeems-with-code-in-url",
        "B-RED-1",
        "It sends the parameters in the URL, too.",
        Change(
            "self.post(self.peer.token_endpoint, form)\n            if received is not None",
            'self.post(f"{self.peer.token_endpoint}?code={handover.code}", form)\n'
            "            if received is not None",
        ),
    ),
    mutant(
        "redeems-with-json",
        "B-RED-1",
        "It names another type than the body has.",
        Change('{"Content-Type": FORM, **headers}', '{"Content-Type": "text/plain", **headers}'),
    ),
    mutant(
        "certificate-is-not-verified",
        "B-RED-5",
        "It does not verify the certificate of the other party.",
        Change(
            "self._context = ssl.create_default_context(cafile=ca or None)",
            "self._context = ssl._create_unverified_context()",
        ),
        has_tls=True,
    ),
    _parameter("token_endpoint"),
    _parameter("redirect_uri"),
    mutant(
        "redeems-at-iss",
        "B-TARGET-1",
        "It redeems the code at the token endpoint of the issuer that the request names.",
        Change(
            TAKEN,
            '        issuer = form.get("iss", self.peer.token_endpoint.removesuffix("/token"))\n'
            f'        self.target = issuer + "/token"\n{TAKEN}',
        ),
        Change(
            "self.post(self.peer.token_endpoint, form)\n            if received is not None",
            "self.post(self.target, form)\n            if received is not None",
        ),
    ),
)

TIME = (
    mutant(
        "redeems-in-the-request",
        "B-TIME-1 B-TIME-3",
        "It redeems the code before it answers.",
        Change(START, "self.redeem(handover)"),
        settings={"timeout": 20},
    ),
    mutant(
        "failure-is-the-answer",
        "B-TIME-2",
        "It redeems before it answers, and answers 400 when that fails.",
        Change(
            START,
            "self.redeem(handover)\n"
            "            if not handover.link.access_token:\n"
            '                raise Refused("invalid_grant")',
        ),
        settings={"retry_delays": []},
    ),
    mutant(
        "one-redemption-at-a-time",
        "B-TIME-3",
        "A redemption that hangs holds up those of others.",
        Change(
            SENDS,
            SENDS.replace(
                "received = self.post(self.peer.token_endpoint, form)",
                "with self.one_at_a_time:\n"
                "                received = self.post(self.peer.token_endpoint, form)",
            ),
        ),
        Change(
            "        self.lock = threading.Lock()\n",
            "        self.lock = threading.Lock()\n        self.one_at_a_time = threading.Lock()\n",
        ),
        settings={"timeout": 60},
    ),
    mutant(
        "never-tries-again",
        "B-RETRY-1",
        "A redemption that fails for a while is not tried again.",
        Change(PERMANENT, "if received is not None:"),
    ),
    mutant(
        "tries-for-ever",
        "B-RETRY-2",
        "It tries again whatever the other party answers.",
        Change(PERMANENT, "if received is not None and received.status == 200:"),
        Change(TIMES, "for delay in (0.0, *([0.2] * 1000)):"),
    ),
    mutant(
        "tries-invalid-grant-five-times",
        "B-RETRY-2",
        "It takes every error for one that passes.",
        Change("return self.status == 429 or self.status >= 500", "return self.status >= 400"),
        settings={"retry_delays": [0.2] * 4},
    ),
    mutant(
        "follows-redirects",
        "B-RETRY-3",
        "It follows redirects, and sends code and secret to another address.",
        Change(
            RESPONSE,
            f"{RESPONSE}"
            '            target = response.headers.get("Location")\n'
            "            if 300 <= response.status < 400 and target:\n"
            "                return self._send(method, target, body, headers)\n",
        ),
    ),
    mutant(
        "retry-after-is-ignored",
        "B-RETRY-4",
        "It does not wait as long as the other party asks.",
        Change(
            "wait = received.retry_after if received is not None else 0.0\n\n    def keep",
            "wait = 0.0\n\n    def keep",
        ),
    ),
    mutant(
        "bad-answer-ends-the-process",
        "B-RETRY-5",
        "An error in a thread ends the process, as some runtimes do.",
        Change(JSON, "except RecursionError:"),
        Change(
            "config = config_of_command_line()\n    party = PartyB(config)",
            "import os\n\n    threading.excepthook = lambda error: os._exit(1)\n"
            "    config = config_of_command_line()\n    party = PartyB(config)",
        ),
    ),
    mutant(
        "list-ends-the-process",
        "B-RETRY-5",
        "A list in place of an object ends the process.",
        Change(OBJECT, "return members"),
        Change(
            "config = config_of_command_line()\n    party = PartyB(config)",
            "import os\n\n    threading.excepthook = lambda error: os._exit(1)\n"
            "    config = config_of_command_line()\n    party = PartyB(config)",
        ),
    ),
    mutant(
        "nesting-ends-the-worker",
        "B-RETRY-5",
        "Deep nesting ends the only worker, as its loop catches ValueError only.",
        Change(JSON, "except ValueError:"),
        Change(
            START,
            "self.queue.put(handover)",
        ),
        Change(
            "        self.lock = threading.Lock()\n",
            "        self.lock = threading.Lock()\n"
            "        self.queue = queue.Queue()\n"
            "        threading.Thread(target=self.work, daemon=True).start()\n",
        ),
        Change(
            "    # --- The redemption (RFC",
            "    def work(self):\n"
            "        while True:\n"
            "            self.redeem(self.queue.get())\n\n"
            "    # --- The redemption (RFC",
        ),
        Change("#: The longest code that is accepted", "import queue\n\n\n#: The longest code"),
    ),
)

REDEMPTION: tuple[Mutant, ...] = (*ONCE, *SHAPE, *TIME)
