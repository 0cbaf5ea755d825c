"""The history of a link. Each event stores what happened, when it happened, and to which step of
the protocol it belongs."""

from functools import partial

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..core import telemetry
from ..core.database import on_commit
from .base import BaseModel
from .links import Link


class Party(models.TextChoices):
    """The role that this site had in the recorded event. The protocol has two roles, party A and
    party B (draft-ietf-oauth-reciprocal-04, section 2)."""

    A = "A", _("party A")
    B = "B", _("party B")


class Step(models.TextChoices):
    """The steps of the protocol. The letters are the letters of the steps in figure 1 of
    draft-ietf-oauth-reciprocal-04, section 2. ``NONE`` is for an event that is not a step of the
    protocol, for example the end of a link."""

    NONE = "", _("outside the flow")
    A = "A", _("authorization request")
    B = "B", _("authorization granted")
    C = "C", _("code sent")
    D = "D", _("access token received")
    #: The user of party A consents to the reverse direction: party B may then act at party A
    #: (draft-ietf-oauth-reciprocal-04, section 2.2.1).
    CONSENT = "consent", _("consent to the reverse direction")
    E = "E", _("reciprocal code handed over")
    F = "F", _("reciprocal code redeemed")
    G = "G", _("access token for the reverse direction")


#: The value of ``LinkEvent.detail`` if the user answered the consent question with "no".
NOT_ALLOWED = "not allowed"
#: The value of ``LinkEvent.detail`` if the peer tried to redeem a code for the second time.
REPLAY = "replay"


#: The largest number of events that are kept for one link. If a link has more events, the oldest
#: ones are deleted. So a peer or a person who repeats a step all day cannot fill the disk.
MAX_EVENTS_PER_LINK = 500
#: The number of newest events of a link that pages show. While the link is active, these events are
#: kept, however old they are.
SHOWN_EVENTS_PER_LINK = 100


class LinkEvent(BaseModel):
    """One event in the history of a link. An event never contains a code, a token or a secret."""

    class Outcome(models.TextChoices):
        """The result that an event records. ``FAILED`` means that a step of the protocol failed, or
        that a direction of the link stopped working. All other events are ``OK``."""

        OK = "ok", _("done")
        FAILED = "failed", _("failed")

    link = models.ForeignKey(Link, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(_("time"), default=timezone.now)
    party = models.CharField(_("party"), max_length=1, choices=Party.choices, blank=True)
    step = models.CharField(_("step"), max_length=8, choices=Step.choices, blank=True)
    outcome = models.CharField(
        _("outcome"), max_length=8, choices=Outcome.choices, default=Outcome.OK
    )
    generation = models.PositiveIntegerField(_("generation"), default=0)
    detail = models.CharField(_("detail"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("link event")
        verbose_name_plural = _("link events")
        ordering = ["at", "id"]
        indexes = [models.Index(fields=["link", "at"], name="reciprocal_event_of_link")]

    def __str__(self) -> str:
        return f"{self.step or '-'} {self.outcome}"

    @property
    def is_refusal(self) -> bool:
        """Return whether the event records that the user did not allow the peer to act at this
        site. This is a decision of the user and not an error."""
        return self.step == Step.CONSENT and self.detail == NOT_ALLOWED


def record_event(
    link: Link,
    step: Step,
    *,
    party: Party | str = "",
    outcome: LinkEvent.Outcome = LinkEvent.Outcome.OK,
    detail: str = "",
    at: object = None,
) -> LinkEvent:
    """Add an event to the history of ``link``, and delete events beyond ``MAX_EVENTS_PER_LINK``."""
    event = LinkEvent.objects.create(
        link=link,
        step=step,
        party=party,
        outcome=outcome,
        detail=detail[:300],
        generation=link.generation,
        **({"at": at} if at is not None else {}),
    )
    # When this site receives a reciprocal code (step E), the peer waits for the HTTP response. So
    # do not spend time on deleting old events now. They are deleted after an event of a later step.
    if step != Step.E or outcome != LinkEvent.Outcome.OK:
        _delete_oldest(link)
    if telemetry.is_on() and step in (Step.E, Step.F, Step.G):
        on_commit(partial(_count, link.peer.slug, event))
    return event


def _count(peer: str, event: LinkEvent) -> None:
    telemetry.count(
        telemetry.Count.HANDOVERS,
        peer=peer,
        direction="outgoing" if event.party == Party.A else "incoming",
        step=event.step,
        result=event.outcome,
    )


def newest_events(link: Link, count: int = SHOWN_EVENTS_PER_LINK) -> list[LinkEvent]:
    """Return the newest ``count`` events of ``link``, sorted from the oldest to the newest."""
    return list(reversed(link.events.order_by("-at", "-id")[:count]))


def _delete_oldest(link: Link) -> None:
    newest_first = LinkEvent.objects.filter(link=link).order_by("-at", "-id")
    keys = newest_first.values_list("pk", flat=True)
    if surplus := list(keys[MAX_EVENTS_PER_LINK : 2 * MAX_EVENTS_PER_LINK]):
        LinkEvent.objects.filter(pk__in=surplus).delete()
