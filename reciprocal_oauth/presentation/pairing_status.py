"""Says in words how far a pairing is, who must act next, and which scopes result from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..core import scopes
from ..models import Pairing, Peer, PeerAuthentication
from ..peers.findings import State as Result

State, Task = Pairing.State, Pairing.Task


class Turn(models.TextChoices):
    """Who must act so that a pairing goes on. The values do not change between versions, so that
    programs can rely on them."""

    #: A dispatcher of this site, or an administrator who tries again.
    THIS_SITE = "this_site", _("this site")
    ADMINISTRATOR = "administrator", _("an administrator of this site")
    OTHER_SITE = "other_site", _("the other site")
    NOBODY = "", _("nobody")


@dataclass(frozen=True)
class AgreedScope:
    """What results from the scopes that one site asks for and the other site allows.

    :ivar agreed: the scope tokens that both sites have named (RFC 6749, section 3.3).
    :ivar dropped: the tokens that the one site asks for and the other site does not allow.
    :ivar is_known: whether both sites have said what they ask for and allow. If not, ``agreed`` is
        what this site has decided, and may become less.
    """

    agreed: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    is_known: bool = True


def turn_of(pairing: Pairing) -> Turn:
    """Return who must act next."""
    if pairing.state in Pairing.TO_SEND or (pairing.task and not is_over(pairing)):
        return Turn.THIS_SITE
    if pairing.state == State.ENDED and pairing.task == Task.END:
        return Turn.THIS_SITE
    if pairing.state == State.ACCEPTED:
        return Turn.ADMINISTRATOR
    if pairing.state == State.COMPLETE and _needs_administrator(pairing):
        return Turn.ADMINISTRATOR
    if pairing.state in (State.OPEN, State.REGISTERED):
        return Turn.OTHER_SITE
    return Turn.NOBODY


def _needs_administrator(pairing: Pairing) -> bool:
    """Return whether a complete pairing without a task needs an administrator of this site."""
    return bool(pairing.last_error) or has_failed_test(pairing) or _is_off(pairing)


def is_over(pairing: Pairing) -> bool:
    """Return whether the pairing has ended, successful or not."""
    return not pairing.is_under_way and pairing.state != State.COMPLETE


def exchanged_all(pairing: Pairing | None) -> bool:
    """Return whether the two sites have registered at each other, so that no administrator has to
    give a value to the other site."""
    return (
        pairing is not None
        and pairing.state == State.COMPLETE
        and pairing.role != Pairing.Role.REGISTRANT
        and bool(pairing.issuer)
    )


def what_next(pairing: Pairing) -> str:
    """Return one or two sentences for an administrator of this site: what the pairing waits for."""
    if pairing.state == State.COMPLETE:
        return _when_complete(pairing)
    if pairing.state == State.ENDED and pairing.task == Task.END:
        return gettext("This site still has to tell the other site that the pairing has ended.")
    if pairing.state == State.ACCEPTED and not pairing.issuer:
        return gettext(
            "The site that has used the invitation is registered here, but it knows only RFC 7591. "
            "Register this site there by hand. Then enter the endpoints of the other site."
        )
    if pairing.state == State.OPEN and not pairing.is_bound:
        return gettext(
            "Whoever has the invitation can accept it at another site. Then an administrator of "
            "this site must confirm that it is the right site."
        )
    texts = {
        State.OPEN: gettext("An administrator of the invited site must accept the invitation."),
        State.ACCEPTED: gettext(
            "Check that this is the right site: compare the check number or the thumbprints with "
            "the administrator there. Then confirm."
        ),
        State.CONFIRMED: gettext("This site has to register at the other site."),
        State.DRAFT: gettext("This site has to register at the other site."),
        State.REGISTERED: gettext(
            "The other site must register here too. If its invitation was not made for this site, "
            "an administrator there must confirm the pairing first."
        ),
        State.ENDED: gettext("The pairing has ended."),
        State.WITHDRAWN: gettext("The pairing was withdrawn. A new invitation is needed."),
        State.EXPIRED: gettext("The pairing took too long. A new invitation is needed."),
        State.FAILED: gettext("The pairing has failed. A new invitation is needed."),
        State.REPLACED: gettext("A newer pairing with the same site has taken its place."),
    }
    return texts.get(State(pairing.state), "")


def _when_complete(pairing: Pairing) -> str:
    tasks = {
        Task.TEST: gettext("This site still has to test the connection."),
        Task.ROTATE: gettext("This site still has to get a new secret from the other site."),
        Task.END: gettext("This site still has to tell the other site that the pairing has ended."),
    }
    if pairing.task:
        return tasks[Task(pairing.task)]
    if pairing.last_error:
        return gettext("The credentials of this site were not replaced: see the last error.")
    if pairing.role == Pairing.Role.REGISTRANT:
        return gettext("This site is registered there. The other direction is set up by hand.")
    if has_failed_test(pairing):
        return gettext("A test of the connection has failed. See what it says.")
    if _is_off(pairing):
        return gettext("Enable the peer, so that people can connect.")
    return gettext("Nothing. People can connect.")


def _is_off(pairing: Pairing) -> bool:
    return bool(pairing.peer and not pairing.peer.enabled)


def has_failed_test(pairing: Pairing) -> bool:
    """Return whether a test of the new peer has failed."""
    return any(finding.get("state") == Result.FAILED for finding in pairing.findings)


def host_of(issuer: str) -> str:
    """Return the host of an issuer, with the port if it has one: the address that an administrator
    must check."""
    return urlsplit(issuer).netloc


def scope_there(pairing: Pairing) -> AgreedScope:
    """Return what this site may hold at the other site."""
    by_role = {
        Pairing.Role.INVITER: pairing.issued_client_id,
        Pairing.Role.ACCEPTER: pairing.our_client_id,
    }
    # A server that knows only RFC 7591 does not say what this site may hold there.
    is_known = bool(by_role.get(Pairing.Role(pairing.role)))
    return _agreed(pairing.asked_scope, pairing.offered_scope, is_known=is_known)


def scope_here(pairing: Pairing) -> AgreedScope:
    """Return what the other site may hold at this site. Before it has registered here, this is what
    this site allows."""
    if not pairing.issued_client_id:
        return AgreedScope(tuple(scopes.split(pairing.allowed_scope)), is_known=False)
    return _agreed(pairing.wanted_scope, pairing.allowed_scope, is_known=True)


def _agreed(asked: str, allowed: str, *, is_known: bool) -> AgreedScope:
    tokens, limit = scopes.split(asked), set(scopes.split(allowed))
    if not is_known:
        return AgreedScope(tuple(tokens), is_known=False)
    return AgreedScope(
        agreed=tuple(token for token in tokens if token in limit),
        dropped=tuple(token for token in tokens if token not in limit),
    )


def words_there(pairing: Pairing) -> Mapping[str, str]:
    """Return what the scopes of the other site mean, by scope, in the language of the user: in the
    words of this site (the setting ``PEER_SCOPES``), or in those of the other site."""
    return Peer(slug=pairing.slug, scope_words=pairing.scope_words).described_scopes()


def method_in_words(method: str) -> str:
    """Return how a site authenticates, for an administrator; ``""`` if it is not known yet.

    :param method: the value of ``Pairing.auth_method`` or ``Pairing.its_auth_method``.
    """
    if not method:
        return ""
    if method == PeerAuthentication.PRIVATE_KEY_JWT:
        return gettext("with a key (no secret exists)")
    return gettext("with a client secret")
