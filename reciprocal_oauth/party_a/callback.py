"""Checks the authorization response, with which the peer sends the browser of the user back to
this site (RFC 6749, section 4.1.2; RFC 9207, section 2). This is step (B) of figure 1 in
draft-ietf-oauth-reciprocal-04, section 2.

The response must belong to an authorization request of this user, in this browser, to this peer.
This site sends no request to the peer before this check has succeeded. Otherwise an attacker could
make the browser of the user send a code for the attacker's account at the peer, and this site would
link the user to that account (RFC 6749, section 10.12).
"""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..client.token_endpoint import error_code
from ..conf import settings
from ..core import telemetry
from ..core.database import tried_again
from ..core.hashing import hash_of
from ..core.protocol import INVALID_SCOPE, MAX_CODE_LENGTH, RECIPROCAL
from ..exceptions import AuthorizationFailed
from ..models import AuthorizationRequest, Peer
from ..secret import Secret
from . import visit_cookies

Problem = AuthorizationRequest.Problem

#: Error codes of a peer that mean that the user did not allow access, or left the page of the peer.
#: They come from RFC 6749, section 4.1.2.1, from OpenID Connect Core 1.0, section 3.1.2.6, and from
#: two large vendors.
_DENIALS = {
    "access_denied",
    "account_selection_required",
    "consent_required",
    "interaction_required",
    "login_required",
    "user_cancelled_authorize",
    "user_cancelled_login",
    "user_denied",
}
#: Error codes of a peer that mean that the configuration of this site or of the peer is wrong, so
#: that trying again does not help (RFC 6749, sections 4.1.2.1 and 5.2).
_SETUP_ERRORS = {
    "invalid_client",
    "invalid_request",
    "unauthorized_client",
    "unsupported_response_type",
}
_REASONS = {
    **dict.fromkeys(_DENIALS, Problem.DENIED),
    **dict.fromkeys(_SETUP_ERRORS, Problem.SETUP),
    INVALID_SCOPE: Problem.SCOPE,
}


@dataclass(frozen=True)
class AuthorizationResponse:
    """A successful authorization response (RFC 6749, section 4.1.2).

    :ivar code: the authorization code.
    :ivar reciprocal: the unchecked value of the parameter ``reciprocal``
        (draft-ietf-oauth-reciprocal-04, section 2.1), or ``None`` if the response does not contain
        the parameter exactly once.
    """

    code: Secret
    reciprocal: str | None


class StateRefused(Exception):
    """The authorization response must not be used, because this user has sent no matching
    authorization request from this browser.

    :param log: the reason, for administrators of this site.
    :param visit: the visit that the response would have answered, if this response has used it up.
        Otherwise ``None``: then this response changes nothing about any visit.
    :param problem: why ``visit`` has failed.
    """

    def __init__(
        self, log: str, visit: AuthorizationRequest | None = None, problem: str = Problem.NONE
    ) -> None:
        super().__init__(log)
        self.visit = visit
        self.problem = problem


@sensitive_variables()
def claim_visit(
    query: QueryDict, *, peer: Peer, request: HttpRequest
) -> tuple[AuthorizationRequest, bool]:
    """Find the visit (the row of the authorization request) that an authorization response belongs
    to, by the parameter ``state`` (RFC 6749, sections 4.1.2 and 10.12). Mark the visit as answered.

    :param query: the parameters of the response.
    :param request: the HTTP request in which the browser sends the response to this site.
    :returns: two values: the visit, and whether this is the first response for the visit.
    :raises StateRefused: the response belongs to no visit of this user to this peer in this
        browser.
    """
    states = query.getlist("state")
    if len(states) != 1 or not states[0]:
        raise StateRefused("no state, or more than one")
    state_hash = hash_of(states[0])
    # Use one UPDATE, so that ``state`` can be used only once: if two tabs load the callback at the
    # same time, only one of them may redeem the authorization code. Do the UPDATE before the other
    # checks, so that ``state`` is used up even if the response arrives in a wrong browser. This
    # prevents the following attack. An attacker starts a visit and makes a victim open the URL of
    # the authorization request. This site refuses the response in the browser of the victim. But
    # the attacker finds out the code, and loads the response in the browser that started the visit.
    visits = AuthorizationRequest.objects.filter(state_hash=state_hash)
    now = timezone.now()
    first = tried_again(visits.filter(answered_at__isnull=True).update)(answered_at=now)
    visit = visits.select_related("peer", "link").first()
    if visit is None:
        raise StateRefused("no visit has this state")
    if why := _why_refused(visit, peer, request):
        # Only who has used up ``state`` may say what became of the visit. So nobody can replace the
        # outcome of a visit that is over.
        problem, log = why
        raise StateRefused(log, visit if first else None, problem)
    return visit, bool(first)


def _why_refused(
    visit: AuthorizationRequest, peer: Peer, request: HttpRequest
) -> tuple[str, str] | None:
    """Return the problem and a text for the log if ``request`` must not answer ``visit``."""
    if not request.user.is_authenticated:
        return Problem.OTHER_BROWSER, "nobody is signed in"
    if not visit_cookies.is_same_browser(request, visit):
        return Problem.OTHER_BROWSER, "the visit was not started in this browser"
    if visit.user_id != request.user.pk:
        return Problem.OTHER_BROWSER, "the visit was started by another user"
    if visit.peer_id != peer.pk:
        return Problem.WRONG_ISSUER, "the response came to the redirect URI of another peer"
    return None


@sensitive_variables()
def read_response(query: QueryDict, visit: AuthorizationRequest) -> AuthorizationResponse:
    """Read the parameters of a successful authorization response.

    :param visit: the visit (the row of the authorization request) that the response belongs to.
    :raises AuthorizationFailed: the response came too late, it is an error (RFC 6749, section
        4.1.2.1), it contains no usable authorization code, or its issuer is wrong or missing (RFC
        9207, section 2.4).
    """
    with telemetry.span(telemetry.Step.AUTHORIZATION_RESPONSE, visit.peer.slug) as span:
        try:
            return _read(query, visit)
        except AuthorizationFailed as failed:
            span.failed(failed.reason)
            raise


@sensitive_variables()
def _read(query: QueryDict, visit: AuthorizationRequest) -> AuthorizationResponse:
    _check_time(visit)
    _check_issuer(query.getlist("iss"), visit.peer)
    if "error" in query:
        raise _error_of_peer(query.getlist("error"))
    codes = query.getlist("code")
    if len(codes) != 1 or not 0 < len(codes[0]) <= MAX_CODE_LENGTH:
        raise AuthorizationFailed(Problem.NO_CODE, "no code, or more than one")
    reciprocals = query.getlist(RECIPROCAL)
    return AuthorizationResponse(
        code=Secret(codes[0]), reciprocal=reciprocals[0] if len(reciprocals) == 1 else None
    )


def _check_time(visit: AuthorizationRequest) -> None:
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    if visit.created_at + lifetime < (visit.answered_at or timezone.now()):
        raise AuthorizationFailed(Problem.TOO_LATE, "the state is too old")


def _error_of_peer(errors: list[str]) -> AuthorizationFailed:
    """Return the exception for an error response (RFC 6749, section 4.1.2.1).

    :param errors: the values of the parameter ``error``. There should be one.
    """
    reason = Problem.PEER_ERROR
    if len(errors) == 1:
        reason = _REASONS.get(errors[0], reason)
    log = f"the peer responded with error={_short(errors[0])}"
    return AuthorizationFailed(reason, log, error=error_code(errors[0]))


def _check_issuer(issuers: list[str], peer: Peer) -> None:
    """Compare the values of the parameter ``iss`` with the issuer of the peer (RFC 9207, section
    2.4). If ``iss`` is missing, refuse the response only if the metadata of the peer promises
    ``iss`` (RFC 9207, section 3). If the settings of the peer contain no issuer, ignore ``iss``.

    :raises AuthorizationFailed: ``iss`` names another issuer, or it is missing but required.
    """
    if issuers == [peer.issuer] or not (peer.sends_iss or (issuers and peer.issuer)):
        return
    what = "another issuer" if issuers else "no issuer, but this peer always sends one"
    raise AuthorizationFailed(Problem.WRONG_ISSUER, f"the response names {what}")


def _short(text: str) -> str:
    return ascii(text[:60])
