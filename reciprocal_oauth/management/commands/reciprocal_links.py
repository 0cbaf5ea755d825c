"""The command ``reciprocal_links``. It lists links: a link connects a user of this site with an
account at a peer."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet

from reciprocal_oauth.links import incoming_access
from reciprocal_oauth.models import Link, LinkEvent, Peer

from ._output import as_json, fields_of, for_people, printable, shortened, table

_FIELDS = (
    "subject account_name status outgoing_state outgoing_reason outgoing_scope "
    "access_token_expires_at incoming_state incoming_reason incoming_scope offered_scope "
    "generation confirmed_generation created_at updated_at linked_at last_used_at ended_at"
)
_EVENT_FIELDS = "at party step outcome generation detail"


class Command(BaseCommand):
    """Lists the links that the options select."""

    help = "Lists the links between users of this site and accounts at peers."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options that filter the links, and the options for the output."""
        parser.add_argument("--user", metavar="NAME", help="only this user's links")
        parser.add_argument("--peer", metavar="SLUG", help="only links with this peer")
        parser.add_argument("--all", action="store_true", help="also list links that have ended")
        parser.add_argument(
            "--events", action="store_true", help="also list the events of each link"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Print the links that the options select, with their events if ``--events`` is given.

        :raises CommandError: the user or the peer does not exist.
        """
        links = _links(options)
        with_events = options["events"]
        if options["json"]:
            self.stdout.write(as_json([_document(link, with_events) for link in links]))
        elif not links:
            self.stdout.write(
                "There are no links." if options["all"] else "There are no active links."
            )
        else:
            lines = table(map(_row, links)).splitlines()
            for link, line in zip(links, lines, strict=True):
                self.stdout.write(line)
                if with_events and (rows := [_event_row(event) for event in link.events.all()]):
                    self.stdout.write(table(rows, indent="    "))


def _links(options: dict[str, Any]) -> QuerySet[Link]:
    """Return the links that the options select, with everything that the output needs.

    :raises CommandError: the user or the peer does not exist.
    """
    links = Link.objects.select_related("peer", "user").order_by("peer__slug", "created_at")
    links = incoming_access.with_carried_scope(links)
    if options["user"] is not None:
        links = links.filter(user=_user(options["user"]))
    if (slug := options["peer"]) is not None:
        if not Peer.objects.filter(slug=slug).exists():
            raise CommandError(f"There is no peer “{printable(slug)}”.")
        links = links.filter(peer__slug=slug)
    if not options["all"]:
        links = links.filter(status=Link.Status.ACTIVE)
    return links.prefetch_related("events") if options["events"] else links


def _user(name: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise CommandError(f"There is no user “{printable(name)}”.") from None


def _row(link: Link) -> tuple[str, ...]:
    account = link.account_name or link.subject or "(unknown account)"
    return (
        str(link.pk),
        link.peer.slug,
        shortened(link.user.get_username()),
        shortened(account),
        _direction(
            "outgoing",
            link.outgoing_state,
            link.outgoing_reason and link.get_outgoing_reason_display(),
        ),
        _direction(
            "incoming",
            link.incoming_state,
            link.incoming_reason and link.get_incoming_reason_display(),
        ),
        _since_or_until(link),
    )


def _since_or_until(link: Link) -> str:
    if link.is_active:
        return f"since {for_people(link.linked_at or link.created_at)}"
    return f"ended {for_people(link.ended_at or link.updated_at)}"


def _direction(name: str, state: str, reason: str) -> str:
    return f"{name} {state}" + (f" ({reason})" if reason else "")


def _event_row(event: LinkEvent) -> tuple[str, ...]:
    party = f"party {event.party}" if event.party else ""
    return for_people(event.at), party, event.step, event.outcome, event.detail


def _document(link: Link, with_events: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "id": link.pk,
        "peer": link.peer.slug,
        "user": link.user.get_username(),
        "user_id": str(link.user_id),
        "two_way": link.is_two_way,
        "incoming_scope_in_force": incoming_access.scope_in_force(link),
        **fields_of(link, _FIELDS),
    }
    if with_events:
        document["events"] = [fields_of(event, _EVENT_FIELDS) for event in link.events.all()]
    return document
