"""The history of a link: what happened, when, at which step of the protocol."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link


class Party(models.TextChoices):
    """The role of this site in the flow that the event belongs to."""

    A = "A", _("party A")
    B = "B", _("party B")


class Step(models.TextChoices):
    """The steps of the protocol (draft-ietf-oauth-reciprocal-04, section 2, figure 1)."""

    NONE = "", _("outside the flow")
    A = "A", _("authorization request")
    B = "B", _("authorization granted")
    C = "C", _("code sent")
    D = "D", _("access token received")
    #: draft-ietf-oauth-reciprocal-04, section 2.2.1.
    CONSENT = "consent", _("consent to the reverse direction")
    E = "E", _("reciprocal code handed over")
    F = "F", _("reciprocal code redeemed")
    G = "G", _("access token for the reverse direction")


#: The detail of an event: the person did not give the consent.
NOT_ALLOWED = "not allowed"
#: The detail of an event: the peer redeemed a code that had been redeemed before.
REPLAY = "replay"


#: Events of one link that are kept at most. A new event deletes the oldest one, so that a peer or
#: a person that repeats a step all day cannot fill the disk.
MAX_EVENTS_PER_LINK = 500
#: Events of one link that pages show. While the link is active, they are kept whatever their age.
SHOWN_EVENTS_PER_LINK = 100


class LinkEvent(BaseModel):
    """One event in the history of a link. It never contains a code, a token or a secret."""

    class Outcome(models.TextChoices):
        """Whether the step succeeded."""

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
        """Whether the person refused the consent. This is not an error."""
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
    # A hand-over must be fast. Its later steps add events too, and delete the old ones then.
    if step != Step.E or outcome != LinkEvent.Outcome.OK:
        _delete_oldest(link)
    return event


def newest_events(link: Link, count: int = SHOWN_EVENTS_PER_LINK) -> list[LinkEvent]:
    """The newest ``count`` events of ``link``, the oldest of them first."""
    return list(reversed(link.events.order_by("-at", "-id")[:count]))


def _delete_oldest(link: Link) -> None:
    newest_first = LinkEvent.objects.filter(link=link).order_by("-at", "-id")
    keys = newest_first.values_list("pk", flat=True)
    if surplus := list(keys[MAX_EVENTS_PER_LINK : 2 * MAX_EVENTS_PER_LINK]):
        LinkEvent.objects.filter(pk__in=surplus).delete()
