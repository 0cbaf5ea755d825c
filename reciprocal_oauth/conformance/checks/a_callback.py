"""The browser comes back to party A: step B (RFC 6749, section 10.12)."""

from functools import partial
from urllib.parse import parse_qsl, urlsplit

from .. import made_up
from ..drivers.journeys import Journey
from ..party_a import PartyA
from ..party_a.serving import Flow, Parameters, Plan
from ..registry import check
from ..verdicts import Broken, NotGiven, Severity, Unclear, Verdict
from ..wire.server import Reply

_CSRF = "6749 10.12"


def _other_state(parameters: Parameters) -> Parameters:
    return {**parameters, "state": made_up.value()}


def _no_state(parameters: Parameters) -> Parameters:
    return {name: value for name, value in parameters.items() if name != "state"}


def _require_state(flow: Flow) -> None:
    if "state" not in flow.request and flow.request.get("code_challenge_method") == "S256":
        raise NotGiven("a subject that sends a state (A-AUTHZ-1); this one relies on PKCE")


@check("A-CB-1", Severity.SECURITY, draft="2/1", rfc=_CSRF, threats="L1 L2", negative=True)
def other_state(a: PartyA) -> None:
    """A callback with another state is refused.

    Does: sends the browser back with a state that party A did not make.

    Expects: the code is not exchanged.
    """
    flow = a.link("look", plan=Plan(redirected=_other_state), may_fail=True)
    _require_state(flow)
    a.must_not_exchange(flow, "Another state")


@check("A-CB-2", Severity.SECURITY, draft="2/1", rfc=_CSRF, threats="L2", negative=True)
def no_state(a: PartyA) -> None:
    """A callback without a state is refused.

    Does: sends the browser back without a state.

    Expects: the code is not exchanged.
    """
    flow = a.link("look", plan=Plan(redirected=_no_state), may_fail=True)
    _require_state(flow)
    a.must_not_exchange(flow, "No state")


@check(
    "A-CB-3", Severity.SECURITY, rfc="9207 2.4; 9700 4.4", threats="L6", needs="iss", negative=True
)
def other_issuer(a: PartyA) -> None:
    """A callback of another issuer is refused.

    Does: sends the browser back with the iss of another authorization server, with one that begins
    as the right one, and with the right one and a slash.

    Expects: the code is not exchanged.
    """
    own = a.config.base_url
    for iss in ("https://elsewhere.example", own + ".evil.example", own + "/"):
        flow = a.link("look", plan=Plan(redirected=partial(_with_iss, iss)), may_fail=True)
        a.must_not_exchange(flow, f"iss={iss}")


def _with_iss(iss: str, parameters: Parameters) -> Parameters:
    return {**parameters, "iss": iss}


@check("A-CB-9", Severity.MUST, rfc="9207 2.4; 9700 4.4", threats="L6", needs="iss", negative=True)
def no_issuer(a: PartyA) -> None:
    """A callback without an issuer is refused.

    Does: sends the browser back without iss, which the metadata of the tester promise.

    Expects: the code is not exchanged.
    """

    def without(sent: Parameters) -> Parameters:
        return {name: value for name, value in sent.items() if name != "iss"}

    flow = a.link("look", plan=Plan(redirected=without), may_fail=True)
    a.must_not_exchange(flow, "No iss")


@check("A-CB-4", Severity.SECURITY, draft="2/1", rfc=_CSRF, threats="L1", negative=True)
def another_browser(a: PartyA) -> None:
    """A callback in another browser is refused.

    Does: keeps the URL of the callback, and opens it in browsers that began nothing: in one without
    cookies, and, if there is a second user and the driver can, in that of the second user.

    Expects: the code is not exchanged.
    """
    flow = a.link("look", plan=Plan(holds=True), may_fail=True)
    response = a.open_elsewhere(flow.callback_url)
    a.note(f"The page has status {response.status}.")
    # Most sites send a visitor who is not signed in to a login, and exchange nothing then.
    if a.has("2u") and a.has("open"):
        a.try_journey(Journey("open", user=a.other_user(), url=flow.callback_url))
    a.must_not_exchange(flow, "Another browser")


@check("A-CB-5", Severity.SHOULD, rfc="6749 4.1.2", threats="L3", needs="open", negative=True)
def callback_twice(a: PartyA) -> None:
    """A callback that is opened twice is exchanged once.

    Does: lets the user come back, and opens the URL of the callback again in the same browser.

    Expects: one token request.
    """
    flow = a.link("look")
    if not a.wait_for(lambda: flow.token_requests, a.waits.send):
        raise Unclear("Party A did not exchange the code (A-CODE-1).")
    outcome = a.try_journey(Journey("open", user=a.user, url=flow.callback_url))
    if outcome.status is not None and outcome.status >= 500:
        raise Broken("A page below 500.", f"The second callback has status {outcome.status}.")
    if not a.stays_quiet(lambda: len(flow.token_requests) > 1):
        raise Broken("One token request.", f"There were {len(flow.token_requests)}.")


@check("A-CB-6", Severity.SECURITY, rfc="6819 4.4.1.1; 9700 4.2", threats="W5")
def address_bar(a: PartyA) -> None:
    """Code and state do not stay in the address bar.

    Does: reads the address at which the visit ends.

    Expects: neither code nor state.
    """
    flow = a.link("look")
    if not a.outcome.url:
        raise NotGiven("a driver that says the url of the last page")
    names = {name for name, _ in parse_qsl(urlsplit(a.outcome.url).query, keep_blank_values=True)}
    stayed = [name for name in ("code", "state") if name in names]
    if stayed or flow.code in a.outcome.url:
        raise Broken(
            "Neither code nor state.",
            f"The last address has {' and '.join(stayed) or 'the code'}.",
            # RFC 6819 only says that the page should be loaded again without them.
            at_worst=Verdict.WARN,
        )


@check("A-CB-7", Severity.MUST, draft="2/1", rfc="6749 4.1.2.1", threats="L2", negative=True)
def refused_by_the_user(a: PartyA) -> None:
    """An authorization response with an error ends the visit.

    Does: sends the browser back with error=access_denied.

    Expects: a page below 500, no exchange, and no hand-over.
    """

    def refused(parameters: Parameters) -> Parameters:
        kept = {name: value for name, value in parameters.items() if name != "code"}
        return {**kept, "error": "access_denied"}

    def exchanges() -> int:
        """Count the exchanges of no code, or of a code that the tester did not make."""
        return sum(stray.path == "/token" for stray in a.strays)

    known, before = len(a.flows), exchanges()
    flow = a.link("look", plan=Plan(redirected=refused), may_fail=True)
    if a.outcome.status is not None and a.outcome.status >= 500:
        raise Broken("A page below 500.", f"The page has status {a.outcome.status}.")
    if not a.stays_quiet(lambda: flow.token_requests or flow.handovers or exchanges() > before):
        raise Broken("No request to the token endpoint.", "A request came.")
    if len(a.flows) > known + 3:
        raise Broken("The visit ends.", f"Party A began again {len(a.flows) - known - 1} times.")


@check("A-CB-8", Severity.SECURITY, draft="2.2/1", rfc="6749 5.1", threats="T6", negative=True)
def broken_token_response(a: PartyA) -> None:
    """A token response without an access token ends the visit.

    Does: answers the token request with HTML, a list, an object without access_token, one whose
    access_token is null, and with status 500. Then it lets the user link rightly.

    Expects: a page and no hand-over each time, and a hand-over in the right visit. A status of 502
    to 504 says that party B failed. Status 500 is a warning.
    """
    json = "application/json"
    pages = {}
    for what, status, content_type, body in (
        ("HTML", 200, "text/html", b"<!doctype html><p>Welcome</p>"),
        ("A list", 200, json, b"[1, 2, 3]"),
        ("No access_token", 200, json, b'{"token_type": "Bearer", "expires_in": 3600}'),
        ("The access_token null", 200, json, b'{"token_type": "Bearer", "access_token": null}'),
        ("Status 500", 500, "text/plain", b"Failure on purpose."),
    ):
        reply = Reply(status, [("Content-Type", content_type)], body)
        flow = a.link(plan=Plan(token_reply=reply), may_fail=True)
        if a.outcome.status is not None and a.outcome.status >= 500 and not _is_gateway(a):
            pages[what] = a.outcome.status
        a.must_not_send(flow, what, may_remember=False)
    try:
        a.handed_over()
    except Unclear as error:
        raise Broken("A hand-over in the right visit.", str(error)) from None
    if pages:
        observed = "; ".join(f"{what}: status {page}" for what, page in pages.items())
        raise Broken("A page, not status 500.", f"{observed}.", at_worst=Verdict.WARN)


def _is_gateway(a: PartyA) -> bool:
    """Whether the page says that the other site failed (RFC 9110, section 15.6.3)."""
    return a.outcome.status in (502, 503, 504)


@check("A-CB-10", Severity.MUST, draft="2.2/1", rfc="6749 7.1", threats="T6", negative=True)
def unknown_token_type(a: PartyA) -> None:
    """An access token of an unknown type is not used.

    Does: answers the token request with token_type=mac.

    Expects: no hand-over.
    """
    flow = a.link(plan=Plan(issued={"token_type": "mac"}), may_fail=True)
    a.must_not_send(flow, "token_type=mac", may_remember=False)


@check("A-CB-11", Severity.SECURITY, rfc="9700 4.12", threats="H6", negative=True)
def redirected_exchange(a: PartyA) -> None:
    """A redirect of the token request is not followed.

    Does: answers the token request with status 307 and another address.

    Expects: no request there: it would hold the code, the verifier and the secret.
    """
    path = f"/{made_up.value('elsewhere-')}"
    a.recorder.own(path)
    reply = Reply.redirect(a.config.base_url + path, 307)
    flow = a.link("look", plan=Plan(token_reply=reply), may_fail=True)
    if not a.wait_for(lambda: flow.token_requests, a.waits.send):
        raise Unclear("Party A did not exchange the code of the authorization response.")
    if not a.stays_quiet(lambda: any(stray.path == path for stray in a.strays)):
        raise Broken("No request to the other address.", "A request came.")


@check("A-CB-12", Severity.SECURITY, rfc="9700 4.2", threats="W5", negative=True)
def code_in_an_address(a: PartyA) -> None:
    """The reciprocal code does not stand in the address of a page.

    Does: lets the user allow, and reads the address at which the visit ends.

    Expects: it does not have the code that is handed over.
    """
    _, handover = a.handed_over()
    if not a.outcome.url:
        raise NotGiven("a driver that says the url of the last page")
    if handover.code in a.outcome.url:
        raise Broken("An address without the code.", "The last address has it.")
