"""Deliveries in words, for administrators: how many are sent again, and why they wait."""

from collections.abc import Mapping

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..models import OutboxItem, Peer


def in_words(count: Mapping[str, int]) -> str:
    """Say how many deliveries of each kind there are, such as “2 hand-overs and 1 revocation”."""
    handovers = count.get(OutboxItem.Kind.HANDOVER, 0)
    revocations = count.get(OutboxItem.Kind.REVOCATION, 0)
    first = ngettext("%d hand-over", "%d hand-overs", handovers) % handovers
    second = ngettext("%d revocation", "%d revocations", revocations) % revocations
    if handovers and revocations:
        return _("%(first)s and %(second)s") % {"first": first, "second": second}
    return second if revocations else first


def why_it_waits(peer: Peer) -> str:
    """Say why nothing is delivered to ``peer``, which is paused."""
    return _("Nothing is delivered to %(peer)s until it is resumed: %(reason)s.") % {
        "peer": peer,
        "reason": peer.get_paused_reason_display(),
    }
