"""The command ``reciprocal_prune``. It deletes old rows. Before that, it marks a link as broken if
the link says that the peer has access, but the peer no longer has a valid token at this site."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.links import lost_access
from reciprocal_oauth.maintenance import pruning
from reciprocal_oauth.models import Link

from ._output import as_json, table


class Command(BaseCommand):
    """Deletes old rows, and marks links as broken if their peer no longer has a valid token at this
    site."""

    help = (
        "Deletes finished hand-overs, codes without valid tokens, abandoned authorization "
        "requests, pairings that are over and ended links that are older than the RETENTION "
        "settings. Before that, marks links as broken if the peer has no valid token here any "
        "more. Run it daily."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options of the command."""
        parser.add_argument(
            "--dry-run", action="store_true", help="only count what would be deleted"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Mark links as broken if their peer no longer has a valid token at this site, activate the
        keys of this site whose time has come, delete old rows, and print the counts. With
        ``--dry-run``, count these links and rows, but change nothing."""
        dry_run = options["dry_run"]
        if not dry_run:
            site_keys.advance()
        links = Link.objects.all()
        broken = (
            lost_access.with_unrecorded_loss(links).count()
            if dry_run
            else lost_access.record_lost_access(links)
        )
        prunable = pruning.prunable()
        counts = {
            name: rows.count() if dry_run else pruning.delete(rows)
            for name, rows in prunable.items()
        }
        if options["json"]:
            self.stdout.write(as_json({"dry_run": dry_run, "broken": broken, **counts}))
            return
        if broken:
            what = "would be marked as broken" if dry_run else "marked as broken"
            self.stdout.write(f"{broken} link{'' if broken == 1 else 's'} {what}.")
        if not any(counts.values()):
            self.stdout.write("There is nothing to delete.")
            return
        self.stdout.write("Would be deleted:" if dry_run else "Deleted:")
        names = {name: rows.model._meta.verbose_name_plural for name, rows in prunable.items()}
        self.stdout.write(table(((n, names[name]) for name, n in counts.items() if n), indent="  "))
