"""What goes beyond reciprocal codes: ordinary codes, tokens, API, refresh at party A."""

from dataclasses import replace
from typing import Final

from .. import made_up
from ..drivers.journeys import Journey
from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.client import Response, with_query

_CHALLENGE: Final = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@check(
    "A-CODE-12",
    Severity.SECURITY,
    rfc="7636 4.6; 9700 2.1.1",
    threats="C2",
    needs="authorize",
    negative=True,
)
def ordinary_code(a: PartyA) -> None:
    """An ordinary code is still not redeemed without its verifier.

    Does: gets a code from party A's authorization endpoint with a challenge, and redeems it
    without the verifier, as a reciprocal code is.

    Expects: status 400.
    """
    if not a.config.subject.pkce:
        raise NotGiven("a subject with PKCE: subject.pkce is false")
    state = a.secret(made_up.value("state-"), "state")
    parameters = {
        "response_type": "code",
        "client_id": a.config.tester.client_id,
        "redirect_uri": a.config.base_url + "/callback",
        "state": state,
        "code_challenge": _CHALLENGE,
        "code_challenge_method": "S256",
    }
    if a.config.tester.scope:
        parameters["scope"] = a.config.tester.scope
    url = with_query(a.endpoint("authorization_endpoint"), parameters)
    a.journey(Journey("authorize", user=a.user, url=url), lambda: state in a.came_back)
    if not a.wait_for(lambda: state in a.came_back, 5) or not a.came_back[state].get("code"):
        raise Unclear("The browser did not come back with a code.")
    more = [("redirect_uri", a.config.base_url + "/callback")]
    request = a.redemption(a.came_back[state]["code"], more=more)
    a.must_not_give_tokens(request, "An ordinary code without its verifier")


@check("A-API-1", Severity.MUST, rfc="6750 3.1", threats="S1", needs="api")
def api_errors(a: PartyA) -> None:
    """The API refuses unknown tokens, and tokens without the scope.

    Does: calls the API with a token that nobody has issued, and with one that lacks the scope.

    Expects: status 401, and status 403. Another status of 4xx is a warning.
    """
    _must_be(401, a.call(made_up.value()), "to an unknown token")
    scopes = a.scopes()
    needed = [api for api in a.config.subject.api if api.scope and api.scope in scopes]
    if len(scopes) < 2 or not needed:
        a.note("The scope was not tried: no address of subject.api names a scope of several.")
        return
    api = needed[0]
    _, tokens = a.linked(scopes=[scope for scope in scopes if scope != api.scope])
    _must_be(403, a.call(tokens.access_token, api), "without the scope")


def _must_be(status: int, response: Response, what: str) -> None:
    if response.status != status:
        is_refused = 400 <= response.status < 500
        at_worst = Verdict.WARN if is_refused else Verdict.FAIL
        raise Broken(f"Status {status} {what}.", f"The API answers {response}.", at_worst=at_worst)


@check("A-REF-1", Severity.MUST, rfc="6749 6", threats="C15 T1")
def refresh(a: PartyA) -> None:
    """A refresh works, and gives no more scope.

    Does: redeems a code, and refreshes the tokens.

    Expects: status 200, and no wider scope.
    """
    _, tokens = a.linked()
    response = a.refresh(tokens)
    if response.status != 200:
        raise Broken("Status 200.", f"The refresh was answered with {response}.")
    new = a.tokens(response)
    if new.scope is not None and tokens.scope is not None and new.scopes - tokens.scopes:
        raise Broken(f"At most scope={tokens.scope}.", f"scope={new.scope}.")
    if a.config.subject.api:
        # A response without scope has that of before (RFC 6749, section 5.1).
        a.must_work(new if new.scope is not None else replace(new, response=tokens.response))
