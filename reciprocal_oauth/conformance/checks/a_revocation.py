"""Party A's revocation endpoint (RFC 7009)."""

from .. import made_up
from ..config import Client
from ..party_a import PartyA
from ..party_a.redeeming import is_self_contained
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Verdict
from ..wire.client import Request, Response


def _revoke(a: PartyA, token: str, hint: str, client: Client | None = None) -> Response:
    pairs = [("token", token), ("token_type_hint", hint)]
    request = a.token_request(pairs, client or a.config.tester)
    url = a.endpoint("revocation_endpoint")
    return a.send(Request(request.method, url, request.headers, request.body))


@check("A-REV-1", Severity.SECURITY, rfc="7009 2.1", threats="C6", needs="rev 2c api")
def of_another_client(a: PartyA) -> None:
    """A client does not revoke the tokens of another one.

    Does: revokes both tokens as the second client, and uses them.

    Expects: they still work.
    """
    _, tokens = a.linked()
    second = a.second_client()
    if tokens.refresh_token:
        _revoke(a, tokens.refresh_token, "refresh_token", second)
    _revoke(a, tokens.access_token, "access_token", second)
    a.must_work(tokens)
    if tokens.refresh_token and a.refresh(tokens).status != 200:
        raise Broken("The refresh token still works.", "It does not.")


@check("A-REV-2", Severity.SHOULD, rfc="7009 2.1", threats="T4", needs="rev api", negative=True)
def refresh_token_alone(a: PartyA) -> None:
    """The revocation of a refresh token also ends its access tokens.

    Does: revokes the refresh token only, and calls the API.

    Expects: status 401.
    """
    _, tokens = a.linked()
    if not tokens.refresh_token:
        raise NotGiven("a subject that issues refresh tokens")
    a.must_work(tokens)
    _revoke(a, tokens.refresh_token, "refresh_token")
    response = a.call(tokens.access_token, a.api_for(tokens.scopes))
    if response.status not in (401, 403) and not is_self_contained(tokens):
        raise Broken("The API answers 401.", f"It answers {response}.")


@check("A-REV-3", Severity.SHOULD, rfc="7009 2.2", threats="T4", needs="rev")
def unknown(a: PartyA) -> None:
    """The revocation of an unknown token is answered with 200.

    Does: revokes a token that nobody has issued.

    Expects: status 200: it does not work any more, as it should be.
    """
    response = _revoke(a, a.secret(made_up.value("token-"), "access_token"), "access_token")
    if response.status != 200:
        raise Broken("Status 200.", f"It was {response}.")


@check("A-REV-4", Severity.MUST, rfc="7009 2.1", threats="T4", needs="rev api", negative=True)
def wrong_hint(a: PartyA) -> None:
    """A wrong token_type_hint does not keep a token alive.

    Does: revokes the access token with token_type_hint=refresh_token, and calls the API.

    Expects: status 401.
    """
    _, tokens = a.linked()
    a.must_work(tokens)
    response = _revoke(a, tokens.access_token, "refresh_token")
    if response.member("error") == "unsupported_token_type":
        # RFC 7009, section 2: only the revocation of refresh tokens must be supported.
        raise NotGiven("a subject that revokes access tokens")
    response = a.call(tokens.access_token, a.api_for(tokens.scopes))
    if response.status not in (401, 403):
        raise Broken(
            "The API answers 401.",
            f"It answers {response}.",
            at_worst=Verdict.WARN if is_self_contained(tokens) else Verdict.FAIL,
        )
