"""The ordinary grant, by which party A gets its access token from party B: steps (A) to (C)."""

from .. import made_up
from ..drivers.journeys import Journey
from ..party_b import PartyB
from ..party_b.handing_over import INVALID
from ..party_b.holding import CALLBACK
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear
from ..wire.client import Response

_GRANT = "2/1"
_REFUSALS = range(400, 500)


def _must_be_refused(response: Response, what: str) -> None:
    if response.status not in _REFUSALS:
        raise Broken(f"{what} is refused.", f"It was answered with {response}.")


@check("B-AUTHZ-1", Severity.SECURITY, draft=_GRANT, rfc="7636 4.6", threats="C2", negative=True)
def verifier(b: PartyB) -> None:
    """An ordinary code is not redeemed without its verifier.

    Does: gets codes from party B's authorization endpoint with a challenge, and redeems one without
    a verifier, one with another verifier.

    Expects: both are refused.
    """
    if not b.config.subject.pkce:
        raise NotGiven("a subject with PKCE: subject.pkce is false")
    _must_be_refused(b.exchange(b.authorized(), verifier=""), "A code without its verifier")
    other = b.secret(made_up.value("verifier-"), "code_verifier")
    _must_be_refused(b.exchange(b.authorized(), verifier=other), "Another verifier")


@check("B-AUTHZ-2", Severity.MUST, draft=_GRANT, rfc="6749 4.1.2", threats="C7", negative=True)
def used_once(b: PartyB) -> None:
    """An ordinary code is used once.

    Does: redeems a code of party B twice.

    Expects: the second redemption is refused.
    """
    given = b.authorized()
    first = b.exchange(given)
    if first.status != 200:
        raise Unclear(f"The first redemption was answered with {first}.")
    b.keep_access(b.user, b.config.tester, given.callback, first)
    _must_be_refused(b.exchange(given), "The second redemption")


@check("B-AUTHZ-3", Severity.MUST, draft=_GRANT, rfc="6749 4.1.3", threats="C6", negative=True)
def bound_to_client(b: PartyB) -> None:
    """An ordinary code is bound to its client and its redirect URI.

    Does: redeems a code with another redirect_uri, and one with the second client, if there is one.

    Expects: both are refused.
    """
    other = b.config.base_url + CALLBACK + "/other"
    _must_be_refused(b.exchange(b.authorized(), redirect_uri=other), "Another redirect_uri")
    if b.has("2c"):
        response = b.exchange(b.authorized(), client=b.second_client())
        _must_be_refused(response, "A code of another client")


@check("B-AUTHZ-4", Severity.SECURITY, draft=_GRANT, rfc="9700 2.1; 9700 4.1", negative=True)
def exact_redirect_uri(b: PartyB) -> None:
    """The browser is sent back to the registered redirect URI only.

    Does: asks for a code with a redirect URI that begins as the registered one.

    Expects: the browser does not come there.
    """
    path = f"{CALLBACK}/{made_up.value('elsewhere-')}"
    b.recorder.own(path)
    url = b.authorization_url(
        b.config.tester,
        b.secret(made_up.value("state-"), "state"),
        b.secret(made_up.value("verifier-"), "code_verifier"),
        redirect_uri=b.config.base_url + path,
    )
    b.try_journey(Journey("authorize", user=b.user, url=url), lambda: b.is_called(path))
    if not b.stays_quiet(lambda: b.is_called(path)):
        raise Broken("The registered redirect URI only.", "The browser came to another one.")


@check("B-REF-1", Severity.MUST, draft=_GRANT, rfc="6749 6", threats="C15", needs="scopes")
def refresh(b: PartyB) -> None:
    """A refresh gives no more scope than the user allowed.

    Does: gets tokens for the first scope of tester.at_subject.scope, and asks all at the refresh.

    Expects: a refusal, or no more scope than before.
    """
    whole = b.config.tester.scope
    first = whole.split()[0]
    authorization = b.authorized(scope=first)
    response = b.exchange(authorization)
    if response.status != 200:
        raise Unclear(f"The redemption was answered with {response}.")
    access = b.keep_access(b.user, b.config.tester, authorization.callback, response)
    granted = response.member("scope")
    allowed = set((granted if isinstance(granted, str) else first).split())
    if not access.refresh_token:
        raise NotGiven("a subject that issues refresh tokens")
    if set(whole.split()) <= allowed:
        raise NotGiven(f"a subject that grants the scope that is asked (it gave {granted})")
    pairs = [("grant_type", "refresh_token"), ("refresh_token", access.refresh_token)]
    response = b.send(b.token_request([*pairs, ("scope", whole)], b.config.tester))
    given = response.member("scope")
    if response.status >= 500:
        raise Broken("A refusal, or no more scope.", f"It was answered with {response}.")
    if response.status == 200:
        b.keep_access(b.user, b.config.tester, authorization.callback, response)
        # A response without scope grants what was asked (RFC 6749, section 5.1).
        if not isinstance(given, str) or set(given.split()) - allowed:
            now = given if isinstance(given, str) else whole
            raise Broken(f"scope={' '.join(sorted(allowed))}.", f"scope={now}.")
        return
    right = b.send(b.token_request(pairs, b.config.tester))
    if right.status != 200:
        raise Unclear(f"A refresh without scope was answered with {right}.")
    b.keep_access(b.user, b.config.tester, authorization.callback, right)


@check("B-REV-1", Severity.SECURITY, rfc="7009 2.1", threats="B6", needs="rev 2c")
def revoked_by_another_client(b: PartyB) -> None:
    """A client does not revoke the tokens of another one.

    Does: revokes an access token as the second client, and hands a code over with it.

    Expects: the hand-over is accepted.
    """
    b.forget_user(b.user)
    access = b.access()
    b.revoke_one(access.access_token, "access_token", b.second_client())
    code = b.plan()
    b.must_accept(code, b.right(code, access), what="With a token that another client revoked, it")


@check("B-REV-2", Severity.SHOULD, rfc="7009 2.1", threats="B7", needs="rev", negative=True)
def refresh_token_revoked(b: PartyB) -> None:
    """The revocation of a refresh token also ends its access tokens.

    Does: revokes the refresh token, and hands a code over with the access token.

    Expects: status 400.
    """
    access = b.new_access()
    if not access.refresh_token:
        raise NotGiven("a subject that issues refresh tokens")
    b.revoke_one(access.refresh_token, "refresh_token", access.client)
    code = b.plan()
    b.must_refuse(code, b.right(code, access), INVALID, what="A token of a grant that was revoked")


@check(
    "B-REF-2", Severity.MUST, draft=_GRANT, rfc="6749 6", threats="B6", needs="2c", negative=True
)
def refresh_of_another_client(b: PartyB) -> None:
    """A client does not refresh with the refresh token of another one.

    Does: refreshes rightly, and sends the refresh token of the first client as the second one.

    Expects: a refusal.
    """
    second = b.second_client()
    access = b.refreshed(b.access())
    pairs = [("grant_type", "refresh_token"), ("refresh_token", access.refresh_token)]
    _must_be_refused(b.send(b.token_request(pairs, second)), "A refresh token of another client")


@check(
    "B-AUTHZ-5", Severity.MUST, draft=_GRANT, rfc="9207 2; 9207 2.3", threats="L6", needs="metadata"
)
def issuer_in_the_response(b: PartyB) -> None:
    """The authorization response has the issuer, if the metadata say so.

    Does: reads authorization_response_iss_parameter_supported, and an authorization response.

    Expects: iss, with the issuer of the metadata.
    """
    metadata = b.metadata()
    if metadata.get("authorization_response_iss_parameter_supported") is not True:
        raise NotGiven("a subject whose metadata say that its responses have iss (RFC 9207)")
    came = b.access().callback.get("iss")
    if came != metadata.get("issuer"):
        raise Broken(f"iss={metadata.get('issuer')}.", f"iss={came}." if came else "No iss.")
