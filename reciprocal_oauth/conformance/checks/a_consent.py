"""Party A obtains consent from the user (section 2.2.1)."""

from ..party_a import PartyA
from ..registry import check
from ..verdicts import Broken, Severity

_CONSENT = "2.2/1 2.2.1/1"


@check("A-CON-1", Severity.MUST, draft=_CONSENT, negative=True)
def question(a: PartyA) -> None:
    """The user is asked before a code is handed over.

    Does: lets the user come to the question, and leaves it open.

    Expects: the page asks, and no code is handed over.
    """
    flow = a.link("look")
    a.must_not_send(flow, "The question is open")
    if a.outcome.consent is False:
        raise Broken("A page that asks for consent.", f"{a.outcome.url} does not ask.")
    if a.outcome.consent is None:
        a.note("The driver does not say whether the page asks.")


@check("A-CON-2", Severity.MUST, draft=_CONSENT, threats="L12", negative=True)
def denied(a: PartyA) -> None:
    """A user who denies hands nothing over.

    Does: lets the user deny.

    Expects: no code is handed over.
    """
    flow = a.link("deny")
    a.must_not_send(flow, "The user denied")


@check(
    "A-CON-3",
    Severity.SECURITY,
    draft=_CONSENT,
    rfc="6749 10.12",
    threats="L13",
    needs="forge",
    negative=True,
)
def forged(a: PartyA) -> None:
    """A page of another site cannot answer for the user.

    Does: lets the user come to the question; then the answer is sent by GET, and by POST without
    what protects the form.

    Expects: no code is handed over. Cookies are sent although they may be marked SameSite, because
    not every page of an attacker is on another site.
    """
    for how, what in (("get", "A consent by GET"), ("post", "A consent without protection")):
        flow = a.forge(how)
        a.must_not_send(flow, what)


@check(
    "A-CON-4",
    Severity.SECURITY,
    draft=_CONSENT,
    threats="L13 H12",
    needs="forge 2u",
    negative=True,
)
def other_users_answer(a: PartyA) -> None:
    """Another user cannot answer for the user.

    Does: lets the user come to the question; then another user's browser sends the answer.

    Expects: no code is handed over.
    """
    flow = a.forge("other", a.other_user())
    a.must_not_send(flow, "Another user's answer")
