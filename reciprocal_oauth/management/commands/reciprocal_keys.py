"""The command ``reciprocal_keys``. It shows, replaces and retires the keys with which this site
signs."""

from collections.abc import Iterable
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.models import Peer, SiteKey

from ._actions import actions_of
from ._output import as_json, fields_of, for_people, table
from ._peer_flags import add_django_flags

#: The fields of a key that the output with ``--json`` contains. The private part is never shown.
_SHOWN = "kid alg state created_at activated_at retires_at is_published"
_SEEN_LATER = (
    "A peer that keeps a copy of the public keys can refuse requests until it fetches them again. "
    "Test the connection to each peer for which this site signs (“reciprocal_peer test”), and "
    "resume a peer that was paused meanwhile (“reciprocal_peer resume”): "
)


class Command(BaseCommand):
    """Shows, replaces and retires the keys with which this site signs."""

    help = (
        "Shows, replaces and retires the keys with which this site proves to peers who it is. No "
        "private key is shown."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions and their options."""
        actions = actions_of(parser)
        listing = actions.add_parser("list", help="list the keys")
        rotate = actions.add_parser(
            "rotate",
            help="replace the keys",
            description="Publishes a new key. This site signs with it after two hours, and the "
            "former key stays published for 24 hours more. If there is no key, makes the first.",
        )
        rotate.add_argument(
            "--now",
            action="store_true",
            help="Somebody else may know a key: sign with a new key now, and remove all former "
            "keys from the public set now.",
        )
        retire = actions.add_parser(
            "retire",
            help="remove a key from the public set now",
            description="Removes a key that this site does not sign with from the public set now.",
        )
        retire.add_argument("kid", metavar="KID", help="The ID of the key, as “list” shows it.")
        for action in (listing, rotate, retire):
            action.add_argument("--json", action="store_true", help="Print one JSON document.")
            add_django_flags(action)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the action that the user has chosen, such as ``list``.

        :raises CommandError: the key cannot be retired.
        """
        site_keys.advance()
        if action == "rotate":
            self._rotate(options)
        elif action == "retire":
            self._retire(options)
        else:
            self._print(SiteKey.objects.all(), options)

    def _rotate(self, options: dict[str, Any]) -> None:
        keys = site_keys.rotate(at_once=options["now"])
        self._print(keys, options)
        signed_for = Peer.objects.filter(
            token_endpoint_auth_method=Peer.AuthMethod.PRIVATE_KEY_JWT
        ).values_list("slug", flat=True)
        if options["now"] and signed_for:
            self.stderr.write(f"{_SEEN_LATER}{', '.join(signed_for)}.", style_func=str)

    def _retire(self, options: dict[str, Any]) -> None:
        kid = options["kid"]
        if not site_keys.retire(kid):
            if SiteKey.objects.filter(kid=kid).exists():
                raise CommandError("This site signs with this key. Replace it: rotate --now")
            raise CommandError("There is no such key. See: reciprocal_keys list")
        self._print(SiteKey.objects.filter(kid=kid), options)

    def _print(self, keys: Iterable[SiteKey], options: dict[str, Any]) -> None:
        rows = list(keys)
        if options["json"]:
            self.stdout.write(as_json([fields_of(key, _SHOWN) for key in rows]))
        elif rows:
            self.stdout.write(table((key.kid, key.alg, _in_words(key)) for key in rows))
        else:
            self.stdout.write("There are no keys. The first one is made when it is needed.")


def _in_words(key: SiteKey) -> str:
    if key.state == SiteKey.State.PUBLISHED:
        begins = for_people(key.created_at + site_keys.PUBLISHED_BEFORE_USE)
        return f"published, active from {begins}"
    if key.state == SiteKey.State.ACTIVE:
        return f"active since {for_people(key.activated_at or key.created_at)}"
    until = key.retires_at or timezone.now()
    return (
        f"retired, published {'until' if key.is_published else 'no more since'} {for_people(until)}"
    )
