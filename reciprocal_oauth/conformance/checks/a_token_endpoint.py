"""Party A's token endpoint: parameters, clients, and the form of its responses (RFC 6749, sections
3.2 and 5)."""

from .. import json_templates, made_up
from ..client_of_subject import KNOWN_ERRORS, odd_basic_headers
from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Verdict
from ..wire.client import Request, Response

_CODE = "2/5 2.2.2/12"


@check("A-CODE-13", Severity.MUST, draft=_CODE, rfc="6749 5.1", threats="P10")
def not_kept(a: PartyA) -> None:
    """The token response must not be kept by caches.

    Does: redeems a code, and reads the headers.

    Expects: Cache-Control with no-store.
    """
    _, handover = a.handed_over()
    response = a.redeem(handover)
    if "no-store" not in response.header("Cache-Control").lower():
        value = response.header("Cache-Control") or "missing"
        raise Broken("Cache-Control: no-store.", f"Cache-Control is {value}.")


@check("A-CODE-14", Severity.SECURITY, draft=_CODE, rfc="6749 4.1.3", threats="P1", negative=True)
def parameters_in_the_query(a: PartyA) -> None:
    """A code in the URL is not redeemed.

    Does: sends the right redemption with its parameters in the query of a POST.

    Expects: 4xx.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code)
    url = f"{request.url}{'&' if '?' in request.url else '?'}{request.body.decode()}"
    changed = Request("POST", url, request.headers)
    a.must_not_give_tokens(changed, "A redemption in the URL", tuple(range(400, 500)))


@check("A-CODE-15", Severity.MUST, draft=_CODE, rfc="6749 3.2", threats="P1", negative=True)
def code_twice(a: PartyA) -> None:
    """A redemption with the code twice is refused.

    Does: sends the right code twice, and a wrong code before the right one.

    Expects: status 400 both times.
    """
    for first in ("", made_up.value()):
        _, handover = a.handed_over()
        request = a.redemption(first or handover.code, more=[("code", handover.code)])
        a.must_not_give_tokens(request, "A redemption with code twice")


@check("A-AUTH-2", Severity.SECURITY, rfc="6749 5.2; 7617 2", threats="B1 P5", negative=True)
def odd_header(a: PartyA) -> None:
    """An odd header Authorization is refused.

    Does: redeems a code with Basic that is no Base64, without a colon, with a bad percent sign,
    with bytes that are not UTF-8, and with the name constructor, which each object of JavaScript
    has.

    Expects: status 400 or 401 each time.
    """
    _, handover = a.handed_over()
    request = a.redemption(handover.code)
    headers = [pair for pair in request.headers if pair[0] != "Authorization"]
    for what, header in odd_basic_headers(a.config.tester.client_id).items():
        pairs = [*headers, ("Authorization", header)]
        changed = Request("POST", request.url, pairs, _without_secret(request.body))
        a.must_not_give_tokens(changed, what, (400, 401))


def _without_secret(body: bytes) -> bytes:
    return b"&".join(
        pair for pair in body.split(b"&") if not pair.startswith((b"client_secret=", b"client_id="))
    )


@check("A-AUTH-3", Severity.MUST, rfc="6749 5.2", threats="B1", negative=True)
def challenge(a: PartyA) -> None:
    """The refusal names the scheme that the client used.

    Does: redeems a code with a wrong secret in Basic.

    Expects: WWW-Authenticate with Basic, if the status is 401. Another scheme is a warning.
    """
    _, handover = a.handed_over()
    wrong = a.config.tester.with_wrong_secret()
    response = a.send(a.redemption(handover.code, client=wrong, way="basic"))
    if response.status != 401:
        raise NotGiven("a subject that answers a wrong secret with 401 (A-CODE-5)")
    value = response.header("WWW-Authenticate")
    if "basic" not in value.lower():
        raise Broken(
            "WWW-Authenticate: Basic.",
            f"It is {value or 'missing'}.",
            at_worst=Verdict.WARN if value else Verdict.FAIL,
        )


@check("A-AUTH-4", Severity.SHOULD, rfc="6749 2.3", threats="B3", needs="2c", negative=True)
def client_id_of_another(a: PartyA) -> None:
    """A client_id that is not that of the client is refused.

    Does: redeems a code with the first client's secret, and with the client_id of the second one.

    Expects: status 400 or 401.
    """
    if a.authentication == "body":
        raise NotGiven("a subject that takes Basic")
    _, handover = a.handed_over()
    more = [("client_id", a.second_client().client_id)]
    a.must_not_give_tokens(a.redemption(handover.code, more=more), "Another client_id", (400, 401))


@check("A-ANS-1", Severity.MUST, rfc="6749 5.2", threats="P2 P10", negative=True)
def errors(a: PartyA) -> None:
    """An error is JSON with the right code.

    Does: sends a redemption without a code, one with a code that nobody has issued, and an unknown
    grant type.

    Expects: status 400 with invalid_request, invalid_grant and unsupported_grant_type. Another
    error of RFC 6749 is a warning.
    """
    for what, (response, error) in _errors(a).items():
        said = response.member("error")
        if response.status != 400 or said != error:
            is_known = response.status == 400 and said in KNOWN_ERRORS
            raise Broken(
                f"Status 400 with {error} to {what}.",
                f"It was {response}.",
                at_worst=Verdict.WARN if is_known else Verdict.FAIL,
            )


@check("A-ANS-2", Severity.SECURITY, rfc="9700 4.2", threats="P10", negative=True)
def errors_keep_quiet(a: PartyA) -> None:
    """An error repeats neither code nor secret.

    Does: the same as A-ANS-1, and a redemption with a wrong secret.

    Expects: neither the code nor the secret in the responses.
    """
    _, handover = a.handed_over()
    wrong = a.config.tester.with_wrong_secret()
    refused = a.send(a.redemption(handover.code, client=wrong))
    own = a.config.tester.client_secret
    _must_have_none(refused, "a wrong secret", handover.code, wrong.client_secret, own)
    for what, (response, _) in _errors(a).items():
        _must_have_none(response, what, _UNKNOWN, own)


def _must_have_none(response: Response, what: str, *secrets: str) -> None:
    # JSON may write a secret with escapes.
    said = [response.text, *json_templates.strings(response.json())]
    if any(secret in text for secret in secrets for text in said):
        raise Broken("Neither code nor secret.", f"The response to {what} has one of them.")


#: A code that nobody has issued.
_UNKNOWN = made_up.value("code-")


def _errors(a: PartyA) -> dict[str, tuple[Response, str]]:
    """Return responses to wrong requests, and the error of RFC 6749, section 5.2, for each."""
    no_code = a.token_request([("grant_type", "authorization_code")], a.config.tester)
    unknown = a.redemption(a.secret(_UNKNOWN, "code"))
    grant = a.token_request([("grant_type", "urn:example:unknown")], a.config.tester)
    return {
        "a redemption without a code": (a.send(no_code), "invalid_request"),
        "an unknown code": (a.send(unknown), "invalid_grant"),
        "an unknown grant type": (a.send(grant), "unsupported_grant_type"),
    }
