"""Step (B): the authorization response (RFC 6749, section 4.1.2; RFC 9207, section 2).

No request is sent to a peer before the response is known to belong to this user, this browser, this
peer and this visit. Otherwise an attacker could inject the code of an account of their own, and
link the data of the user to that account (RFC 6749, section 10.12).
"""

from dataclasses import dataclass
from datetime import timedelta

from django.http import HttpRequest, QueryDict
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..core.database import tried_again
from ..core.hashing import hash_of
from ..core.protocol import MAX_CODE_LENGTH, RECIPROCAL
from ..exceptions import AuthorizationFailed
from ..models import AuthorizationRequest, Peer
from ..secret import Secret
from . import visit_cookies

Problem = AuthorizationRequest.Problem

#: Error codes for "the user did not allow access" or "the user left": RFC 6749, section 4.1.2.1;
#: OpenID Connect Core 1.0, section 3.1.2.6; and those of two large vendors.
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
#: Error codes that only a change of configuration can fix (RFC 6749, sections 4.1.2.1 and 5.2).
_SETUP_ERRORS = {
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_response_type",
}


@dataclass(frozen=True)
class AuthorizationResponse:
    """A successful authorization response (RFC 6749, section 4.1.2).

    :ivar reciprocal: the raw ``reciprocal`` parameter (draft-ietf-oauth-reciprocal-04, section
        2.1), if the response has exactly one.
    """

    code: Secret
    reciprocal: str | None


class StateRefused(Exception):
    """The response belongs to no visit that was started in this browser. ``str()`` is the reason,
    for the log."""


@sensitive_variables()
def claim_visit(
    query: QueryDict, *, peer: Peer, request: HttpRequest
) -> tuple[AuthorizationRequest, bool]:
    """Find the visit of an authorization response by its ``state`` (RFC 6749, sections 4.1.2 and
    10.12), and mark it as answered.

    :param query: the parameters of the response.
    :param request: the request of the browser, with its cookies and its user.
    :returns: the visit, and whether this is its first response.
    :raises StateRefused: the response belongs to no visit of this user to this peer in this
        browser, or the visit has expired.
    """
    states = query.getlist("state")
    if len(states) != 1 or not states[0]:
        raise StateRefused("no state, or more than one")
    state_hash = hash_of(states[0])
    # One UPDATE makes the state single-use: two tabs that load the callback at the same time must
    # not both redeem the code. A response in the wrong browser uses the state up as well: otherwise
    # an attacker who sent a victim to the peer could use the victim's code in another browser.
    visits = AuthorizationRequest.objects.filter(state_hash=state_hash)
    now = timezone.now()
    first = tried_again(visits.filter(answered_at__isnull=True).update)(answered_at=now)
    if not request.user.is_authenticated:
        raise StateRefused("nobody is signed in")
    visit = visits.select_related("peer", "link").first()
    if visit is None or not visit_cookies.is_same_browser(request, visit):
        raise StateRefused("the visit was not started in this browser")
    if visit.user_id != request.user.pk or visit.peer_id != peer.pk:
        raise StateRefused("the visit was started by another user, or to another peer")
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    if visit.created_at + lifetime < (visit.answered_at or now):
        raise StateRefused("the state is too old")
    return visit, bool(first)


@sensitive_variables()
def read_response(query: QueryDict, visit: AuthorizationRequest) -> AuthorizationResponse:
    """Read the authorization response that belongs to ``visit``.

    :raises AuthorizationFailed: the response is an error (RFC 6749, section 4.1.2.1), it has no
        usable code, or it comes from another issuer (RFC 9207, section 2.4).
    """
    _check_issuer(query.getlist("iss"), visit.peer)
    if "error" in query:
        errors = query.getlist("error")
        reason = Problem.PEER_ERROR
        if len(errors) == 1 and errors[0] in _DENIALS:
            reason = Problem.DENIED
        elif len(errors) == 1 and errors[0] in _SETUP_ERRORS:
            reason = Problem.SETUP
        raise AuthorizationFailed(reason, f"the peer responded with error={_short(errors[0])}")
    codes = query.getlist("code")
    if len(codes) != 1 or not 0 < len(codes[0]) <= MAX_CODE_LENGTH:
        raise AuthorizationFailed(Problem.NO_CODE, "no code, or more than one")
    reciprocals = query.getlist(RECIPROCAL)
    return AuthorizationResponse(
        code=Secret(codes[0]), reciprocal=reciprocals[0] if len(reciprocals) == 1 else None
    )


def _check_issuer(issuers: list[str], peer: Peer) -> None:
    """Compare ``iss`` with the issuer of the peer (RFC 9207, section 2.4). If the metadata of the
    peer says that it sends ``iss``, a response without ``iss`` is refused too.

    :raises AuthorizationFailed: the response does not come from this peer.
    """
    if issuers == [peer.issuer] or not (peer.sends_iss or (issuers and peer.issuer)):
        return
    what = "another issuer" if issuers else "no issuer, but this peer always sends one"
    raise AuthorizationFailed(Problem.WRONG_ISSUER, f"the response names {what}")


def _short(text: str) -> str:
    return ascii(text[:60])
