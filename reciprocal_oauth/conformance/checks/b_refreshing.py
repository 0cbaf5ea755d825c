"""Party B refreshes its tokens at party A (RFC 6749, section 6)."""

from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..subject_credentials import must_authenticate
from ..verdicts import Broken, NotGiven, Severity, Unclear
from ..wire.server import Received, Reply
from .b_use import EachTokenOnce, use_if_it_works


def _refreshed(b: PartyB, times: int) -> Code:
    """Let party B refresh so often.

    :raises NotGiven: it does not refresh.
    :raises Unclear: it does so less often.
    :raises Broken: it does so with the tokens of an earlier code of the same connection.
    """
    code = b.linked(expires_in=1)
    earlier = b.refreshes(code.access_token)
    code.on_call = EachTokenOnce(b)
    use_if_it_works(b, code)
    for _ in range(times + 2):
        b.pause(1.5)
        before = len(code.refreshes)
        use_if_it_works(b, code)
        b.wait_for(lambda: len(code.refreshes) > before, min(3.0, b.quiet))  # noqa: B023
        if len(code.refreshes) >= times:
            return code
    if not code.refreshes and b.refreshes(code.access_token) > earlier:
        raise Broken("A refresh with the newest refresh token.", "It had one of an earlier code.")
    if not code.refreshes:
        raise NotGiven("a subject that refreshes its tokens (B-USE-2)")
    raise Unclear(f"There were {len(code.refreshes)} refreshes in {times + 2} uses.")


@check("B-USE-5", Severity.SHOULD, rfc="6749 6; 9110 15.6.4", threats="T2", needs="use")
def refresh_fails_for_a_while(b: PartyB) -> None:
    """A refresh that fails for a while does not end the link.

    Does: issues tokens that live for a second, answers the first refresh with status 503, and the
    next ones rightly.

    Expects: another refresh, and a call of the API with the new token.
    """
    code = b.linked(expires_in=1)
    code.on_call = EachTokenOnce(b)
    code.on_refresh = _fails_once(b)
    # While the token lives: a party B that never refreshes calls the API now.
    use_if_it_works(b, code)
    b.pause(1.5)
    use_if_it_works(b, code)
    if not b.wait_for(lambda: code.refreshes, b.waits.send):
        raise NotGiven("a subject that refreshes its tokens (B-USE-2)")
    failed, new = len(code.refreshes), len(code.tokens)
    until = b.recorder.now() + b.waits.retry
    while b.recorder.now() < until:
        b.pause(1.5)
        use_if_it_works(b, code)
        if b.wait_for(lambda: _is_called_with(b, code, code.tokens[new:]), min(3.0, b.quiet)):
            return
    if len(code.refreshes) == failed:
        raise Broken("Another refresh.", f"None came in {b.waits.retry:.0f} s.")
    raise Broken("A call with the new token.", "There was no call with it.")


def _fails_once(b: PartyB) -> Answer:
    """Answer the first refresh with status 503, and others rightly."""
    answers = [b.reply(Reply(503, [("Retry-After", "1")]))]

    def answer(code: Code, received: Received) -> Reply:
        return (answers.pop() if answers else b.tokens())(code, received)

    return answer


def _is_called_with(b: PartyB, code: Code, tokens: list[str]) -> bool:
    return any(b.token_of_call(call) in tokens for call in code.calls)


@check(
    "B-USE-8", Severity.MUST, rfc="6749 6; 9700 4.14.2", threats="T2", needs="use", negative=True
)
def newest_refresh_token(b: PartyB) -> None:
    """A new refresh token takes the place of the old one.

    Does: answers each refresh with another refresh token.

    Expects: the second refresh has the refresh token of the first one.
    """
    code = _refreshed(b, 2)
    sent = [next(iter(code.tokens_in(refresh)), "") for refresh in code.refreshes[:2]]
    if sent[0] == sent[1]:
        raise Broken("The new refresh token.", "The old one was sent again.")


@check("B-USE-9", Severity.MUST, rfc="6749 3.2.1; 6749 6", threats="B1", needs="use redemption")
def refresh_is_authenticated(b: PartyB) -> None:
    """A refresh is authenticated with party B's credentials.

    Does: reads a refresh.

    Expects: client ID and secret in Basic or in the body, in one way, as at the redemption.
    """
    must_authenticate(_refreshed(b, 1).refreshes[0], b.config.subject.at_tester)
