"""How party A authenticates to party B (section 2.2.2; RFC 6749, section 2.3)."""

import re
from dataclasses import replace

from .. import made_up
from ..client_of_subject import odd_basic_headers
from ..config import Client
from ..party_b import PartyB
from ..party_b.handing_over import UNAUTHENTICATED
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.client import Request, Response

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_VERIFY = "2.2.2/2 2.2.2/9"
_OWN = "The client's own credentials are demanded."


@check(
    "B-AUTH-1",
    Severity.MUST,
    draft=_VERIFY,
    rfc="6749 2.3.1",
    needs="authenticated special",
)
def form_encoded_secret(b: PartyB) -> None:
    """A secret with special characters works in Basic.

    Does: authenticates with Basic, ID and secret form-encoded before they are joined.

    Expects: status 200.
    """
    b.adapt()
    if b.config.tester.auth == "body":
        raise NotGiven('tester.at_subject.auth = "basic"')
    if b.config.dialect.has_secret_in_body:
        raise NotGiven("a dialect in which the client authenticates in the header")
    b.access()
    refused = b.refused_authentications.get("basic")
    if refused is not None:
        works = {"basic-raw": "without form-encoding", "body": "in the body"}
        said = works.get(b.authentication, "in no way")
        raise Broken("Status 200.", f"It was answered with {refused}; the credentials work {said}.")
    code = b.plan()
    b.must_accept(code, b.right(code, way="basic"), what="A form-encoded secret")


def _with_client(b: PartyB, client: Client) -> Request:
    """The right hand-over, with the credentials of another client."""
    access = b.access()
    code = b.plan()
    return b.request(b.parameters(code, access.access_token, client), client=client)


@check(
    "B-AUTH-2",
    Severity.MUST,
    draft=_VERIFY + " 2.2.2/11",
    rfc="6749 5.2",
    threats="B1",
    needs="authenticated",
    negative=True,
)
def wrong_secret(b: PartyB) -> None:
    """A wrong secret is refused.

    Does: sends the right hand-over with a secret whose last character is wrong.

    Expects: status 401, as RFC 6749 says. Status 400, as the draft says, is a warning.
    """
    code = b.plan()
    wrong = b.config.tester.with_wrong_secret()
    request = b.request(b.parameters(code, b.access().access_token), client=wrong)
    response = b.must_refuse(code, request, UNAUTHENTICATED, error="invalid_client", what=_OWN)
    if response.status == 400 and not b.config.dialect.name:
        raise Broken("Status 401.", f"It was {response}.", at_worst=Verdict.WARN)


@check(
    "B-AUTH-3",
    Severity.MUST,
    rfc="6749 5.2",
    threats="B1",
    needs="authenticated",
    negative=True,
)
def challenge(b: PartyB) -> None:
    """The refusal names the scheme that the client used.

    Does: sends a wrong secret in the header Authorization.

    Expects: WWW-Authenticate with Basic.
    """
    b.require_header()
    response = b.send(_with_client(b, b.config.tester.with_wrong_secret()))
    if response.status == 400:
        raise NotGiven("a subject that answers a wrong secret with 401 (B-AUTH-2)")
    if response.status != 401:
        raise Unclear(f"The wrong secret was answered with {response} (B-AUTH-2).")
    value = response.header("WWW-Authenticate")
    if "basic" not in value.lower():
        raise Broken("WWW-Authenticate: Basic.", f"It is {value or 'missing'}.")


@check(
    "B-AUTH-4",
    Severity.MUST,
    draft=_VERIFY,
    threats="B1 B14",
    needs="authenticated",
    negative=True,
)
def no_secret(b: PartyB) -> None:
    """A client that does not authenticate is refused.

    Does: sends the four parameters without a secret and without the header.

    Expects: status 400 or 401, and the code is not redeemed.
    """
    code = b.plan()
    request = b.request(b.parameters(code, b.access().access_token), way="none")
    b.must_refuse(code, request, UNAUTHENTICATED, error="invalid_client", what=_OWN)


@check(
    "B-AUTH-5",
    Severity.SECURITY,
    draft=_VERIFY,
    threats="B14",
    needs="authenticated",
    negative=True,
)
def bearer(b: PartyB) -> None:
    """The access token does not stand in for the client's secret.

    Does: sends the four parameters with the access token as Bearer, and without a secret.

    Expects: status 400 or 401, and the code is not redeemed.
    """
    code = b.plan()
    token = b.access().access_token
    request = b.request(b.parameters(code, token), way="none")
    headers = [pair for pair in request.headers if pair[0] != "Authorization"]
    headers.append(("Authorization", f"Bearer {token}"))
    b.must_refuse(
        code,
        replace(request, headers=headers),
        UNAUTHENTICATED,
        error="invalid_client",
        what=_OWN,
    )


@check(
    "B-AUTH-6",
    Severity.SHOULD,
    rfc="6749 2.3",
    threats="B3",
    needs="authenticated form",
    negative=True,
)
def two_ways(b: PartyB) -> None:
    """A request that authenticates in two ways is refused.

    Does: sends the right secret in the header and in the body.

    Expects: status 400 or 401. RFC 6749 forbids it to clients; servers should not guess which one
    counts.
    """
    b.require_header()
    code = b.plan()
    more = [("client_secret", b.config.tester.client_secret)]
    request = b.right(code, more=more)
    b.must_refuse(code, request, UNAUTHENTICATED, error="invalid_request", what="The request")


@check(
    "B-AUTH-7",
    Severity.MUST,
    draft=_VERIFY + " 2.2.2/5 2.2.2/10",
    threats="B3",
    needs="2c",
    negative=True,
)
def client_id_of_another(b: PartyB) -> None:
    """A client_id that is not that of the client is refused.

    Does: authenticates as the first client, with its access token, and sends the client_id of the
    second one. In a dialect whose hand-over has the client ID of party B, that ID is wrong.

    Expects: status 400 or 401, and the code is not redeemed.
    """
    b.require_parameter("client_id", "subject_client_id")
    code, other = b.plan(), b.second_client()
    parameters = b.parameters(code, b.access().access_token, other)
    if b.config.dialect.sends("subject_client_id"):
        parameters.append(("subject_client_id", other.client_id))
    request = b.request(parameters, client=b.config.tester)
    b.must_refuse(code, request, UNAUTHENTICATED, error="invalid_request", what="The request")


@check(
    "B-AUTH-9",
    Severity.SECURITY,
    draft=_VERIFY,
    rfc="6749 5.2; 7617 2",
    threats="B1 P5",
    needs="authenticated",
    negative=True,
)
def odd_header(b: PartyB) -> None:
    """An odd header Authorization is refused.

    Does: sends Basic with what is no Base64, without a colon, with a bad percent sign, with bytes
    that are not UTF-8, and with the name constructor, which each object of JavaScript has.

    Expects: status 400 or 401 each time, and the code is not redeemed.
    """
    b.require_header()
    for what, header in odd_basic_headers(b.config.tester.client_id).items():
        code = b.plan()
        request = b.right(code)
        headers = [pair for pair in request.headers if pair[0] != "Authorization"]
        changed = b.changed_request(request, headers=[*headers, ("Authorization", header)])
        b.must_refuse(code, changed, UNAUTHENTICATED, error="invalid_client", what=what)


@check(
    "B-AUTH-8",
    Severity.SHOULD,
    draft=_VERIFY,
    rfc="6749 5.2",
    threats="B1",
    needs="authenticated",
    negative=True,
)
def unknown_client(b: PartyB) -> None:
    """An unknown client and a wrong secret are answered alike.

    Does: sends a client ID that does not exist, and a wrong secret.

    Expects: the same status and error, so that nobody can find out which clients exist.
    """
    nobody = Client(made_up.value(), made_up.value())
    unknown, wrong = (
        b.send(_with_client(b, client)) for client in (nobody, b.config.tester.with_wrong_secret())
    )
    if b.is_accepted(unknown):
        raise Broken("An unknown client is refused.", f"It was answered with {unknown}.")
    must_be_alike(b, {"Unknown client": unknown, "Wrong secret": wrong})


def must_be_alike(b: PartyB, responses: dict[str, Response]) -> None:
    """Compare what responses tell.

    :raises Broken: they tell different things.
    """
    told = {what: _told(b, response) for what, response in responses.items()}
    if len(set(told.values())) > 1:
        observed = " ".join(f"{what}: {text}." for what, text in told.items())
        raise Broken("The same status and error.", observed)


def _told(b: PartyB, response: Response) -> str:
    """What a response tells: its status, and the members of its error. A dialect may have others,
    so there it is the whole body; an ID in it that is new each time tells nothing."""
    if b.config.dialect.name:
        return f"{response.status} {_UUID.sub('', response.text)}"
    description = response.member("error_description")
    return f"{response} and {description!r}" if description else str(response)
