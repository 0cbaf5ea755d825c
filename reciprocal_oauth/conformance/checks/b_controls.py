"""What is right. The other checks of party B are compared with it."""

from ..party_b import PartyB
from ..registry import check
from ..verdicts import NotGiven, Severity


@check("B-OK-1", Severity.MUST, draft="2/3 2.2.2/2 2.2.2/11", threats="C1", control=True)
def right_request(b: PartyB) -> None:
    """A right hand-over is accepted.

    Does: hands a code over with the four parameters, authenticated with the client's secret.

    Expects: status 200.
    """
    b.adapt()
    b.must_accept(b.plan(), what="A right hand-over")


@check("B-OK-2", Severity.MUST, draft="2/4 2.2.2/12", rfc="6749 4.1.3", control=True)
def code_is_redeemed(b: PartyB) -> None:
    """Party B redeems the code that it was given.

    Does: hands a code over, and waits at its token endpoint.

    Expects: party B sends a token request with this code.
    """
    code = b.handed_over()
    if not b.wait_for(lambda: code.redemptions, b.waits.redeem) and b.redeemed:
        b.note("An earlier code of the link was redeemed. Is a second one not (B-UPD-1)?")
    b.must_redeem(code)


@check("B-OK-3", Severity.INFORMATION, rfc="6749 2.3.1", needs="authenticated form")
def secret_in_body(b: PartyB) -> None:
    """Does party B take client_secret in the body?

    Does: sends the right hand-over with client_secret in the body, and without the header.

    Expects: nothing. It reports whether party B supports this.
    """
    if b.config.dialect.is_bearer:
        raise NotGiven("a dialect in which the client can authenticate in the header")
    code = b.plan()
    response = b.hand_over(code, b.right(code, way="body"))
    supports = "supports" if b.is_accepted(response) else "does not support"
    b.note(f"Party B {supports} client_secret in the body: {response}.")


@check("B-OK-4", Severity.MUST, draft="2.2.2/6 2.2.2/10", rfc="6749 6", threats="T1")
def after_a_refresh(b: PartyB) -> None:
    """A refreshed access token works too.

    Does: refreshes the tokens that party B issued, and hands a code over with the new access token.

    Expects: status 200.
    """
    access = b.refreshed(b.access())
    code = b.plan()
    b.must_accept(code, b.right(code, access), what="A hand-over with a refreshed token")


@check("B-OK-5", Severity.INFORMATION, draft="2.2.2/11", rfc="6749 5.1")
def body_of_200(b: PartyB) -> None:
    """What is the body of the accepted request?

    Does: hands a code over, and reads the body of the response.

    Expects: nothing. The draft does not say what the body is; it reports what came.
    """
    response = b.must_accept(b.plan())
    if not response.body:
        b.note("The body is empty.")
    elif isinstance(response.json(), dict):
        names = ", ".join(sorted(response.json())) or "nothing"
        b.note(f"The body is a JSON object with {names}.")
    else:
        kind = response.header("Content-Type") or "no type"
        b.note(f"The body is not JSON: {len(response.body)} bytes of {kind}.")
