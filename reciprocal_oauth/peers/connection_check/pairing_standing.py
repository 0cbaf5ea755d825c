"""Asks the other site of a pairing how far the pairing is there (RFC 7592, section 2.1).

A site that has not enabled this one yet refuses most of its requests, although everything is set up
well. So the checks of a peer ask for the state of the pairing first.
"""

import enum

from django.utils.translation import gettext
from django.views.decorators.debug import sensitive_variables

from ...core.protocol import UNAUTHORIZED_CLIENT
from ...exceptions import DecryptionError, PeerError, PeerRefused
from ...models import Pairing, Peer
from .. import registration_access
from ..findings import Result, State


class Standing(enum.Enum):
    """How this site stands at the other site of a pairing."""

    #: There is no pairing, or the other site does not say it.
    UNKNOWN = enum.auto()
    ENABLED = enum.auto()
    #: The administrator of the other site has not enabled this site, or has disabled it.
    DISABLED = enum.auto()
    #: The other site has not completed the pairing yet.
    WAITING = enum.auto()
    #: The other site does not know the registration of this site any more.
    ENDED = enum.auto()


@sensitive_variables()
def ask(peer: Peer) -> Standing:
    """Ask the other site, if this site is paired with ``peer``. A failure is no result: the checks
    that follow show its cause."""
    pairing = Pairing.objects.filter(peer=peer, state=Pairing.State.COMPLETE).first()
    if pairing is None or not pairing.our_management_uri:
        return Standing.UNKNOWN  # At a site that knows only RFC 7591, there is nothing to ask.
    if pairing.role == Pairing.Role.REGISTRANT:
        return Standing.UNKNOWN
    try:
        found = registration_access.read(pairing).metadata
    except PeerRefused as error:
        return Standing.ENDED if error.status == 401 else Standing.UNKNOWN
    except (PeerError, DecryptionError):
        return Standing.UNKNOWN
    match found.get("reciprocal_state"), found.get("reciprocal_enabled"):
        case "waiting", _:
            return Standing.WAITING
        case "ended", _:
            return Standing.ENDED
        case "complete", True:
            return Standing.ENABLED
        case "complete", False:
            return Standing.DISABLED
    return Standing.UNKNOWN


def explain(standing: Standing, result: Result, refused: PeerError | None) -> Result:
    """Return the result of a check that needs the other site to know this one, with a better reason
    if the pairing is the cause of its failure.

    :param refused: the error with which the other site refused the request of this check.
    """
    if result[0] != State.FAILED or not isinstance(refused, PeerRefused):
        return result
    if standing == Standing.ENDED:
        reason = gettext("The pairing was ended at the other site. Pair again to renew this peer.")
        return State.FAILED, reason
    if standing == Standing.WAITING:
        return State.UNKNOWN, gettext("The other site has not completed the pairing yet.")
    if standing == Standing.DISABLED and refused.error == UNAUTHORIZED_CLIENT:
        return State.UNKNOWN, gettext("The other site has not enabled this one yet.")
    return result
