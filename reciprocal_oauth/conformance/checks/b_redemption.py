"""How party B redeems the code: the token request of RFC 6749, section 4.1.3."""

from .. import json_templates, made_up
from ..party_b import PartyB
from ..party_b.issuing import Code
from ..registry import check
from ..subject_credentials import must_authenticate
from ..verdicts import Broken, Severity, Unclear
from ..wire.client import FORM
from ..wire.server import Received

#: A code can have any printable sign of ASCII (RFC 6749, appendix A.11). These often get lost.
_SIGNS = "%41%2B+!#$&()*,-./:;<=>?@[\\]^_`{|}~"
#: Characters of a long code.
_LONG = 512


def _redemption(b: PartyB) -> Received:
    code = b.handed_over()
    if not b.wait_for(lambda: code.redemptions, b.waits.redeem):
        raise Unclear("The code was not redeemed (B-OK-2).")
    b.redeemed_in(code)
    return code.redemptions[0]


@check(
    "B-RED-1", Severity.MUST, draft="2/4 2.2.2/12", rfc="6749 2.3.1; 6749 4.1.3", needs="redemption"
)
def redemption_is_a_form(b: PartyB) -> None:
    """The redemption is a POST with a form.

    Does: reads the token request with which party B redeems a code.

    Expects: POST, application/x-www-form-urlencoded, grant_type=authorization_code, each parameter
    once, and nothing in the URL.
    """
    redemption = _redemption(b)
    if redemption.method != "POST":
        raise Broken("POST.", f"The method is {redemption.method}.")
    kind = redemption.header("Content-Type").split(";")[0].strip().lower()
    if kind != FORM:
        raise Broken(f"Content-Type: {FORM}.", f"Content-Type is {kind or 'missing'}.")
    if redemption.all("grant_type") != ["authorization_code"]:
        raise Broken(
            "grant_type=authorization_code.", f"grant_type is {redemption.all('grant_type')}."
        )
    if len(redemption.all("code")) != 1:
        raise Broken("One parameter code.", f"There are {len(redemption.all('code'))}.")
    if redemption.query:
        names = ", ".join(name for name, _ in redemption.query)
        raise Broken("No parameters in the URL.", f"The URL has {names}.")


@check("B-RED-2", Severity.MUST, draft="2.2.2/12", rfc="6749 2.3; 6749 3.2.1", threats="H12")
def redemption_is_authenticated(b: PartyB) -> None:
    """Party B authenticates with its own client ID and secret, in one way.

    Does: reads the token request with which party B redeems a code.

    Expects: the credentials that the tester issued to party B, in Basic (form-encoded) or in the
    body, not in both.
    """
    redemption = _redemption(b)
    own = b.config.subject.at_tester
    if b.config.dialect.redemption == "json":
        sent = set(json_templates.strings(redemption.json))
        if not {own.client_id, own.client_secret} <= sent:
            raise Broken("The client ID and the secret are in the body.", "They are not.")
        return
    must_authenticate(redemption, own)


@check(
    "B-RED-3",
    Severity.MUST,
    draft="2.2.2/12",
    rfc="6749 4.1.3; 9700 4.8.2",
    threats="C1 C5",
    needs="redemption",
)
def redemption_has_no_redirect_uri(b: PartyB) -> None:
    """The redemption has no redirect_uri and no verifier.

    Does: reads the token request with which party B redeems a code.

    Expects: no redirect_uri and no code_verifier, not even empty ones: party A's code came without
    an authorization request.
    """
    redemption = _redemption(b)
    for name in ("redirect_uri", "code_verifier"):
        values = redemption.all(name)
        if values:
            kind = "an empty value" if values == [""] else "a value"
            raise Broken(f"No {name}.", f"{name} is there with {kind}.")


@check("B-RED-4", Severity.MUST, draft="2.2.2/12", rfc="6749 4.1.2", threats="C7", negative=True)
def redeemed_once(b: PartyB) -> None:
    """A code that gave tokens is not redeemed again.

    Does: answers the redemption with tokens, and waits.

    Expects: no second token request with this code.
    """
    code = b.linked()
    b.must_redeem_at_most(code, 1)


@check("B-RED-6", Severity.SHOULD, draft="2.2.2/4 2.2.2/12", rfc="6749 4.1.2; 6749 A.11")
def long_code(b: PartyB) -> None:
    """A long code with odd characters is redeemed as it is.

    Does: hands a code over that has 512 characters, among them all signs of ASCII but quotes and
    blanks.

    Expects: a redemption of exactly this code: its size is left to party A.
    """
    code = b.plan(value=made_up.value(_SIGNS, _LONG))
    response = b.hand_over(code)
    if not b.is_accepted(response):
        raise Broken("Status 200.", f"It was answered with {response}.")
    if b.wait_for(lambda: code.redemptions, b.waits.redeem):
        b.redeemed_in(code)
        return
    raise Broken("A redemption of this code.", "No redemption had it as it was handed over.")


@check("B-RED-7", Severity.MUST, rfc="6749 5.1", draft="2.2.2/12", needs="use draft")
def shortest_token_response(b: PartyB) -> None:
    """A token response with access_token and token_type is enough.

    Does: answers a redemption without expires_in, refresh_token and scope, and lets party B use the
    token.

    Expects: a call of the API with it.
    """
    b.must_call(b.linked())
    code = b.linked(b.tokens(expires_in=None, refresh_token=None, scope=None))
    b.must_still_call(code)


@check(
    "B-RED-5",
    Severity.SECURITY,
    draft="2.2.2/8 2.2.2/12",
    rfc="6749 3.2; 9110 4.3.4",
    threats="H10",
    needs="tls",
    negative=True,
)
def wrong_certificate(b: PartyB) -> None:
    """Party B does not send a code to a server with a wrong certificate.

    Does: shows a certificate that nobody issued and that is for another host, and hands a code
    over.

    Expects: no token request comes through.
    """
    code = b.plan()
    refused_before = b.server.refused_handshakes
    with b.server.wrong_certificate():
        b.must_be_taken(code)
        b.wait_for(lambda: _was_tried(b, code, refused_before), b.waits.redeem)
        came_through = not b.stays_quiet(lambda: code.redemptions)
    if came_through:
        raise Broken("No request.", "The code was sent over a connection that is not trusted.")
    if b.server.refused_handshakes == refused_before:
        raise Unclear("Party B did not try to connect.")


def _was_tried(b: PartyB, code: Code, refused_before: int) -> bool:
    return bool(code.redemptions) or b.server.refused_handshakes > refused_before
