"""How party A asks party B for access: steps A to C, and the first code, which is the control."""

import base64
import hashlib
from typing import Final

from ..bench import has_special
from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Verdict

#: A state that nobody can guess has this many characters or more.
SHORTEST_STATE: Final = 16


@check(
    "A-CODE-1",
    Severity.MUST,
    draft="2/3 2/4 2/5 2.2/1 2.2.2/1 2.2.2/12",
    rfc="6749 4.1.3; 6749 5.1",
    threats="C1",
    control=True,
)
def code_gives_tokens(a: PartyA) -> None:
    """The code of a hand-over gives tokens.

    Does: lets a user link and allow, waits for the hand-over, and redeems its code without
    redirect_uri and without a verifier.

    Expects: a token response with access_token and token_type, whose token works at the API.
    """
    flow = a.link()
    if not a.wait_for(lambda: flow.handovers, a.waits.send):
        raise Broken("A hand-over.", f"None came in {a.waits.send:.0f} s.")
    handover = a.first_handover(flow)
    if not handover.code:
        raise Broken("A parameter code.", "The hand-over has none.")
    response = a.redeem(handover)
    if response.status != 200:
        raise Broken("Status 200.", f"The redemption was answered with {response}.")
    tokens = a.tokens(response)
    if not isinstance(response.member("token_type"), str):
        raise Broken("A token_type (RFC 6749, section 5.1).", "The token response has none.")
    if a.config.subject.api:
        a.must_work(tokens)
    else:
        a.note("The API was not called: subject.api is not given.")


@check("A-AUTH-1", Severity.MUST, draft="2.2.2/12", rfc="6749 2.3.1")
def form_encoded_secret(a: PartyA) -> None:
    """A secret with special characters works in Basic.

    Does: redeems a code with ID and secret form-encoded before they are joined.

    Expects: tokens.
    """
    if a.config.tester.auth == "body" or not has_special(a.config.tester.client_secret):
        raise NotGiven('a tester.at_subject.client_secret with one of :+%, and auth = "basic"')
    if not a.refused_authentications:
        _, handover = a.sample()
        a.redeem(handover)
    refused = a.refused_authentications.get("basic")
    if refused is not None:
        works = {"basic-raw": "without form-encoding", "body": "in the body"}
        said = works.get(a.authentication, "in no way")
        raise Broken("Tokens.", f"It was answered with {refused}; the credentials work {said}.")


@check("A-AUTHZ-1", Severity.SECURITY, draft="2/1", rfc="6749 10.12", threats="L1 L2")
def states(a: PartyA) -> None:
    """Each authorization request has a state of its own.

    Does: lets a user link twice, and reads the authorization requests.

    Expects: two different states of 16 characters or more.
    """
    states = [a.sample()[0].request.get("state", ""), a.link("look").request.get("state", "")]
    if not any(states) and a.sample()[0].request.get("code_challenge_method") == "S256":
        raise Broken(
            "A state.",
            "There is none. RFC 9700, section 2.1, allows it with PKCE, if the server is known to "
            "verify it.",
            at_worst=Verdict.WARN,
        )
    short = [state for state in states if len(state) < SHORTEST_STATE]
    if short:
        raise Broken(
            f"A state of {SHORTEST_STATE} characters or more.",
            f"It has {len(short[0])}." if short[0] else "There is none.",
        )
    if states[0] == states[1]:
        raise Broken("Two different states.", "Both requests have the same state.")


@check("A-AUTHZ-2", Severity.SHOULD, draft="2/1", rfc="7636 4.3; 9700 2.1.1")
def pkce(a: PartyA) -> None:
    """The authorization request uses PKCE with S256.

    Does: reads the authorization request, and the token request after it, and a second
    authorization request.

    Expects: a code_challenge with S256, and its code_verifier. The second challenge is another one.
    """
    flow, _ = a.sample()
    challenge = flow.request.get("code_challenge", "")
    if not challenge or flow.request.get("code_challenge_method") != "S256":
        method = flow.request.get("code_challenge_method", "no method")
        raise Broken(
            "code_challenge with S256.",
            f"A challenge with {method}." if challenge else "No challenge.",
        )
    verifier = flow.token_requests[0].first("code_verifier")
    digest = hashlib.sha256(verifier.encode()).digest()
    if base64.urlsafe_b64encode(digest).decode().rstrip("=") != challenge:
        raise Broken(
            "The verifier of the challenge.", "Another verifier." if verifier else "No verifier."
        )
    if a.link("look").request.get("code_challenge") == challenge:
        raise Broken(
            "A verifier of its own for each request (RFC 7636, section 4.1).", "The same one."
        )


@check("A-AUTHZ-3", Severity.MUST, draft="2/1", rfc="6749 4.1.3")
def same_redirect_uri(a: PartyA) -> None:
    """The token request has the redirect_uri of the authorization request.

    Does: reads the authorization request, and the token request after it.

    Expects: the same redirect_uri in both, or in none; it is the registered one.
    """
    flow, _ = a.sample()
    asked = flow.request.get("redirect_uri")
    sent = flow.token_requests[0].all("redirect_uri")
    if sent != ([] if asked is None else [asked]):
        raise Broken(
            f"redirect_uri {asked or 'left out'}.", f"The token request has {sent or 'none'}."
        )
    registered = a.config.subject.at_tester.redirect_uri
    if asked is not None and asked != registered:
        raise Broken(f"The registered redirect_uri {registered}.", f"It is {asked}.")
