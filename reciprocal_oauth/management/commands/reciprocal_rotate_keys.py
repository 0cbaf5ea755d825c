"""Re-encrypts what is stored under older keys, so that these can go."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reciprocal_oauth.maintenance import key_rotation
from reciprocal_oauth.maintenance.key_rotation import Outcome

from ._output import as_json


class Command(BaseCommand):
    help = (
        "Writes every stored secret anew with the first of the encryption keys, where an older one "
        "wrote it. Can be stopped and run again. Ends with status 1 if no key reads a secret."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="count only, write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run = options["dry_run"]
        columns = {
            f"{model._meta.model_name}.{name}": (model, name)
            for model, name in key_rotation.encrypted_columns()
        }
        width = max(map(len, columns))
        found: dict[str, Counter[Outcome]] = {}
        for label, (model, name) in sorted(columns.items()):
            found[label] = key_rotation.rotate(model, name, dry_run=dry_run)
            if not options["json"]:
                # Column by column: a large table takes minutes.
                self.stdout.write(f"{label.ljust(width)}  {_in_words(found[label], dry_run)}")
        total = sum(found.values(), Counter[Outcome]())
        if options["json"]:
            by_column = {label: _document(counts) for label, counts in found.items()}
            document = {"dry_run": dry_run, **_document(total), "columns": by_column}
            self.stdout.write(as_json(document))
        if total[Outcome.UNREADABLE]:
            raise CommandError(_unreadable(found))
        if not options["json"] and not (dry_run and total[Outcome.ROTATED]):
            self.stdout.write("The first key reads every stored secret. The older ones can go.")


def _document(counts: Counter[Outcome]) -> dict[str, int]:
    return {str(outcome): counts[outcome] for outcome in Outcome}


def _in_words(counts: Counter[Outcome], dry_run: bool) -> str:
    rotated = f"{counts[Outcome.ROTATED]} {'to re-encrypt' if dry_run else 're-encrypted'}"
    parts = [rotated, f"{counts[Outcome.CURRENT]} under the first key already"]
    if counts[Outcome.UNREADABLE]:
        parts.append(f"{counts[Outcome.UNREADABLE]} UNREADABLE")
    return ", ".join(parts)


def _unreadable(found: dict[str, Counter[Outcome]]) -> str:
    where = ", ".join(
        f"{label} ({counts[Outcome.UNREADABLE]})"
        for label, counts in found.items()
        if counts[Outcome.UNREADABLE]
    )
    return (
        f"No key reads these secrets, which were left as they are: {where}. Put the key that wrote "
        "them at the end of RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] (or of SECRET_KEY_FALLBACKS) and "
        "run this again. If it is lost, or if the secrets were moved to other rows by other means "
        "than this app, enter the peers' client secrets again, and let people connect again."
    )
