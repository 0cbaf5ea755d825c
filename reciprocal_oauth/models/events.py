"""The history of a link: what happened, when, at which step of the protocol."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .base import BaseModel
from .links import Link


class Party(models.TextChoices):
    """The part that this site played in the flow that the event belongs to."""

    A = "A", _("party A")
    B = "B", _("party B")


class Step(models.TextChoices):
    """The steps of the draft's figure 1."""

    NONE = "", _("outside the flow")
    A = "A", _("authorization request")
    B = "B", _("authorization granted")
    C = "C", _("code sent")
    D = "D", _("access token received")
    CONSENT = "consent", _("consent to the reverse")
    E = "E", _("reciprocal code handed over")
    F = "F", _("reciprocal code redeemed")
    G = "G", _("access token for the reverse")


#: The detail of a consent that was not given.
NOT_ALLOWED = "not allowed"
#: The detail of a redemption that was refused because the code had been redeemed.
REPLAY = "replay"


#: Lines that the history of one link has at most: the oldest go as new ones come. Whoever hands
#: codes over all day, or decides anew all day, fills no disk.
MAX_OF_LINK = 500
#: Lines that pages show, and that stay however old they are, while the link is active.
SHOWN_OF_LINK = 100


class LinkEvent(BaseModel):
    """One line of the history, which is added to at its end, and cut at its beginning. It never
    holds a code, token or secret."""

    class Outcome(models.TextChoices):
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
        """Whether it is the person's own no: nothing went wrong."""
        return self.step == Step.CONSENT and self.detail == NOT_ALLOWED


def record(
    link: Link,
    step: Step,
    *,
    party: Party | str = "",
    outcome: LinkEvent.Outcome = LinkEvent.Outcome.OK,
    detail: str = "",
    at: object = None,
) -> LinkEvent:
    """Append a line to the history of ``link``, which keeps its newest ``MAX_OF_LINK``."""
    event = LinkEvent.objects.create(
        link=link,
        step=step,
        party=party,
        outcome=outcome,
        detail=detail[:300],
        generation=link.generation,
        **({"at": at} if at is not None else {}),
    )
    # A hand-over has to be fast, and comes to more than this line.
    if step != Step.E or outcome != LinkEvent.Outcome.OK:
        _cut(link)
    return event


def newest(link: Link, count: int = SHOWN_OF_LINK) -> list[LinkEvent]:
    """The last ``count`` lines of the history of ``link``, in the order of time."""
    return list(reversed(link.events.order_by("-at", "-id")[:count]))


def _cut(link: Link) -> None:
    lines = LinkEvent.objects.filter(link=link).order_by("-at", "-id")
    if over := list(lines.values_list("pk", flat=True)[MAX_OF_LINK : 2 * MAX_OF_LINK]):
        LinkEvent.objects.filter(pk__in=over).delete()
