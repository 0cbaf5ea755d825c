"""The form of party B's errors (RFC 6749, section 5.2), and what they must not tell."""

from .. import made_up
from ..party_b import PartyB
from ..party_b.handing_over import known_error, with_value, without
from ..registry import check
from ..verdicts import Broken, Severity, Unclear, Verdict
from ..wire.client import Response


def _errors(b: PartyB) -> dict[str, Response]:
    """Errors of several kinds."""
    token = b.access().access_token
    parameters = b.parameters(b.plan(), token)
    requests = {
        "an unknown token": with_value(parameters, "access_token", made_up.value()),
        "a missing code": without(parameters, "code"),
        "an unknown grant type": with_value(parameters, "grant_type", "urn:example:unknown"),
    }
    responses = {what: b.send(b.request(each)) for what, each in requests.items()}
    errors = {what: each for what, each in responses.items() if not b.is_accepted(each)}
    if not errors:
        raise Unclear("Party B refuses none of these requests (B-TOK-2, B-MISS-2, B-GRANT-1).")
    return errors


@check("B-ANS-1", Severity.MUST, rfc="6749 5.2", threats="P10", needs="draft", negative=True)
def errors_are_json(b: PartyB) -> None:
    """An error is JSON with a known code.

    Does: sends an unknown token, a request without a code, and an unknown grant type.

    Expects: a JSON object whose error is one of RFC 6749, section 5.2, each time. The error of
    another specification is a warning.
    """
    for what, response in _errors(b).items():
        if not isinstance(response.json(), dict):
            kind = response.header("Content-Type") or "without a type"
            raise Broken("A JSON object.", f"The answer to {what} is {kind}.")
        error = response.member("error")
        if not known_error(response):
            raise Broken(
                "An error code of RFC 6749, section 5.2.",
                f"The answer to {what} has error={error!r}.",
                at_worst=Verdict.WARN if isinstance(error, str) and error else Verdict.FAIL,
            )


@check("B-ANS-2", Severity.SECURITY, rfc="9700 4.2", threats="P10", negative=True)
def errors_repeat_no_secret(b: PartyB) -> None:
    """An error repeats neither code nor access token nor secret.

    Does: sends an unknown access token, an unknown grant type, and an unknown client ID, and reads
    the errors.

    Expects: none of these values in the body or in a header.
    """
    access = b.access()
    code, unknown = b.plan(), b.secret(made_up.value(), "access_token")
    other = ("grant_type", "urn:example:unknown")
    for parameters in (
        b.parameters(code, unknown),
        with_value(b.parameters(code, access.access_token), *other),
        with_value(b.parameters(code, access.access_token), "client_id", made_up.value()),
    ):
        response = b.send(b.request(parameters))
        whole = response.text + "".join(value for _, value in response.headers)
        for what, value in {
            "the code": code.value,
            "the access token": dict(parameters)["access_token"],
            "the client's secret": b.config.tester.client_secret,
        }.items():
            if value and value in whole:
                raise Broken("No secret in the response.", f"The response repeats {what}.")


@check("B-ANS-4", Severity.SECURITY, rfc="9700 2.6", threats="P9")
def no_leave_for_scripts(b: PartyB) -> None:
    """Scripts of other sites may not read the responses.

    Does: sends the right hand-over, and one with an unknown token, each with an Origin.

    Expects: no Access-Control-Allow-Origin. RFC 9700 allows it at token endpoints, so it is a
    warning, unless the response names any origin that asks, and allows credentials.
    """
    origin = "https://elsewhere.example"
    for request in (b.right(b.plan()), b.request(b.parameters(b.plan(), made_up.value()))):
        headers = [*request.headers, ("Origin", origin)]
        response = b.send(b.changed_request(request, headers=headers))
        allowed = response.header("Access-Control-Allow-Origin")
        with_credentials = response.header("Access-Control-Allow-Credentials").lower() == "true"
        if allowed:
            is_open = allowed == origin and with_credentials
            raise Broken(
                "No Access-Control-Allow-Origin.",
                f"Access-Control-Allow-Origin is {allowed}.",
                at_worst=Verdict.FAIL if is_open else Verdict.WARN,
            )
