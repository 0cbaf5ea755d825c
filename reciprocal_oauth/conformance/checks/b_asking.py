"""How party B issues its tokens, and asks for the reverse direction (section 2.1)."""

import re
from typing import Final

from ..party_b import PartyB
from ..party_b.holding import Access
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity

#: A scope: words with one blank between them (RFC 6749, section 3.3).
_WORD: Final = r"[\x21\x23-\x5b\x5d-\x7e]+"
_SCOPE: Final = re.compile(rf"{_WORD}(?: {_WORD})*")


@check(
    "B-ASK-1",
    Severity.MUST,
    draft="2/1 2/2 2.1/1 2.1/2 2.1/3 2.1/6 2.1/7 2.1/8 4/2 4/3",
    rfc="6749 3.3",
    threats="S2",
)
def reciprocal_is_a_scope(b: PartyB) -> None:
    """The parameter reciprocal is a scope, if it is there.

    Does: reads the authorization response and the token response of party B.

    Expects: no parameter, or words with a blank between them. A list and quotes are wrong.
    """
    access = b.access()
    asked = {"authorization": access.asked_by_callback, "token": access.asked_by_response}
    for place, value in asked.items():
        if value is None:
            continue
        if not isinstance(value, str) or not _SCOPE.fullmatch(value):
            raise Broken("A scope (RFC 6749, section 3.3).", f"The {place} response has {value!r}.")
        b.note(f"The {place} response asks for {value}.")
    if not any(asked.values()):
        b.note("No response has reciprocal: the scope is agreed beforehand.")


@check("B-ASK-2", Severity.MUST, rfc="6749 4.1.2", threats="L2")
def state_comes_back(b: PartyB) -> None:
    """The state comes back from the authorization endpoint.

    Does: sends the browser to party B with a state.

    Expects: the browser comes back with the same state.
    """
    access = b.access()
    if not access.is_state_right:
        came = "another state" if access.callback.get("state") else "no state"
        raise Broken("The state of the request.", f"The browser came back with {came}.")


@check("B-ANS-3", Severity.MUST, rfc="6749 5.1", threats="P10")
def token_response_is_not_kept(b: PartyB) -> None:
    """The token response must not be kept by caches.

    Does: reads the headers of party B's token response.

    Expects: Cache-Control with no-store.
    """
    response = b.access().issued
    if "no-store" not in response.header("Cache-Control").lower():
        value = response.header("Cache-Control") or "nothing"
        raise Broken("Cache-Control: no-store.", f"Cache-Control is {value}.")


@check("B-ANS-5", Severity.MUST, rfc="6749 5.1; 6749 A.14", threats="P10")
def types_of_the_token_response(b: PartyB) -> None:
    """The members of the token response have the right types.

    Does: reads party B's token response.

    Expects: access_token, token_type, refresh_token and scope are texts. expires_in is a number.
    """
    response = b.access().issued
    wrong = [
        name
        for name in ("access_token", "token_type", "refresh_token", "scope")
        if response.member(name) is not None and not isinstance(response.member(name), str)
    ]
    life = response.member("expires_in")
    if life is not None and (isinstance(life, bool) or not isinstance(life, int | float)):
        wrong.append("expires_in")
    if not response.member("token_type"):
        raise Broken("A token_type.", "The token response has none.")
    if wrong:
        raise Broken("Texts, and a number in expires_in.", f"Of another type: {', '.join(wrong)}.")


@check("B-ASK-3", Severity.INFORMATION, draft="2.1/1")
def who_is_asked(b: PartyB) -> None:
    """Whom does party B ask, and when?

    Does: refreshes the tokens, and gets tokens for a second client if there is one.

    Expects: nothing. It reports where the parameter reciprocal comes.
    """
    try:
        _note_asking(b, "A refresh", b.refreshed(b.access()))
    except NotGiven:
        b.note("There are no refresh tokens.")
    if b.config.tester.second is not None:
        _note_asking(
            b, "The token response of the second client", b.access(client=b.second_client())
        )


def _note_asking(b: PartyB, what: str, access: Access) -> None:
    asked = access.asked_by_response
    b.note(f"{what} {'has no reciprocal' if asked is None else f'asks for {asked!r}'}.")


@check("B-GRANT-2", Severity.INFORMATION, draft="4/5", rfc="8414 2", needs="form metadata")
def metadata_lists_the_grant(b: PartyB) -> None:
    """Do the metadata list the grant type?

    Does: reads the metadata of party B.

    Expects: nothing. It reports whether grant_types_supported names the draft's URN.
    """
    grant_type = b.parameters("", "")[0][1]
    listed = b.metadata().get("grant_types_supported")
    names = isinstance(listed, list) and grant_type in listed
    b.note(f"grant_types_supported {'names' if names else 'does not name'} {grant_type}.")
