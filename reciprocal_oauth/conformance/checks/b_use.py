"""Party B uses what it got: the newest tokens, each for its user; and updates (section 3)."""

from typing import Any

from ..party_b import PartyB
from ..party_b.issuing import Answer, Code
from ..registry import check
from ..verdicts import Broken, Severity, Unclear, Verdict
from ..wire.server import Received, Reply

#: Seconds by which the answer to the older code is late.
_LATE = 1.0
#: Seconds that it waits for the newer code: a party B may redeem one code after the other. Common
#: clients wait for a response longer.
_LONGEST = 4.0


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
    # Some answer only after the redemption.
    b.hand_over_meanwhile(older)
    if not b.wait_for(lambda: older.redemptions, b.waits.redeem):
        raise Unclear("The first code was not redeemed (B-OK-2).")
    b.hand_over_meanwhile(newer)
    # Some redeem the codes of a link one after the other.
    if not b.wait_for(lambda: newer.tokens, b.waits.redeem + _LONGEST + _LATE):
        raise Unclear("The newer code was not redeemed while the older one was late.")
    b.pause(_LATE + 1)
    new, old, all_calls = b.own_calls(newer), _calls_without(b, newer), b.calls()
    b.try_use("", newer, older)
    b.wait_for(lambda: len(newer.calls) > new or _calls_without(b, newer) > old, b.waits.send)
    # Party B can go on with the tokens of a code that is older than both, too.
    if _calls_without(b, newer) > old:
        raise Broken("A call with the newer tokens.", "The call has older ones.")
    if len(newer.calls) == new and b.calls() > all_calls:
        # Party B can keep the connections apart that the user made one after the other.
        raise Broken(
            "A call with the newer tokens.",
            "The calls have tokens of earlier connections.",
            at_worst=Verdict.WARN,
        )
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
    code.on_call = EachTokenOnce(b)
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


class EachTokenOnce:
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
    b.must_call(code)
    before = b.own_calls(code)
    code.on_call = _expired
    code.on_refresh = b.refusal()

    def calls() -> int:
        return len(code.calls) - before

    use_if_it_works(b, code)
    # Some refresh before they call.
    if not b.wait_for(lambda: calls() or code.refreshes, b.waits.send):
        raise Unclear("The journey use led to no call of the tester's API.")
    b.stays_quiet(lambda: calls() > _AT_MOST or len(code.refreshes) > _AT_MOST)
    if calls() > _AT_MOST or len(code.refreshes) > _AT_MOST:
        raise Broken(
            f"At most {_AT_MOST} calls and refreshes.",
            f"There were {calls()} calls and {len(code.refreshes)} refreshes.",
        )


def use_if_it_works(b: PartyB, *codes: Code) -> None:
    """Let party B call the API, also where the driver does not get so far."""
    try:
        b.try_use("", *codes)
    except Unclear as error:
        b.note(f"The page of the journey is an error page: {error}")


@check("B-USE-6", Severity.MUST, rfc="6749 7.1", needs="use draft", negative=True)
def unknown_token_type(b: PartyB) -> None:
    """A token of an unknown type is not used.

    Does: answers a redemption with token_type=mac, and lets party B use its tokens.

    Expects: no call with this token.
    """
    b.must_call(b.linked())
    code = b.plan(b.tokens(token_type="mac"))  # noqa: S106
    # Some answer only after the redemption, and then with an error.
    b.hand_over_meanwhile(code)
    if not b.wait_for(lambda: code.tokens, b.waits.redeem):
        raise Unclear("A right hand-over was not redeemed.")
    b.pause(b.quiet)
    use_if_it_works(b, code)
    if not b.stays_quiet(lambda: code.calls):
        raise Broken("No call: party B does not know the type.", "The API was called.")


@check("B-USE-7", Severity.SECURITY, rfc="6750 5.3; 9700 4.3.2", threats="P1", needs="use")
def token_in_the_header(b: PartyB) -> None:
    """The access token does not stand in the address of a call.

    Does: lets party B use its tokens, and reads the call.

    Expects: no access token in the URL: addresses are logged.
    """
    code = b.linked()
    b.must_call(code)
    if any(token in call.url for call in code.calls for token in code.tokens):
        raise Broken("The token in the header Authorization.", "It is in the URL.")


@check("B-USE-10", Severity.SECURITY, draft="2.2.2/7", threats="H12", needs="use 2u", negative=True)
def two_users_at_once(b: PartyB) -> None:
    """Hand-overs of two users at once are kept apart.

    Does: hands codes of both users over at the same time, three times, and lets party B use both
    connections.

    Expects: each call has a token of the user who is signed in.
    """
    users = (b.user, b.other_user())
    accesses = [b.access(user) for user in users]
    for user, access in zip(users, accesses, strict=True):
        b.must_call(b.linked(access=access), user)
    codes: list[Code] = []
    for _ in range(3):
        codes = [b.plan() for _ in accesses]
        b.hand_over_at_once(codes, accesses)
        if not b.wait_for(lambda: all(code.tokens for code in codes), b.waits.redeem):  # noqa: B023
            raise Unclear("Two right hand-overs at once were not both redeemed.")
    for user, own, foreign in zip(users, codes, reversed(codes), strict=True):
        before = b.own_calls(foreign)
        try:
            b.must_call(own, user)
        except Unclear as error:
            if len(foreign.calls) == before:
                raise Broken("A call with the user's own token.", str(error)) from None
        if len(foreign.calls) > before:
            _require_no_own_calls(b, foreign)
            raise Broken("A call with the user's own token.", "It has the other user's token.")


@check(
    "B-RED-8", Severity.SHOULD, draft="2.2.2/12", rfc="6749 5.1", threats="P4", needs="use draft"
)
def long_tokens(b: PartyB) -> None:
    """Long tokens are kept as they are.

    Does: answers a redemption with tokens of 2,000 characters, and lets party B use them.

    Expects: a call of the API with the whole access token: its size is left to party A.
    """
    b.must_call(b.linked())
    code = b.linked(b.tokens(length=_LONG))
    code.on_refresh = b.tokens(length=_LONG)
    b.must_still_call(code)


#: Characters of a long token.
_LONG = 2000
