"""The parameters of the hand-over (section 2.2.2): missing, empty, repeated, unknown."""

from ...core.protocol import PARAMETERS
from .. import made_up
from ..party_b import PartyB
from ..party_b.handing_over import INVALID, UNAUTHENTICATED, with_value, without
from ..registry import check, check_each
from ..verdicts import NotGiven, Severity

#: The sentence of the draft about each parameter.
_SENTENCES = tuple(f"2.2.2/{number} 2.2.2/11" for number in (3, 4, 5, 6))


def _statuses(name: str) -> tuple[int, ...]:
    # Without its ID, a client is not authenticated (RFC 6749, section 5.2).
    return UNAUTHENTICATED if name == "client_id" else INVALID


@check_each(
    "B-MISS",
    Severity.MUST,
    PARAMETERS,
    draft=_SENTENCES,
    rfc="6749 5.2",
    threats=("P2", "P2", "B4", "P2"),
    negative=True,
)
def missing(b: PartyB, name: str) -> None:
    """A request without {value} is refused.

    Does: sends the right hand-over without {value}.

    Expects: status 400, and the code is not redeemed.
    """
    b.require_parameter(name)
    code = b.plan()
    parameters = without(b.parameters(code, b.access().access_token), name)
    statuses = _statuses(name)
    if name == "access_token" and b.config.dialect.is_bearer:
        statuses = UNAUTHENTICATED
    b.must_refuse(
        code, b.request(parameters), statuses, error="invalid_request", what=f"Without {name} it"
    )


@check_each(
    "B-BLANK",
    Severity.MUST,
    PARAMETERS,
    draft=_SENTENCES,
    rfc="6749 3.2",
    threats="P2",
    negative=True,
)
def blank(b: PartyB, name: str) -> None:
    """A request with an empty {value} is refused.

    Does: sends the right hand-over with an empty {value}. RFC 6749 takes it as left out.

    Expects: status 400, and the code is not redeemed.
    """
    b.require_parameter(name)
    code = b.plan()
    parameters = with_value(b.parameters(code, b.access().access_token), name, "")
    statuses = _statuses(name)
    if name == "access_token" and b.config.dialect.is_bearer:
        statuses = UNAUTHENTICATED
    b.must_refuse(
        code,
        b.request(parameters),
        statuses,
        error="invalid_request",
        what=f"With an empty {name} it",
    )


@check_each(
    "B-TWICE",
    Severity.MUST,
    PARAMETERS,
    rfc="6749 3.2",
    threats="P1",
    needs="form",
    negative=True,
)
def twice(b: PartyB, name: str) -> None:
    """A request with {value} twice is refused.

    Does: sends the right hand-over with {value} twice, both times with the right value.

    Expects: status 400, and the code is not redeemed.
    """
    if name == "access_token" and b.config.dialect.is_bearer:
        raise NotGiven("an access_token in the body")
    code = b.plan()
    parameters = b.parameters(code, b.access().access_token)
    parameters += [pair for pair in parameters if pair[0] == name]
    b.must_refuse(
        code,
        b.request(parameters),
        _statuses(name),
        error="invalid_request",
        what=f"With {name} twice it",
    )


@check("B-PARAM-1", Severity.MUST, rfc="6749 3.2", threats="P12", needs="form")
def unknown_parameters(b: PartyB) -> None:
    """Unknown parameters are ignored.

    Does: adds two parameters that nobody has defined.

    Expects: status 200.
    """
    code = b.plan()
    more = [("x_conformance", "1"), ("colour", made_up.value())]
    b.must_accept(code, b.right(code, more=more), what="A hand-over with unknown parameters")


@check("B-PARAM-3", Severity.MUST, rfc="6749 3.2", threats="P2", needs="form")
def empty_parameters(b: PartyB) -> None:
    """Empty parameters count as left out.

    Does: adds scope and redirect_uri without a value.

    Expects: status 200.
    """
    code = b.plan()
    more = [("scope", ""), ("redirect_uri", "")]
    b.must_accept(code, b.right(code, more=more), what="A hand-over with empty parameters")


@check(
    "B-TARGET-1",
    Severity.SECURITY,
    draft="2.2.2/12",
    rfc="9700 4.4",
    threats="B15",
    negative=True,
)
def other_endpoints(b: PartyB) -> None:
    """Endpoints in the request are not used.

    Does: adds token_endpoint, token_uri, iss, issuer and redirect_uri, which lead elsewhere. In
    a dialect whose hand-over names the token endpoint, it names another one.

    Expects: only the agreed token endpoint is called.
    """
    b.require_parameter("token_endpoint")
    code = b.plan()
    path = "/" + made_up.value("elsewhere-")
    b.recorder.own(path)
    names = ("token_endpoint", "token_uri", "iss", "issuer", "redirect_uri")
    elsewhere = [(name, b.config.base_url + path) for name in names]
    response = b.hand_over(code, b.right(code, more=elsewhere))
    if b.is_accepted(response):
        b.wait_for(lambda: code.redemptions or b.is_called(path), b.waits.redeem)
        if not b.is_called(path):
            b.must_redeem(code)
    else:
        b.note(f"Party B refuses the request: {response}.")
    b.must_not_call(path)


@check(
    "B-GRANT-1",
    Severity.MUST,
    draft="2.2.2/3 4/5",
    rfc="6749 5.2",
    needs="form",
    negative=True,
)
def other_grant_type(b: PartyB) -> None:
    """Another grant type is refused.

    Does: sends the hand-over with the URN in capitals, with a longer URN, and with the misprint of
    the draft's example.

    Expects: status 400 each time, and the code is not redeemed.
    """
    right = b.parameters("", "")[0][1]
    for wrong in (right.upper(), right + "2", "reciprocal_grant"):
        code = b.plan()
        parameters = with_value(b.parameters(code, b.access().access_token), "grant_type", wrong)
        b.must_refuse(
            code, b.request(parameters), error="unsupported_grant_type", what=f"grant_type={wrong}"
        )
    code = b.plan()
    request = b.right(code)
    body = request.body.replace(b"grant-type%3Areciprocal", b"grant-type%3reciprocal")
    if body != request.body:
        b.must_refuse(code, b.changed_request(request, body=body), what="The misprint %3reciprocal")
