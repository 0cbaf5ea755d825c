"""The command ``reciprocal_rotate_keys``. It encrypts all stored secrets with the first encryption
key in the settings. After that, an administrator can remove the older keys."""

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from reciprocal_oauth.maintenance import key_rotation
from reciprocal_oauth.maintenance.key_rotation import Outcome

from ._output import as_json


class Command(BaseCommand):
    """Encrypts all stored secrets with the first encryption key in the settings."""

    help = (
        "Encrypts every stored secret with the first encryption key, if it was encrypted with an "
        "older key. Can be stopped and run again. The exit status is 1 if no key can decrypt a "
        "secret."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options of the command."""
        parser.add_argument("--dry-run", action="store_true", help="only count, write nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *args: Any, **options: Any) -> None:
        """Encrypt the secrets of each encrypted column with the first encryption key, and print the
        counts. With ``--dry-run``, only count the secrets, and change nothing.

        :raises CommandError: there are secrets that no key can decrypt.
        """
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
                # Print the result of each column immediately, because a large table takes minutes.
                self.stdout.write(f"{label.ljust(width)}  {_in_words(found[label], dry_run)}")
        total = sum(found.values(), Counter[Outcome]())
        if options["json"]:
            by_column = {label: _document(counts) for label, counts in found.items()}
            document = {"dry_run": dry_run, **_document(total), "columns": by_column}
            self.stdout.write(as_json(document))
        if total[Outcome.UNREADABLE]:
            raise CommandError(_unreadable(found))
        if not options["json"] and not (dry_run and total[Outcome.ROTATED]):
            self.stdout.write(
                "The first key decrypts all stored secrets. You can remove older keys."
            )


def _document(counts: Counter[Outcome]) -> dict[str, int]:
    return {str(outcome): counts[outcome] for outcome in Outcome}


def _in_words(counts: Counter[Outcome], dry_run: bool) -> str:
    rotated = f"{counts[Outcome.ROTATED]} {'to re-encrypt' if dry_run else 're-encrypted'}"
    parts = [rotated, f"{counts[Outcome.CURRENT]} already with the first key"]
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
        f"No key decrypts these secrets, and they were not changed: {where}. Add the key that "
        "encrypted them at the end of RECIPROCAL_OAUTH['ENCRYPTION_KEYS'] (or of "
        "SECRET_KEY_FALLBACKS), and run this command again. If the key is lost, or if something "
        "other than this app has copied the secrets to other rows, enter the client secrets of the "
        "peers again, and let people connect again."
    )
