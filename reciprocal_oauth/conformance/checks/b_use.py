"""Party B uses what it got: the newest tokens, each for its user; and updates (section 3)."""

from typing import Any

from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..verdicts import Broken, Severity, Unclear
from ..wire.server import Received, Reply

#: Seconds by which the answer to the older code is late.
_LATE = 1.0
#: Seconds that it waits for the newer code: a party B may redeem one code after the other.
_LONGEST = 8.0


@check("B-UPD-1", Severity.MUST, draft="3/1 3/2 3/3", threats="S3")
def second_code_is_redeemed(b: PartyB) -> None:
    """The code of an update is redeemed.

    Does: hands a code over and waits until it is redeemed; then hands a second one over.

    Expects: the second code is redeemed too.
    """
    b.linked()
    b.must_redeem(b.handed_over())


@check("B-UPD-2", Severity.SECURITY, draft="3/3", threats="S10", needs="use", negative=True)
def newest_code_counts(b: PartyB) -> None:
    """The tokens of the newest code are used.

    Does: hands two codes over; the answer to the older one comes later than that to the newer one.

    Expects: party B calls the API with the tokens of the newer code.
    """
    newer = b.plan()
    older = b.plan(_after(b, newer))
    if b.config.dialect.redeems_first:
        b.hand_over_meanwhile(older)
    else:
        b.must_be_taken(older)
    if not b.wait_for(lambda: older.redemptions, b.waits.redeem):
        raise Unclear("The first code was not redeemed (B-OK-2).")
    b.must_be_accepted(newer)
    if not b.wait_for(lambda: newer.tokens, b.waits.redeem):
        raise Unclear("The second code was not redeemed (B-UPD-1).")
    b.pause(_LATE + 1)
    new, old = b.own_calls(newer), _calls_without(b, newer)
    b.try_use("", newer, older)
    b.wait_for(lambda: len(newer.calls) > new or _calls_without(b, newer) > old, b.waits.send)
    # Party B can go on with the tokens of a code that is older than both, too.
    if _calls_without(b, newer) > old:
        raise Broken("A call with the newer tokens.", "The call has older ones.")
    if len(newer.calls) == new:
        raise Unclear("The journey use led to no call of the tester's API.")


def _after(b: PartyB, newer: Code) -> Answer:
    """Answer a little later than the redemption of the newer code is answered."""

    def answer(code: Code, received: Received) -> Reply:
        b.wait_for(lambda: newer.tokens, min(_LONGEST, b.waits.redeem))
        return b.tokens(delay=_LATE)(code, received)

    return answer


def _calls_without(b: PartyB, code: Code) -> int:
    """Count the calls with tokens of other codes of the same connection: party B may make another
    one when the user allows access again."""
    others = {each for each, _ in b.redeemed if each.access_token == code.access_token} - {code}
    return sum(len(each.calls) for each in others)


@check("B-UPD-3", Severity.INFORMATION, draft="3/1", rfc="6749 5.1", needs="use")
def less_scope(b: PartyB) -> None:
    """Less scope in the token response is taken.

    Does: answers a redemption with a smaller scope, and lets party B use the tokens.

    Expects: nothing. It reports whether the call comes.
    """
    code = b.linked(b.tokens(scope="less"))
    before = b.own_calls(code)
    b.try_use("", code)
    called = b.wait_for(lambda: len(code.calls) > before, b.waits.send)
    b.note(f"Party B {'calls' if called else 'does not call'} the API with the smaller scope.")


@check(
    "B-USE-1",
    Severity.SECURITY,
    draft="2.2.2/7",
    threats="B16 H12",
    needs="use 2u",
    negative=True,
)
def other_user_in_the_response(b: PartyB) -> None:
    """The user is that of the access token, whatever the token response says.

    Does: hands the first user's code over. The token response names the second user, in sub,
    user_id, username and email.

    Expects: party B uses the tokens for the first user only.
    """
    other = b.other_user()
    names: dict[str, Any] = dict.fromkeys(("sub", "user_id", "username", "user", "email"), other)
    code = b.linked(b.tokens(**names))
    before = b.own_calls(code)
    _use_if_possible(b, other)
    if not b.stays_quiet(lambda: len(code.calls) > before):
        _require_no_own_calls(b, code)
        raise Broken(
            "The tokens are used for the first user.", "They were used for the second user."
        )
    b.must_call(code)


def _use_if_possible(b: PartyB, user: str) -> None:
    try:
        b.try_use(user)
    except Unclear:
        b.note("The second user cannot use the connection, as it should be.")


@check("B-USE-2", Severity.SHOULD, rfc="6749 6", threats="T1 T2", needs="use")
def refresh_token_is_kept(b: PartyB) -> None:
    """A refresh without a new refresh token leaves the old one.

    Does: issues tokens that live for a second, and no new refresh token with a refresh.

    Expects: party B refreshes at least twice, with the refresh token that it has.
    """
    code = b.linked(expires_in=1)
    code.on_refresh = b.tokens(refresh_token=None)
    code.on_call = _EachTokenOnce(b)
    # While the token lives: a party B that never refreshes calls the API now.
    b.try_use()
    for _ in range(4):
        b.pause(1.5)
        before = len(code.refreshes)
        b.try_use()
        b.wait_for(lambda: len(code.refreshes) > before, min(3.0, b.quiet))  # noqa: B023
        if len(code.refreshes) >= 2:
            return
    if not code.calls and not code.refreshes:
        raise Unclear("The journey use led to no call and no refresh.")
    raise Broken("Two refreshes.", f"There were {len(code.refreshes)} in four uses.")


class _EachTokenOnce:
    """An API that takes each access token once: then it has expired."""

    def __init__(self, b: PartyB) -> None:
        self._b = b
        self._seen: set[str] = set()

    def __call__(self, received: Received) -> Reply:
        token = self._b.token_of_call(received)
        if token in self._seen:
            return _expired(received)
        self._seen.add(token)
        return Reply.json(ok=True)


def _expired(received: Received) -> Reply:
    return Reply(401, [("WWW-Authenticate", 'Bearer error="invalid_token"')])


@check("B-USE-3", Severity.SECURITY, draft="2.2.2/7", threats="H12", needs="use 2u", negative=True)
def each_user_has_own_token(b: PartyB) -> None:
    """Each user's calls have the user's own token.

    Does: hands codes of two users over, and lets party B use both connections.

    Expects: each call has the token of the user who is signed in.
    """
    users = (b.user, b.other_user())
    codes = [b.linked(access=b.access(user)) for user in users]
    for user, own, foreign in zip(users, codes, reversed(codes), strict=True):
        before = b.own_calls(foreign)
        try:
            b.must_call(own, user)
        except Unclear:
            if len(foreign.calls) == before:
                raise
        if len(foreign.calls) > before:
            _require_no_own_calls(b, foreign)
            raise Broken("A call with the user's own token.", "It has the other user's token.")


def _require_no_own_calls(b: PartyB, code: Code) -> None:
    """:raises Unclear: party B calls the API without a user, too."""
    before = len(code.calls)
    if not b.stays_quiet(lambda: len(code.calls) > before):
        raise Unclear("Party B calls the API by itself, so calls do not tell who used it.")


#: Calls and refreshes of one use with tokens that do not work any more.
_AT_MOST = 2


@check("B-USE-4", Severity.SHOULD, rfc="6749 6", threats="T2", needs="use", negative=True)
def no_loop(b: PartyB) -> None:
    """Tokens that do not work any more lead to no loop.

    Does: answers the call of the API with 401, and the refresh with invalid_grant.

    Expects: at most two calls and two refreshes.
    """
    code = b.linked()
    before = b.own_calls(code)
    code.on_call = _expired
    code.on_refresh = b.refusal()

    def calls() -> int:
        return len(code.calls) - before

    _use_if_it_works(b, code)
    if not b.wait_for(calls, b.waits.send):
        raise Unclear("The journey use led to no call of the tester's API.")
    b.stays_quiet(lambda: calls() > _AT_MOST or len(code.refreshes) > _AT_MOST)
    if calls() > _AT_MOST or len(code.refreshes) > _AT_MOST:
        raise Broken(
            f"At most {_AT_MOST} calls and refreshes.",
            f"There were {calls()} calls and {len(code.refreshes)} refreshes.",
        )


def _use_if_it_works(b: PartyB, code: Code) -> None:
    try:
        b.try_use("", code)
    except Unclear as error:
        b.note(f"The page of the journey is an error page: {error}")


@check("B-USE-5", Severity.SHOULD, rfc="6749 6; 9110 15.6.4", threats="T2", needs="use")
def refresh_fails_for_a_while(b: PartyB) -> None:
    """A refresh that fails for a while does not end the link.

    Does: issues tokens that live for a second, answers the first refresh with status 503, and the
    next ones rightly.

    Expects: another refresh, and a call of the API with the new token.
    """
    code = b.linked(expires_in=1)
    code.on_call = _EachTokenOnce(b)
    code.on_refresh = b.reply(Reply(503, [("Retry-After", "1")]))
    # While the token lives: a party B that never refreshes calls the API now.
    _use_if_it_works(b, code)
    b.pause(1.5)
    _use_if_it_works(b, code)
    if not b.wait_for(lambda: code.refreshes, b.waits.send):
        raise Unclear("The journey use led to no refresh (B-USE-2).")
    code.on_refresh = None
    failed, new = len(code.refreshes), len(code.tokens)
    until = b.recorder.now() + b.waits.retry
    while b.recorder.now() < until:
        b.pause(1.5)
        _use_if_it_works(b, code)
        if b.wait_for(lambda: _is_called_with(b, code, code.tokens[new:]), min(3.0, b.quiet)):
            return
    if len(code.refreshes) == failed:
        raise Broken("Another refresh.", f"None came in {b.waits.retry:.0f} s.")
    raise Broken("A call with the new token.", "There was no call with it.")


def _is_called_with(b: PartyB, code: Code, tokens: list[str]) -> bool:
    return any(b.token_of_call(call) in tokens for call in code.calls)
