"""Says to administrators what became of an attempt to connect, and what they can do about it.

The admin, the log and the documentation use the same words. For the words that the person sees, see
:func:`.history.problem_in_words`.
"""

from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _

from ..core.protocol import INVALID_CLIENT, INVALID_GRANT, UNAUTHORIZED_CLIENT
from ..models import AuthorizationRequest
from ..party_a.attempts import Outcome

Problem = AuthorizationRequest.Problem


def outcome_of(visit: AuthorizationRequest) -> str:
    """Return what became of ``visit``: a value of ``AuthorizationRequest.Problem``, or of
    :class:`.Outcome` if the row comes from :func:`.attempts.with_outcome`."""
    return str(getattr(visit, "outcome", "") or visit.problem)


def outcome_in_words(outcome: str) -> str:
    """Return the name of ``outcome``, which is a result of :func:`outcome_of`."""
    if outcome in Outcome.values:
        return str(Outcome(outcome).label)
    return str(Problem(outcome).label)


def remedy(visit: AuthorizationRequest) -> str:
    """Return what an administrator can do, or an empty text if there is nothing to do."""
    outcome = outcome_of(visit)
    text = _REMEDIES.get((outcome, visit.error)) or _REMEDIES.get((outcome, ""))
    return _fill(text(), visit) if text else ""


def for_log(visit: AuthorizationRequest) -> str:
    """Return one line in English about a failed attempt: what happened, with which configuration,
    and what to do."""
    with translation.override(None):
        outcome = str(outcome_in_words(outcome_of(visit)))
        said = f", error {visit.error}" if visit.error else ""
        what_to_do = remedy(visit)
    peer = visit.peer
    line = (
        f"{outcome} ({visit.detail}); scope {peer.scope or '–'}, issuer {peer.issuer or '–'}{said}"
    )
    return f"{line}. What to do: {what_to_do}" if what_to_do else line


def _fill(text: str, visit: AuthorizationRequest) -> str:
    peer = visit.peer
    values = {
        "client_id": peer.client_id,
        "issuer": peer.issuer or "–",
        "redirect_uri": visit.redirect_uri,
        "scope": peer.scope or "–",
        "token_endpoint": peer.token_endpoint,
        "test": f"reciprocal_peer test {peer.slug}",
    }
    return text % values


def _credentials() -> str:
    return _(
        "Compare the client ID “%(client_id)s” and the client secret or key with the registration "
        "of this site at the peer: %(test)s"
    )


def _scope() -> str:
    return _("Compare the scope “%(scope)s” with what the peer offers: %(test)s")


def _wrong_issuer() -> str:
    return _(
        "Compare the issuer “%(issuer)s” with the one in the metadata of the peer: %(test)s. If "
        "they are equal, another site may have sent the response."
    )


def _setup() -> str:
    return _(
        "Read the details, and compare the registration of this site at the peer with the settings "
        "of the peer here: %(test)s"
    )


def _grant_type() -> str:
    return _(
        "At the peer, allow the client “%(client_id)s” the grant type authorization code and the "
        "response type code."
    )


def _unreachable() -> str:
    return _("Read the details, and look for the step that fails: %(test)s")


def _proxy_failed() -> str:
    return _(
        "The proxy of this site failed or refused the connection; the details say why. Check "
        "HTTP_PROXY_URL and the rules of the proxy, then: %(test)s"
    )


def _refused() -> str:
    return _("Check the token endpoint %(token_endpoint)s: %(test)s")


def _refused_code() -> str:
    return _(
        "Compare the redirect URI %(redirect_uri)s with the registration of this site at the peer. "
        "If it is the same, look for the reason in the log of the peer."
    )


def _error_there() -> str:
    return _("The error is at the peer. If it stays, ask an administrator of the peer: %(test)s")


def _bad_response() -> str:
    return _(
        "The peer does not follow the protocol, or the token endpoint %(token_endpoint)s belongs "
        "to something else: %(test)s"
    )


def _no_code() -> str:
    return _(
        "The peer sent the person back without a code and without an error. Check the "
        "authorization endpoint, and ask an administrator of the peer."
    )


def _too_late() -> str:
    return _(
        "The person can try again. If many people are too late, raise "
        "AUTHORIZATION_REQUEST_LIFETIME_SECONDS."
    )


def _other_browser() -> str:
    return _(
        "The person can try again in one browser. If it happens to many people, the browser does "
        "not send the cookies of this site: compare the host of %(redirect_uri)s with the address "
        "that people use, and check SESSION_COOKIE_SAMESITE and SESSION_COOKIE_SECURE."
    )


def _no_answer() -> str:
    return _(
        "If it happens to everybody, the peer shows an error page of its own. Compare the redirect "
        "URI %(redirect_uri)s and the client ID “%(client_id)s” with the registration of this site "
        "at the peer, letter by letter."
    )


def _broken_off() -> str:
    return _(
        "This site stopped while it worked on the response. Look for an error in the log of this "
        "site. Nothing to do if the user was deactivated."
    )


def _nothing() -> str:
    return _("Nothing to do: the person decided so.")


#: The texts, by the outcome and the error code of the peer. Without an entry for an error code, the
#: entry with an empty error code counts.
_REMEDIES: dict[tuple[str, str], Any] = {
    (Problem.DENIED, ""): _nothing,
    (Problem.PEER_ERROR, ""): _error_there,
    (Problem.SETUP, ""): _setup,
    (Problem.SETUP, INVALID_CLIENT): _credentials,
    (Problem.SETUP, UNAUTHORIZED_CLIENT): _grant_type,
    (Problem.PEER_UNREACHABLE, ""): _unreachable,
    (Problem.PROXY_FAILED, ""): _proxy_failed,
    (Problem.PEER_REFUSED, ""): _refused,
    (Problem.PEER_REFUSED, INVALID_GRANT): _refused_code,
    (Problem.BAD_RESPONSE, ""): _bad_response,
    (Problem.WRONG_ISSUER, ""): _wrong_issuer,
    (Problem.NO_CODE, ""): _no_code,
    (Problem.CREDENTIALS, ""): _credentials,
    (Problem.SCOPE, ""): _scope,
    (Problem.TOO_LATE, ""): _too_late,
    (Problem.OTHER_BROWSER, ""): _other_browser,
    (Outcome.NO_ANSWER, ""): _no_answer,
    (Outcome.BROKEN_OFF, ""): _broken_off,
}
