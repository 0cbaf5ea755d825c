"""The command ``reciprocal_handovers``. It lists deliveries, sends them again, or cancels them. A
delivery is a hand-over (it sends a reciprocal code) or a revocation (it revokes a token)."""

from collections.abc import Iterable
from typing import Any, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from reciprocal_oauth.models import InboxItem, OutboxItem, Peer, QueueItem
from reciprocal_oauth.party_a import resending
from reciprocal_oauth.presentation import delivery_text
from reciprocal_oauth.status.workers import present_absence

from ._actions import actions_of
from ._output import as_json, fields_of, for_people, printable, shortened, table
from ._peer_flags import add_django_flags

Item = TypeVar("Item", bound=QueueItem)
State = QueueItem.State

_FIELDS = "state reason attempts last_error next_attempt_at created_at finished_at"


class Command(BaseCommand):
    """Lists hand-overs and revocations, sends them again, or cancels them."""

    help = "Lists hand-overs and revocations, sends failed ones again, or cancels pending ones."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions and their options."""
        actions = actions_of(parser)
        listing = actions.add_parser("list", help="list them, newest first")
        listing.add_argument(
            "--incoming",
            action="store_true",
            help="list what peers have handed over here, instead of what this site sends",
        )
        listing.add_argument(
            "--state", choices=State.values, help="only this state, for example failed"
        )
        listing.add_argument(
            "--limit", type=int, default=100, metavar="N", help="list at most N (default: 100)"
        )
        resend = actions.add_parser("resend", help="send failed or cancelled ones again")
        resend.add_argument(
            "--failed", action="store_true", help="all that have failed, instead of numbers"
        )
        cancel = actions.add_parser("cancel", help="cancel pending ones")
        for action in (resend, cancel):
            action.add_argument(
                "numbers", nargs="*", type=int, metavar="NUMBER", help="the number in the list"
            )
        for action in (listing, resend):
            action.add_argument("--peer", metavar="SLUG", help="only those of this peer")
        for action in (listing, resend, cancel):
            action.add_argument("--json", action="store_true", help="print one JSON document")
            add_django_flags(action)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the action that the user has chosen: ``list``, ``resend`` or ``cancel``.

        :raises CommandError: an option is not valid, or a delivery cannot be sent again or
            cancelled.
        """
        actions = {"list": self.list, "resend": self.resend, "cancel": self.cancel}
        actions[action](options)

    def list(self, options: dict[str, Any]) -> None:
        """Print the hand-overs and revocations that the options select, the newest first. With
        ``--incoming``, print only the reciprocal codes that peers have sent to this site.

        :raises CommandError: the peer does not exist.
        """
        model: type[QueueItem] = InboxItem if options["incoming"] else OutboxItem
        items = _items(model, options["peer"]).order_by("-created_at", "-pk")
        if options["state"]:
            items = items.filter(state=options["state"])
        found = items[: max(options["limit"], 0)]
        if options["json"]:
            self.stdout.write(as_json([_document(item) for item in found]))
        elif not found:
            self.stdout.write("There are no hand-overs or revocations.")
        else:
            self.stdout.write(table(map(_row, found)))
            self._warn_of_missing_worker(found)

    def _warn_of_missing_worker(self, items: Iterable[QueueItem]) -> None:
        """Warn if one of ``items`` waits, and no worker runs that could deliver it."""
        is_waiting = any(item.state in QueueItem.LIVE_STATES for item in items)
        if is_waiting and (missing := present_absence()):
            self.stderr.write(self.style.WARNING(f"{missing.text} {missing.remedy}"))

    def resend(self, options: dict[str, Any]) -> None:
        """Send failed or cancelled deliveries again. If delivery to a peer is paused, warn that the
        deliveries to this peer wait until an administrator resumes delivery.

        :raises CommandError: the options select no deliveries, a number or the peer does not exist,
            or a delivery that the user chose by its number cannot be sent again.
        """
        items = _items(OutboxItem, options["peer"])
        if options["failed"] == bool(options["numbers"]):
            raise CommandError("Give the numbers to send again, or --failed for all failed ones.")
        if options["failed"]:
            chosen = list(items.filter(state=State.FAILED).order_by("pk"))
        else:
            chosen = _numbered(items, options["numbers"])
        try:
            self._for_each(chosen, resending.resend, "sent_again", options)
        finally:
            resending.wake_workers()
        if not options["json"]:
            for peer in resending.paused_peers_of(chosen).values():
                self.stderr.write(self.style.WARNING(printable(delivery_text.why_it_waits(peer))))

    def cancel(self, options: dict[str, Any]) -> None:
        """Cancel the deliveries with the given numbers.

        :raises CommandError: no number is given, a number does not exist, or a delivery cannot be
            cancelled because it is already done, failed or cancelled.
        """
        if not options["numbers"]:
            raise CommandError("Give the numbers to cancel.")
        chosen = _numbered(_items(OutboxItem, None), options["numbers"])
        self._for_each(chosen, resending.cancel, "cancelled", options)

    def _for_each(self, items: Any, act: Any, done: str, options: dict[str, Any]) -> None:
        """Call ``act`` with each item. Print the number of items for which ``act`` succeeded, and
        the reason for each item for which ``act`` raised ``NotPossible``.

        :param done: the word for success in the output, such as ``cancelled``.
        :raises CommandError: ``act`` raised ``NotPossible`` for an item that the user chose by its
            number.
        """
        numbers, refused = [], {}
        for item in items:
            try:
                act(item)
                numbers.append(item.pk)
            except resending.NotPossible as error:
                refused[item.pk] = str(error)
        if options["json"]:
            self.stdout.write(as_json({done: numbers, "refused": refused}))
        else:
            self.stdout.write(f"{done.capitalize().replace('_', ' ')}: {len(numbers)}.")
        reasons = "\n".join(f"Number {number}: {why}" for number, why in refused.items())
        if reasons and options["numbers"]:
            raise CommandError(reasons)
        if reasons and not options["json"]:
            self.stderr.write(reasons)


def _items(model: type[Item], slug: str | None) -> QuerySet[Item]:
    """Return the rows of ``model``, which is the outbox or the inbox. If ``slug`` is given, return
    only the rows of the peer with this slug.

    :raises CommandError: the peer does not exist.
    """
    rows: QuerySet[Any] = model._default_manager.all()
    items = rows.select_related("peer", "link__user")
    if slug is None:
        return items
    if not Peer.objects.filter(slug=slug).exists():
        raise CommandError(f"There is no peer “{printable(slug)}”.")
    return items.filter(peer__slug=slug)


def _numbered(items: QuerySet[OutboxItem], numbers: Any) -> Any:
    """Return the items whose primary keys are in ``numbers``, in the order of ``numbers`` and
    without duplicates.

    :raises CommandError: a number does not exist.
    """
    found = items.in_bulk(numbers)
    if missing := [str(number) for number in numbers if number not in found]:
        raise CommandError(f"These numbers do not exist: {', '.join(missing)}. Nothing was done.")
    return [found[number] for number in dict.fromkeys(numbers)]


def _row(item: Any) -> tuple[str, ...]:
    user = item.link.user.get_username() if item.link else "(link deleted)"
    return (
        str(item.pk),
        item.kind if isinstance(item, OutboxItem) else "redemption",
        item.peer.slug,
        shortened(user),
        item.state + (f" ({item.reason})" if item.reason else ""),
        f"{item.attempts} attempt{'' if item.attempts == 1 else 's'}",
        for_people(item.next_attempt_at or item.finished_at or item.updated_at),
        printable(item.last_error),
    )


def _document(item: Any) -> dict[str, Any]:
    names = f"kind resends {_FIELDS}" if isinstance(item, OutboxItem) else _FIELDS
    return {
        "number": item.pk,
        "peer": item.peer.slug,
        "link": item.link_id,
        **fields_of(item, names),
    }
