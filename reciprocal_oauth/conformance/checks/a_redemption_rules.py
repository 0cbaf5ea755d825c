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

    Does: gets codes from party A's authorization endpoint with a challenge, and redeems one without
    the verifier, as a reciprocal code is, and one with another verifier.

    Expects: status 400.
    """
    if not a.config.subject.pkce:
        raise NotGiven("a subject with PKCE: subject.pkce is false")
    redirect_uri = [("redirect_uri", a.config.base_url + "/callback")]
    request = a.redemption(_ordinary_code(a), more=redirect_uri)
    a.must_not_give_tokens(request, "An ordinary code without its verifier")
    other = [*redirect_uri, ("code_verifier", a.secret(made_up.value("verifier-"), "verifier"))]
    request = a.redemption(_ordinary_code(a), more=other)
    a.must_not_give_tokens(request, "An ordinary code with another verifier")


def _ordinary_code(a: PartyA) -> str:
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
    return a.came_back[state]["code"]


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


@check("A-REF-2", Severity.MUST, rfc="6749 6; 6749 10.4", threats="C6", needs="2c", negative=True)
def refresh_of_another_client(a: PartyA) -> None:
    """Another client cannot use the refresh token.

    Does: refreshes as the right client, and then as the second one.

    Expects: a refusal.
    """
    second = a.second_client()
    _, tokens = a.linked()
    right = a.refresh(tokens)
    if right.status != 200:
        raise Unclear(f"The refresh of the right client was answered with {right}.")
    newest = a.tokens(right).refresh_token or tokens.refresh_token
    pairs = [("grant_type", "refresh_token"), ("refresh_token", newest)]
    request = a.token_request(pairs, second)
    a.must_not_give_tokens(request, "Another client", (400, 401, 403))


@check("A-REF-3", Severity.SHOULD, rfc="6749 6", threats="T1", needs="scopes")
def narrow_refresh(a: PartyA) -> None:
    """A refresh for a part of the scope does not narrow the grant.

    Does: refreshes for the first scope only, and then without the parameter scope.

    Expects: the second response has the whole scope again.
    """
    _, tokens = a.linked()
    scopes = a.scopes()
    if not set(scopes) <= tokens.scopes:
        raise NotGiven("a token response with the scope")
    narrow = a.refresh(tokens, [("scope", scopes[0])])
    if narrow.status != 200:
        a.note(f"A refresh with scope was answered with {narrow}.")
        return
    narrowed = a.tokens(narrow)
    newest = narrowed if narrowed.refresh_token else tokens
    wide = a.refresh(newest)
    if wide.status != 200:
        raise Broken("Status 200.", f"The second refresh was answered with {wide}.")
    scope = a.tokens(wide).scope
    if scope is not None and not set(scopes) <= set(scope.split()):
        raise Broken(f"scope={' '.join(scopes)}.", f"scope={scope}.")


@check(
    "A-API-2", Severity.SECURITY, rfc="6749 1.5; 6750 3.1", threats="B7", needs="api", negative=True
)
def not_access_tokens(a: PartyA) -> None:
    """The API takes access tokens only.

    Does: calls the API with the refresh token, with the code, with the access token in other letter
    case, and with %, which LIKE in SQL reads as a wildcard.

    Expects: status 401 each time, or 400 to the %. Another status of 4xx is a warning.
    """
    _, handover = a.handed_over()
    tokens = a.redeemed(handover)
    a.must_work(tokens)
    for what, value in {
        "the refresh token": tokens.refresh_token,
        "the code": handover.code,
        "an access token in other letter case": tokens.access_token.swapcase(),
        "%": "%",
        "the beginning of an access token and %": tokens.access_token[:8] + "%",
    }.items():
        if not value or value == tokens.access_token:
            continue
        response = a.call(a.secret(value, "access_token") if len(value) > 1 else value)
        # RFC 6750, section 2.1: no token has this sign.
        if not ("%" in value and response.status == 400):
            _must_be(401, response, f"to {what}")


@check("A-API-3", Severity.MUST, rfc="6750 3", threats="P10", needs="api")
def challenge_of_the_api(a: PartyA) -> None:
    """The API says which scheme it wants.

    Does: calls the API with a token that nobody has issued.

    Expects: a header WWW-Authenticate with Bearer. Without it, it is a warning, as few clients read
    it.
    """
    response = a.call(made_up.value())
    if response.status != 401:
        raise NotGiven("an API that answers an unknown token with 401 (A-API-1)")
    value = response.header("WWW-Authenticate")
    if "bearer" not in value.lower():
        raise Broken(
            "WWW-Authenticate: Bearer.",
            f"It is {value or 'missing'}.",
            at_worst=Verdict.WARN,
        )
