"""Shows the history of a link in words, and says why a visit to a peer failed.

A visit is the trip of a person to the peer and back, to allow this site access.
"""

from django.utils.translation import gettext as _

from ..core import scopes
from ..models import AuthorizationRequest, Link, LinkEvent, Party, Step
from ..models.events import REPLAY
from .account import account_of
from .permissions import in_scope_words, in_words_of_peer
from .reasons import for_people


def name_with_account(link: Link) -> str:
    """Return the name of the peer and, if it is known, the user's account at the peer.

    Buttons contain this text for screen readers. A screen reader can list all buttons of a page
    without the text around them, and a user can have two links with the same peer. Without this
    text, the user could not tell the buttons of the two links apart.
    """
    account = account_of(link)
    return f"{link.peer.name} ({account})" if account else link.peer.name


def problem_in_words(visit: AuthorizationRequest) -> str:
    """Return a sentence that says why ``visit`` failed."""
    problem = AuthorizationRequest.Problem
    name = {"name": visit.peer.name}
    match visit.problem:
        case problem.DENIED:
            return _("You did not allow access at %(name)s.") % name
        case problem.SETUP | problem.CREDENTIALS | problem.SCOPE:
            return (
                _(
                    "%(name)s does not accept the requests of this site. Trying again does not "
                    "help: an administrator of this site needs to check the settings of %(name)s."
                )
                % name
            )
        case problem.PEER_UNREACHABLE:
            return _("%(name)s could not be reached. Try again in a few minutes.") % name
        case problem.PROXY_FAILED:
            return (
                _(
                    "This site could not reach out to %(name)s. Try again in a few minutes. If "
                    "that does not help, tell an administrator of this site."
                )
                % name
            )
        case problem.PEER_REFUSED:
            return (
                _(
                    "%(name)s sent you back, but then refused to give this site access. If trying "
                    "again does not help, tell an administrator of this site."
                )
                % name
            )
        case problem.BAD_RESPONSE | problem.NO_CODE:
            return (
                _(
                    "%(name)s sent a response that this site cannot use. If trying again does not "
                    "help, tell an administrator of this site."
                )
                % name
            )
        case problem.WRONG_ISSUER:
            return (
                _("The response came from another site than %(name)s, so it was not used.") % name
            )
        case problem.TOO_LATE:
            return _("You came back from %(name)s too late. Try again.") % name
        case problem.OTHER_BROWSER:
            return (
                _(
                    "You came back from %(name)s in another browser, or you were not signed in as "
                    "the person who had started. Try again, and stay in one browser."
                )
                % name
            )
        case _other:
            return _("%(name)s responded with an error. Try again in a few minutes.") % name


def may_try_again(visit: AuthorizationRequest) -> bool:
    """Return whether the person can connect by trying again after ``visit`` has failed. Otherwise
    only an administrator can remove the cause."""
    problem = AuthorizationRequest.Problem
    return visit.problem not in (problem.SETUP, problem.CREDENTIALS, problem.SCOPE)


def happened(event: LinkEvent) -> str:
    """Return a sentence that says what happened at ``event``, for one line of the history."""
    name = {"name": event.link.peer.name}
    failed = event.outcome == LinkEvent.Outcome.FAILED
    match (event.step, event.party):
        case (Step.A, _party):
            return _("This site sent you to %(name)s to ask for access.") % name
        case (Step.B, _party):
            return _("%(name)s sent you back with a code.") % name
        case (Step.C, _party):
            return _("This site redeemed the code that you brought from %(name)s.") % name
        case (Step.D, Party.B):
            return _("%(name)s got an access token for this site.") % name
        case (Step.D, _party):
            return _("%(name)s gave this site an access token.") % name
        case (Step.CONSENT, _party) if event.is_refusal:
            return _("You did not allow %(name)s to do anything here.") % name
        case (Step.CONSENT, _party) if event.detail.startswith("changed"):
            return _("You changed what %(name)s may do here.") % name
        case (Step.CONSENT, _party):
            return _("You allowed %(name)s to do something here.") % name
        case (Step.E, Party.B):
            return _("%(name)s handed over a code for the reverse direction.") % name
        case (Step.E, _party) if failed:
            return (
                _("This site could not hand over a code for the reverse direction to %(name)s.")
                % name
            )
        case (Step.E, _party):
            return _("This site handed over a code for the reverse direction to %(name)s.") % name
        case (Step.F, Party.B) if failed:
            return (
                _("This site could not redeem the code for the reverse direction at %(name)s.")
                % name
            )
        case (Step.F, Party.B):
            return _("This site redeemed the code for the reverse direction at %(name)s.") % name
        case (Step.F, _party) if failed and event.detail != REPLAY:
            return _("%(name)s tried to redeem a code here, and was refused.") % name
        case (Step.F, _party) if failed:
            return _("A code was used a second time; the access that it had given was revoked.")
        case (Step.F, _party):
            return _("%(name)s redeemed the code for the reverse direction here.") % name
        case (Step.G, Party.B):
            return _("%(name)s gave this site an access token.") % name
        case (Step.G, _party):
            return _("%(name)s got an access token for this site.") % name
        case _outside if failed:
            return _("One direction of this connection stopped working.")
    return _("This connection ended.")


def details(event: LinkEvent) -> str:
    """Return more about ``event``: why it happened, or which scopes were allowed, in words.

    Return an empty string if there is nothing more to say, or if the stored detail only helps an
    administrator, such as the status of an HTTP response.
    """
    peer = event.link.peer
    if event.detail in Link.Reason.values:
        return for_people(event.detail, peer.name)
    _changed, _found, scope = event.detail.partition("scope: ")
    # In these two steps, this site gets a token of the peer.
    is_there = (event.step, event.party) in ((Step.D, Party.A), (Step.G, Party.B))
    names = scopes.without_openid(scope).replace("–", "")
    may = in_words_of_peer(names, peer) if is_there else in_scope_words(names, scopes.described())
    return ", ".join(permission.text for permission in may)
