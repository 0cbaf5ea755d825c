"""The hand-over that party A sends (section 2.2.2)."""

from typing import Final
from urllib.parse import unquote_plus

from ...core.protocol import GRANT_TYPE, PARAMETERS
from ..party_a import PartyA
from ..party_a.serving import Flow, HandOver, Plan
from ..registry import check
from ..subject_credentials import must_be_basic
from ..verdicts import Broken, NotGiven, Severity, Unclear
from ..wire.client import FORM

#: 22 characters of base64 are 128 bits (RFC 6749, section 10.10).
SHORTEST_CODE: Final = 22


def _values(handover: HandOver, name: str) -> list[str]:
    return [value for key, value in handover.parameters if key == name]


@check(
    "A-E-1",
    Severity.MUST,
    draft="2/3 2.2.2/2 2.2.2/3 2.2.2/4 2.2.2/5 2.2.2/6 4/5",
)
def four_parameters(a: PartyA) -> None:
    """The hand-over has the four parameters.

    Does: reads the hand-over.

    Expects: grant_type, code, client_id and access_token once each; grant_type is the URN of the
    draft, client_id the ID that the tester issued.
    """
    _, handover = a.sample()
    for name in PARAMETERS:
        values = _values(handover, name)
        if len(values) != 1 or not values[0]:
            raise Broken(f"One {name}.", f"There are {len([v for v in values if v])}.")
    expected = {"grant_type": GRANT_TYPE, "client_id": a.config.subject.at_tester.client_id}
    for name, value in expected.items():
        if _values(handover, name) != [value]:
            raise Broken(f"{name}={value}.", f"It is {_values(handover, name)[0]}.")


@check("A-E-2", Severity.MUST, draft="2.2.2/2", rfc="6749 B")
def form_in_utf8(a: PartyA) -> None:
    """The hand-over is a POST with a form.

    Does: reads the hand-over.

    Expects: POST to the token endpoint, application/x-www-form-urlencoded in UTF-8, and no
    parameters in the URL.
    """
    received = a.sample()[1].received
    if received.method != "POST":
        raise Broken("POST.", f"The method is {received.method}.")
    kind, _, attributes = received.header("Content-Type").partition(";")
    if kind.strip().lower() != FORM:
        raise Broken(f"Content-Type: {FORM}.", f"Content-Type is {kind or 'missing'}.")
    charset = attributes.lower().replace('"', "").partition("charset=")[2].strip()
    if charset not in ("", "utf-8", "utf8"):
        raise Broken("UTF-8.", f"The charset is {charset}.")
    if received.query:
        raise Broken("Nothing in the URL.", f"{', '.join(name for name, _ in received.query)}.")


@check("A-E-3", Severity.MUST, draft="2.2.2/2", rfc="6749 2.3.1", threats="B3")
def own_credentials(a: PartyA) -> None:
    """The hand-over is authenticated with party A's credentials.

    Does: reads the hand-over.

    Expects: client ID and secret that the tester issued to party A, in Basic (form-encoded) or in
    the body, not in both.
    """
    received = a.sample()[1].received
    own = a.config.subject.at_tester
    header, in_body = received.header("Authorization"), received.all("client_secret")
    if header and in_body:
        raise Broken(
            "One way to authenticate.", "There is a header, and client_secret in the body."
        )
    if in_body:
        if in_body != [own.client_secret]:
            raise Broken("The secret of party A.", "It is another one, or sent twice.")
        return
    if not header:
        raise Broken("Basic, or client_secret.", "Neither is there.")
    must_be_basic(header, own)


@check("A-E-4", Severity.MUST, draft="2.2.2/6 2.2.2/7", threats="H12")
def token_of_this_visit(a: PartyA) -> None:
    """The access token is that of this visit.

    Does: lets the user link again, without an end before if party A offers it, and reads the
    hand-over.

    Expects: the access token that the tester issued in the same visit.
    """
    a.handed_over()
    before = _handovers(a)
    try:
        flow = a.link(keeps=True, may_fail=True)
    except NotGiven:
        a.note("Party A offers no second link while there is one.")
        before = _handovers(a)
        flow = a.link()
    # A hand-over with the token of an older visit counts as one of that visit.
    if not a.wait_for(lambda: _handovers(a) > before, a.waits.send):
        a.note("The second link without an end led to no hand-over.")
        before = _handovers(a)
        flow = a.link()
        a.wait_for(lambda: _handovers(a) > before, a.waits.send)
    if _handovers(a) - len(flow.handovers) > before:
        raise Broken("The access token of this visit.", "That of a visit before.")
    _must_have_own_token(flow, a.first_handover(flow))


def _handovers(a: PartyA) -> int:
    return sum(len(flow.handovers) for flow in a.flows)


def _must_have_own_token(flow: Flow, handover: HandOver) -> None:
    if handover.access_token != flow.tokens[-1]:
        known = handover.access_token in flow.tokens
        raise Broken(
            "The access token of this visit.", "An older one." if known else "Another one."
        )


@check(
    "A-E-10",
    Severity.SECURITY,
    draft="2.2.2/6 2.2.2/7",
    threats="H12",
    needs="2u update scopes",
    negative=True,
)
def token_of_this_user(a: PartyA) -> None:
    """The links of two users are kept apart.

    Does: lets the first user link, then the second one, and then lets the first one allow more.

    Expects: the new hand-over has the first user's access token. At the API, if there is one, the
    tokens of the first user still work.
    """
    scopes = a.scopes()
    flow, tokens = a.linked(scopes=scopes[:1])
    # The journey works while there is one link.
    a.update(scopes[:1])
    if not a.stays_quiet(lambda: len(flow.handovers) > 1):
        tokens = a.redeemed(flow.handovers[-1])
    other, _ = a.handed_over(user=a.other_user())
    sent, before = len(flow.handovers), len(other.handovers)
    if a.config.subject.api:
        a.must_work(tokens)
    try:
        a.update(scopes)
    except Unclear as error:
        raise Broken("The first user can still change what is allowed.", str(error)) from None
    a.wait_for(lambda: len(flow.handovers) > sent or len(other.handovers) > before, a.waits.send)
    if len(other.handovers) > before:
        raise Broken("The first user's access token.", "That of the second user.")
    if len(flow.handovers) == sent:
        raise NotGiven("a subject that sends a code when the user allows more (A-UPD-1)")


@check("A-E-5", Severity.SECURITY, draft="2.2.2/1", rfc="6749 10.10", threats="C17")
def codes(a: PartyA) -> None:
    """Nobody can guess the codes.

    Does: lets the user link twice, and compares the codes.

    Expects: two different codes of 22 characters or more.
    """
    first = a.sample()[1].code
    second = a.handed_over()[1].code
    for code in (first, second):
        if len(code) < SHORTEST_CODE:
            raise Broken(f"{SHORTEST_CODE} characters or more.", f"A code has {len(code)}.")
    if first == second:
        raise Broken("Two different codes.", "Both visits have the same code.")
    same = sum(one == two for one, two in zip(first, second, strict=False))
    if min(len(first), len(second)) - same < SHORTEST_CODE // 2:
        raise Broken(
            "Codes that have little in common.", f"{same} characters are the same, place by place."
        )


@check("A-E-6", Severity.SECURITY, draft="2.2.2/2", rfc="6749 2.3.1", threats="H12")
def no_secret_elsewhere(a: PartyA) -> None:
    """The hand-over has no other secret, and none in the URL.

    Does: reads the hand-over.

    Expects: neither the secret with which the tester redeems codes at party A, nor the user's
    refresh token, nor a secret in the URL.
    """
    flow, handover = a.sample()
    received = handover.received
    whole = received.url + received.body.decode("utf-8", errors="replace")
    own = a.config.subject.at_tester.client_secret
    secrets = {
        "the tester's secret at party A": a.config.tester.client_secret,
        "a refresh token": flow.refresh_tokens[0] if flow.refresh_tokens else "",
    }
    for what, value in secrets.items():
        if value and value != own and value in unquote_plus(whole):
            raise Broken("No other secret.", f"The hand-over has {what}.")
    in_url = [name for name, _ in received.query if name not in ("grant_type", "client_id")]
    if in_url:
        raise Broken("No secret in the URL.", f"The URL has {', '.join(in_url)}.")


@check("A-E-7", Severity.SECURITY, draft="2.2.2/2", rfc="9700 4.4", threats="B15 L6", negative=True)
def agreed_endpoint(a: PartyA) -> None:
    """The hand-over goes to the agreed token endpoint.

    Does: adds token_endpoint, reciprocal_endpoint and issuer to the token response; they lead
    elsewhere.

    Expects: the hand-over comes to the agreed token endpoint, and nothing elsewhere.
    """
    path = "/elsewhere-" + a.recorder.current.lower()
    elsewhere = a.config.base_url + path
    names = ("token_endpoint", "reciprocal_endpoint", "reciprocal_uri", "issuer", "iss")
    flow = a.link(plan=Plan(issued=dict.fromkeys(names, elsewhere)), may_fail=True)
    came = a.wait_for(lambda: flow.handovers or _at(a, path), a.waits.send)
    if _at(a, path) or not a.stays_quiet(lambda: _at(a, path)):
        raise Broken("A hand-over to the agreed endpoint.", f"A request to {path}.")
    if not came:
        a.note("No hand-over came: party A refuses such a token response.")


def _at(a: PartyA, path: str) -> bool:
    # With something before or behind it: an issuer leads to the address of its metadata.
    return any(path in stray.path for stray in a.strays)


@check(
    "A-E-8",
    Severity.SECURITY,
    draft="2.2.2/1 2.2.2/7",
    threats="B16 H12",
    needs="2u api",
    negative=True,
)
def code_of_the_right_user(a: PartyA) -> None:
    """The code is that of the user who is signed in.

    Does: lets two users link, redeems both codes, and asks the API who they are.

    Expects: the API answers each token with its own user.
    """
    users = (a.user, a.other_user())
    answers = []
    for user in users:
        _, tokens = a.linked(user=user)
        answers.append(a.must_work(tokens).text)
    for user, other, answer in zip(users, reversed(users), answers, strict=True):
        if other in answer and user not in answer:
            raise Broken(f"The API answers with {user}.", f"It answers with {other}.")
    if not all(user in answer for user, answer in zip(users, answers, strict=True)):
        raise NotGiven("an API whose first address answers with the name of the user")


@check(
    "A-E-9",
    Severity.SECURITY,
    draft="2.2.2/8",
    rfc="6749 3.2; 9110 4.3.4",
    threats="H10",
    needs="tls",
    negative=True,
)
def wrong_certificate(a: PartyA) -> None:
    """Nothing is handed over to a server with a wrong certificate.

    Does: shows, once the user is back at party A with tokens, a certificate that nobody issued and
    that is for another host.

    Expects: no hand-over comes through.
    """
    right = a.server.tls
    refused_before = a.server.refused_handshakes
    try:
        flow = a.link(plan=Plan(on_issued=a.server.show_wrong_certificate), may_fail=True)
        a.wait_for(
            lambda: flow.handovers or a.server.refused_handshakes > refused_before, a.waits.send
        )
        came_through = not a.stays_quiet(lambda: flow.handovers)
    finally:
        a.server.tls = right
    if came_through:
        raise Broken("No hand-over.", "The code was sent over a connection that is not trusted.")
    if a.server.refused_handshakes == refused_before:
        raise Unclear("Party A did not try to connect.")
