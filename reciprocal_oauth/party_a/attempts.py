"""What became of the attempts of users to connect: a failed attempt keeps its reason.

An attempt is a visit (the trip of the user to the peer and back), seen by an administrator. Some
outcomes are not stored, because nothing happens at this site: a peer that does not know the
redirect URI or the client ID of this site shows an error page of its own, and the user never comes
back (RFC 6749, section 4.1.2.1).
"""

from datetime import timedelta
from typing import Any

from django.db.models import Case, CharField, F, Q, QuerySet, TextChoices, Value, When
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .. import signals
from ..conf import settings
from ..core.database import tried_again
from ..core.plain_text import plain
from ..exceptions import AuthorizationFailed
from ..models import AuthorizationRequest
from ..secret import Secret

Problem = AuthorizationRequest.Problem
#: For this long after the authorization response has arrived, this site may still be redeeming the
#: authorization code.
IN_USE_AFTER_RESPONSE = timedelta(minutes=1)
#: The largest number of characters of a text in ``AuthorizationRequest.detail``.
_LONGEST_DETAIL = 500


class Outcome(TextChoices):
    """What became of an attempt that has no :class:`AuthorizationRequest.Problem`."""

    CONNECTED = "connected", _("connected")
    UNDER_WAY = "under_way", _("under way")
    #: The user did not come back within ``AUTHORIZATION_REQUEST_LIFETIME_SECONDS``.
    NO_ANSWER = "no_answer", _("the person never came back")
    #: An unexpected error, the end of the process, or a user who was deactivated meanwhile.
    BROKEN_OFF = "broken_off", _("broken off at this site")


#: The outcomes of attempts that ended without a link.
FAILED = (*(value for value in Problem.values if value), Outcome.NO_ANSWER, Outcome.BROKEN_OFF)


def with_outcome(rows: QuerySet[AuthorizationRequest]) -> QuerySet[Any]:
    """Annotate each row with ``outcome``: a value of ``AuthorizationRequest.Problem`` that is not
    empty, or a value of :class:`Outcome`."""
    now = timezone.now()
    lifetime = timedelta(seconds=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS)
    outcome = Case(
        When(link__isnull=False, then=Value(Outcome.CONNECTED.value)),
        When(~Q(problem=""), then=F("problem")),
        When(~Q(detail=""), then=Value(Outcome.BROKEN_OFF.value)),
        When(answered_at__gt=now - IN_USE_AFTER_RESPONSE, then=Value(Outcome.UNDER_WAY.value)),
        When(answered_at__isnull=False, then=Value(Outcome.BROKEN_OFF.value)),
        When(created_at__gte=now - lifetime, then=Value(Outcome.UNDER_WAY.value)),
        default=Value(Outcome.NO_ANSWER.value),
        output_field=CharField(),
    )
    return rows.annotate(outcome=outcome)


def record_failure(visit: AuthorizationRequest, failed: AuthorizationFailed) -> None:
    """Store why ``visit`` led to no link, and send the signal ``connection_failed``.

    The first outcome of a visit stays. The caller is the request that has used up ``state``
    (:func:`.callback.claim_visit`), so nobody can replace the outcome of a visit later.
    """
    outcome: dict[str, Any] = {
        "problem": failed.reason,
        "error": failed.error,
        "detail": plain(str(failed), _LONGEST_DETAIL),
        "code_verifier": Secret(""),  # Nobody needs it any more, and the row is kept for a while.
    }
    # Do not use save(): if the visit and its user were deleted during the exchange, save() would
    # try to insert the visit again.
    open_rows = AuthorizationRequest.objects.filter(pk=visit.pk, link__isnull=True, problem="")
    stored = tried_again(open_rows.update)(**outcome)
    for name, value in outcome.items():
        setattr(visit, name, value)
    if stored:
        signals.send_after_commit(
            signals.connection_failed,
            AuthorizationRequest,
            visit=visit,
            peer=visit.peer,
            problem=visit.problem,
            error=visit.error,
        )
