"""Step (B): the authorization response (RFC 6749, section 4.1.2; RFC 9207).

Nothing is asked of any peer before the answer is known to belong to this person, this browser,
this peer and this visit: else a stranger's code would tie the person's data here to the stranger's
account there.
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

#: What servers call it when a person does not allow access, or goes away: RFC 6749, section
#: 4.1.2.1; OpenID Connect Core 1.0, section 3.1.2.6; and two big vendors' own.
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
#: Errors (RFC 6749, section 4.1.2.1) that stay until somebody changes how the two sites are set up.
_SETUP_ERRORS = {
    "invalid_client",
    "invalid_request",
    "invalid_scope",
    "unauthorized_client",
    "unsupported_response_type",
}


@dataclass(frozen=True)
class AuthorizationResponse:
    """What an authorization response gave us.

    :ivar reciprocal: the raw ``reciprocal`` parameter (draft, "Reciprocal Scope Request"), if the
        redirect had exactly one.
    """

    code: Secret
    reciprocal: str | None


class StateRefused(Exception):
    """The response does not belong to a visit that this browser has begun. ``str()`` says why,
    for our log."""


@sensitive_variables()
def claim(
    query: QueryDict, *, peer: Peer, request: HttpRequest
) -> tuple[AuthorizationRequest, bool]:
    """The visit that the response in ``query`` answers, and whether this is its first answer.

    :param request: what the browser sent along: its cookies, and who is signed in.
    :raises StateRefused: it answers none of this person's visits to this peer in this browser.
    """
    states = query.getlist("state")
    if len(states) != 1 or not states[0]:
        raise StateRefused("no state, or more than one")
    state_hash = hash_of(states[0])
    # One database step makes it single-use: two tabs that load the callback at the same moment
    # must not both spend the code. A browser that it is refused in spends it as well: else whoever
    # sent a victim to the peer could come back with the victim's code, in his own browser.
    visits = AuthorizationRequest.objects.filter(state_hash=state_hash)
    now = timezone.now()
    first = tried_again(visits.filter(answered_at__isnull=True).update)(answered_at=now)
    if not request.user.is_authenticated:
        raise StateRefused("nobody is signed in")
    visit = visits.select_related("peer", "link").first()
    if visit is None or not visit_cookies.began_here(request, visit):
        raise StateRefused("the state was not begun in this browser")
    if visit.user_id != request.user.pk or visit.peer_id != peer.pk:
        raise StateRefused("the state was begun by somebody else, or for another peer")
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    if visit.created_at + lifetime < (visit.answered_at or now):
        raise StateRefused("the state is too old")
    return visit, bool(first)


@sensitive_variables()
def read(query: QueryDict, visit: AuthorizationRequest) -> AuthorizationResponse:
    """The code in a response that belongs to ``visit``.

    :raises AuthorizationFailed: another issuer's answer, or one that names none where the peer
        always does; an error; no usable code.
    """
    _check_issuer(query.getlist("iss"), visit.peer)
    if "error" in query:
        errors = query.getlist("error")
        reason = Problem.PEER_ERROR
        if len(errors) == 1 and errors[0] in _DENIALS:
            reason = Problem.DENIED
        elif len(errors) == 1 and errors[0] in _SETUP_ERRORS:
            reason = Problem.SETUP
        raise AuthorizationFailed(reason, f"the peer answered error={_short(errors[0])}")
    codes = query.getlist("code")
    if len(codes) != 1 or not 0 < len(codes[0]) <= MAX_CODE_LENGTH:
        raise AuthorizationFailed(Problem.NO_CODE, "no code, or more than one")
    reciprocals = query.getlist(RECIPROCAL)
    return AuthorizationResponse(
        code=Secret(codes[0]), reciprocal=reciprocals[0] if len(reciprocals) == 1 else None
    )


def _check_issuer(issuers: list[str], peer: Peer) -> None:
    """RFC 9207, section 2.4: a response of another issuer is a mix-up, and its code must not travel
    any further. One without ``iss`` is too, where the peer's metadata promises the parameter.

    :raises AuthorizationFailed: the response is not, or may not be, of this peer.
    """
    if issuers == [peer.issuer] or not (peer.sends_iss or (issuers and peer.issuer)):
        return
    what = "another issuer" if issuers else "no issuer, which this peer always does"
    raise AuthorizationFailed(Problem.WRONG_ISSUER, f"the response names {what}")


def _short(text: str) -> str:
    return ascii(text[:60])
