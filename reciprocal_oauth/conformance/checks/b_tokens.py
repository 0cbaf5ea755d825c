"""Party B verifies that the access token was granted to the client (section 2.2.2)."""

from .. import made_up
from ..party_b import PartyB
from ..party_b.handing_over import INVALID
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.client import Request, Response
from .b_authentication import must_be_alike

#: Seconds by which clocks may differ.
_LEEWAY = 30
_GRANTED = "2.2.2/6 2.2.2/7 2.2.2/10 2.2.2/11"


def _refuses_token(b: PartyB, token: str, what: str) -> Response:
    code = b.plan()
    request = b.request(b.parameters(code, token))
    return b.must_refuse(code, request, INVALID, error="invalid_grant", what=what)


@check("B-TOK-1", Severity.MUST, draft=_GRANTED, threats="B6 H12", needs="2c", negative=True)
def token_of_another_client(b: PartyB) -> None:
    """An access token of another client is refused.

    Does: authenticates as the first client, and sends an access token of the second one.

    Expects: status 400. The token goes on working for its own client.
    """
    access = b.access(client=b.second_client())
    _refuses_token(b, access.access_token, "A token of another client")
    for api in b.config.subject.api[:1]:
        headers = [("Authorization", f"Bearer {access.access_token}")]
        response = b.send(Request("GET", api.url, headers))
        if response.status == 401:
            raise Broken("The token works for its own client.", f"The API answers {response}.")


@check("B-TOK-2", Severity.MUST, draft=_GRANTED, threats="B7", negative=True)
def unknown_token(b: PartyB) -> None:
    """An unknown access token is refused.

    Does: sends an access token that nobody has issued.

    Expects: status 400, and the code is not redeemed.
    """
    _refuses_token(b, b.secret(made_up.value(), "access_token"), "An unknown token")


@check("B-TOK-3", Severity.SECURITY, draft=_GRANTED, threats="B7", negative=True)
def other_letter_case(b: PartyB) -> None:
    """An access token in other letter case is refused.

    Does: sends the right access token with capitals and small letters exchanged.

    Expects: status 400. Some databases ignore letter case, and find it.
    """
    token = b.access().access_token
    if token.swapcase() == token:
        raise NotGiven("a subject whose tokens have letters")
    _refuses_token(b, b.secret(token.swapcase(), "access_token"), "A token in other letter case")


@check("B-TOK-4", Severity.MUST, draft=_GRANTED, threats="B7", negative=True, slow=True)
def expired_token(b: PartyB) -> None:
    """An expired access token is refused.

    Does: gets an access token, waits for the end of its life, and sends it. If it is accepted, it
    sends it once more 30 seconds later.

    Expects: status 400. A token that is accepted a little longer is a warning: RFC 7519, section
    4.1.4, allows for clocks that differ.
    """
    life = b.access().expires_in
    if life is None or life > b.waits.max_wait:
        said_life = "does not say expires_in" if life is None else f"says {life:.0f} s"
        raise NotGiven(
            f"access tokens that live at most waits.max_wait ({b.waits.max_wait:.0f} s); "
            f"the token response {said_life}"
        )
    access = b.new_access()
    b.pause(life + 1)
    b.forget_user(access.user)
    b.access()
    request = b.request(b.parameters(b.plan(), access.access_token))
    lives_on = b.is_accepted(b.send(request))
    if lives_on:
        b.pause(_LEEWAY)
    _refuses_token(b, access.access_token, "An expired token")
    if lives_on:
        raise Broken(
            "A refusal as soon as the life is over.",
            f"It was accepted a second later, and refused {_LEEWAY} s after that.",
            at_worst=Verdict.WARN,
        )


@check(
    "B-TOK-5", Severity.MUST, draft=_GRANTED, rfc="7009 2", threats="B7", needs="rev", negative=True
)
def revoked_token(b: PartyB) -> None:
    """A revoked access token is refused.

    Does: gets an access token, revokes it, and sends it.

    Expects: status 400.
    """
    access = b.new_access()
    # Not its refresh token: both may end by that alone.
    response = b.revoke_one(access.access_token, "access_token", access.client)
    if response.member("error") == "unsupported_token_type":
        # RFC 7009, section 2: only the revocation of refresh tokens must be supported.
        raise NotGiven("a subject that revokes access tokens")
    if response.status != 200:
        raise Broken("The revocation is answered with 200.", f"It was {response}.")
    b.forget_user(access.user)
    _refuses_token(b, access.access_token, "A revoked token")


@check("B-TOK-6", Severity.SECURITY, draft=_GRANTED, threats="B8", negative=True)
def token_without_user(b: PartyB) -> None:
    """An access token that belongs to no user is refused.

    Does: gets an access token by client_credentials, and sends it.

    Expects: status 400: the token says which user's authorization it is about.
    """
    _refuses_token(b, b.client_credentials(), "A token without a user")


@check("B-TOK-7", Severity.SECURITY, draft=_GRANTED, threats="B6 B7", needs="2c", negative=True)
def same_answer(b: PartyB) -> None:
    """An unknown token and one of another client are answered alike.

    Does: sends both.

    Expects: the same status and error, so that nobody can try tokens.
    """
    tokens = (b.access(client=b.second_client()).access_token, made_up.value())
    other, unknown = (b.send(b.request(b.parameters(b.plan(), token))) for token in tokens)
    if b.is_accepted(other) or b.is_accepted(unknown):
        raise Unclear("One of the tokens was accepted (B-TOK-1, B-TOK-2).")
    must_be_alike(b, {"Another client's": other, "Unknown": unknown})


@check("B-TOK-8", Severity.MUST, draft="3/3", threats="S3")
def second_code(b: PartyB) -> None:
    """A second code with the same access token is accepted.

    Does: hands two codes over, one after the other, as an update does (section 3).

    Expects: status 200 both times.
    """
    b.must_accept(b.plan(), what="The first code")
    b.must_accept(b.plan(), what="The second code with the same token")


@check("B-TOK-9", Severity.MUST, draft=_GRANTED, threats="B7", negative=True)
def refresh_token(b: PartyB) -> None:
    """A refresh token in the place of the access token is refused.

    Does: sends the refresh token that party B issued as access_token.

    Expects: status 400.
    """
    token = b.access().refresh_token
    if not token:
        raise NotGiven("a subject that issues refresh tokens")
    _refuses_token(b, token, "A refresh token")
