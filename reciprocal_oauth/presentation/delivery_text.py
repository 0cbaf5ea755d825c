"""Tells administrators how many deliveries are sent again, and why deliveries to a peer wait.

A delivery is a hand-over (a reciprocal code that is sent to the peer) or the revocation of a token.
"""

from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import OutboxItem, Peer


def in_words(count: Mapping[str, int]) -> str:
    """Return the numbers in ``count`` as a text, such as “2 hand-overs and 1 revocation”.

    :param count: the number of deliveries for each ``OutboxItem.Kind``.
    """
    handovers = count.get(OutboxItem.Kind.HANDOVER, 0)
    revocations = count.get(OutboxItem.Kind.REVOCATION, 0)
    first = ngettext("%d hand-over", "%d hand-overs", handovers) % handovers
    second = ngettext("%d revocation", "%d revocations", revocations) % revocations
    if handovers and revocations:
        return _("%(first)s and %(second)s") % {"first": first, "second": second}
    return second if revocations else first


def why_it_waits(peer: Peer) -> str:
    """Return a sentence with the reason why delivery to ``peer`` is paused. While it is paused,
    this site sends nothing to the peer."""
    return _("Nothing is delivered to %(peer)s until it is resumed: %(reason)s.") % {
        "peer": peer,
        "reason": peer.get_paused_reason_display(),
    }
