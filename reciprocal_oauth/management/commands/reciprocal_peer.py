"""The command ``reciprocal_peer``. With it, an administrator can add and change peers, list them,
resume the delivery to them, and test the connection to them."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Count, Q, QuerySet
from oauth2_provider.generators import generate_client_id, generate_client_secret

from reciprocal_oauth.client.discovery import Metadata
from reciprocal_oauth.core import site_address
from reciprocal_oauth.delivery import pausing
from reciprocal_oauth.links import outgoing_access
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.party_a import resending
from reciprocal_oauth.peers import discovery, save_warnings
from reciprocal_oauth.peers.sheet import ConsoleLine, console_lines, sheet_for
from reciprocal_oauth.presentation import delivery_text
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors import Preset
from reciprocal_oauth.vendors.preset import Question

from . import _peer_preset, _peer_sheet, _peer_test
from ._actions import actions_of
from ._output import as_json, printable, table
from ._peer_document import peer_document
from ._peer_flags import (
    EPILOG,
    PEER_FLAGS,
    add_django_flags,
    add_flags,
    application_fields,
    option,
    read_secrets,
)
from ._peer_logo import fetch_logo
from ._peer_plain_client import PlainClient
from ._peer_preset import PresetAnswers
from ._peer_registration import PeerRegistration, find, undone
from ._peer_saving import save
from ._peer_text import peer_text, row_of, sheet_text


class Command(BaseCommand):
    """Adds, updates, shows, lists, resumes and tests peers."""

    help = "Adds, updates, shows and tests peers. No secret is shown, except a generated one, once."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the actions and their options."""
        actions = actions_of(parser)
        add = actions.add_parser(
            "add",
            help="add a peer, or update the one with this short name",
            description="Adds a peer, or updates it. An update only changes what you give.",
            epilog=EPILOG,
        )
        show = actions.add_parser("show", help="show a peer, and what to give to the other site")
        listing = actions.add_parser("list", help="list the peers")
        resume = actions.add_parser(
            "resume",
            help="resume delivery to a paused peer",
            description="Resumes delivery to a peer that was paused because it refused the "
            "credentials of this site or responded 410 Gone. What failed for this reason is sent "
            "again.",
        )
        test = actions.add_parser(
            "test",
            help="test the connection to a peer, or to all",
            description="Sends made-up values to the peer, which the peer must refuse. The exit "
            "status is 1 if a test fails.",
        )
        vendors = actions.add_parser(
            "vendors", help="list the vendors that have a preset, and what it asks for"
        )
        logo = actions.add_parser("logo", help="fetch the logo of a peer now")
        add_flags(add)
        _peer_sheet.add_sheet_flags(add, show)
        _peer_test.add_options(test)
        for action in (add, show, resume, logo):
            action.add_argument(
                "slug", metavar="SLUG", help="The short name, which is part of the redirect URI."
            )
        for action in (add, show):
            action.add_argument(
                "--base-url",
                metavar="URL",
                help="The URL of this site, instead of the setting BASE_URL.",
            )
        for action in (add, show, listing, resume, test, vendors, logo):
            action.add_argument("--json", action="store_true", help="Print one JSON document.")
            add_django_flags(action)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Run the action that the user has chosen, such as ``add`` or ``list``.

        :raises CommandError: an option is not valid, or the action failed.
        """
        actions = {
            "add": self.add,
            "show": self.show,
            "list": self.list,
            "resume": self.resume,
            "test": self.test,
            "vendors": self.vendors,
            "logo": self.logo,
        }
        actions[action](options)

    def add(self, options: dict[str, Any]) -> None:
        """Add or update a peer. Then print the values that the administrator of the other site
        needs to register this site.

        :raises CommandError: an option is not valid, or the metadata cannot be read.
        """
        base = _base_url(options["base_url"])
        stored = Peer.objects.filter(slug=options["slug"]).first()
        imported = _peer_sheet.imported(options, stored)
        answers = PresetAnswers(options)
        answers.hide_secret(options)
        read_secrets(options)
        given = self._given(options)
        if (client := PlainClient.of(options)) is not None:
            given = client.with_values(given)
        metadata = None if options["discover"] is None else self._metadata(options["discover"])
        found = _peer_sheet.values_of(imported, stored)
        found |= {} if metadata is None else discovery.values_of(metadata)
        if found and stored:
            found = discovery.new_values(stored, found)
        there = PeerRegistration.of(options, given, stored, metadata, base)
        if there is not None:
            # Save and undo, so that all errors are found before the other site is called.
            with undone():
                self._saved(options, answers, {**given, **there.placeholders()}, found, base, save)
            given |= there.send()
        try:
            saving = save if client is None else client.save
            saved = self._saved(options, answers, given, found, base, saving)
            peer, is_new, made_up, values = saved
        except Exception:
            if there is not None:
                there.give_back()
            raise
        for remark in there.store(peer) if there is not None else ():
            self._warn(printable(remark))
        if warning := save_warnings.scope_warning(peer):
            self._warn(warning)
        if warning := save_warnings.grace_warning(peer):
            self._warn(warning)
        if warning := save_warnings.keys_warning(peer):
            self._warn(warning)
        if "client_secret" in values and (warning := save_warnings.secret_warning(peer)):
            self._warn(warning)
        if {*pausing.RELEVANT_FIELDS, "dialect"} & values.keys():
            # With the new values, the peer perhaps accepts reciprocal codes. So record that the
            # peer supports the reverse direction. If the next hand-over shows that the peer does
            # not support it, ``party_a.send`` records that.
            peer.record_reverse_support(is_supported=True)
        if pausing.RELEVANT_FIELDS & values.keys():
            if peer.paused_at is None:
                outgoing_access.allow_refresh(peer)
            else:
                resending.resume(peer)
        if imported is not None:
            self._say(_peer_sheet.remark(imported))
        peer = _peers().get(pk=peer.pk)
        sheet = sheet_for(peer, base)
        if options["json"]:
            secret = {"application_client_secret": made_up} if made_up else {}
            document = {**peer_document(peer, sheet, base), "created": is_new, **secret}
            self.stdout.write(as_json(document))
            return
        done = "added" if is_new else "updated"
        self.stdout.write(f"Peer {peer.slug} ({printable(peer.name)}) {done}.\n\n")
        self.stdout.write(sheet_text(peer, sheet, made_up, has_paths=not base))

    def _saved(
        self,
        options: dict[str, Any],
        answers: PresetAnswers,
        given: Mapping[str, Any],
        found: Mapping[str, Any],
        base: str,
        saving: Callable[..., tuple[Peer, bool, str]],
    ) -> tuple[Peer, bool, str, Mapping[str, Any]]:
        """Save the peer with the values that the user has given, those of its metadata, and those
        of the preset of its vendor.

        :param answers: the answers to the questions of the preset. At a terminal, ask for the
            missing ones.
        :param given: the values for which the user has given a flag, by field name.
        :param found: the values from the metadata of the peer, by field name.
        :param saving: see :func:`save`.
        :returns: the peer, whether it is new, the client secret of its application if it was
            generated now (otherwise ``""``), and the fields that were set.
        :raises CommandError: see :func:`save`, and :meth:`PresetAnswers.values`.
        """
        redirect_uris = options["redirect_uri"]
        # On the command line, the value of --redirect-uri is always a list. If Python code runs
        # this command with call_command(), the value can also be a single string.
        if isinstance(redirect_uris, str):
            redirect_uris = [redirect_uris]
        made_before = ""

        def ask(vendor: Preset, questions: Sequence[Question], given_answers: Any) -> None:
            nonlocal made_before
            made_before = _make_credentials(options)
            lines = _lines_before(options, given, base)
            self._say(_peer_preset.console_text(vendor, lines))
            _peer_preset.ask(questions, given_answers, self._say)

        try:
            preset = answers.values(
                {**found, **given},
                has_redirect_uris=redirect_uris is not None,
                ask=ask if sys.stdin.isatty() else None,
            )
            peer, is_new, made_up = saving(
                options["slug"],
                preset.fields,
                client_id=options["application_client_id"],
                client_secret=options["application_client_secret"],
                redirect_uris=preset.redirect_uris if redirect_uris is None else redirect_uris,
                application_fields=application_fields(options["application_field"]),
                discovered=found.keys() - given.keys(),
                accept_changes=options["accept_changes"],
            )
        except CommandError as error:
            if not made_before:
                raise
            raise CommandError(
                f"{error}\nTo keep the client ID and the secret that the console has now, give "
                f"--application-client-id {options['application_client_id']} "
                "--application-client-secret -"
            ) from error
        return peer, is_new, made_up or made_before, preset.fields

    def show(self, options: dict[str, Any]) -> None:
        """Print a peer, and the values that the administrator of the other site needs to register
        this site."""
        base = _base_url(options["base_url"])
        peer = _named(options["slug"])
        sheet = sheet_for(peer, base)
        if options["sheet"]:
            self.stdout.write(_peer_sheet.exported(peer, sheet, base, json=options["json"]))
            return
        if options["json"]:
            self.stdout.write(as_json(peer_document(peer, sheet, base)))
            return
        self.stdout.write(peer_text(peer) + "\n\n")
        self.stdout.write(_peer_sheet.own_address_text(sheet, base) + "\n\n")
        self.stdout.write(sheet_text(peer, sheet, has_paths=not base))

    def list(self, options: dict[str, Any]) -> None:
        """Print all peers."""
        peers = _peers()
        if options["json"]:
            self.stdout.write(as_json([peer_document(peer) for peer in peers]))
        elif not peers:
            self.stdout.write("There are no peers. Add one with: reciprocal_peer add SLUG")
        else:
            self.stdout.write(table(map(row_of, peers)))

    def resume(self, options: dict[str, Any]) -> None:
        """Resume the delivery to a paused peer, and print how many deliveries are sent again."""
        peer = _named(options["slug"])
        was_paused = peer.paused_at is not None
        count = resending.resume(peer)
        if options["json"]:
            self.stdout.write(as_json({"resumed": was_paused, "sent_again": count.total()}))
            return
        done = "Delivery is resumed" if was_paused else "Delivery was not paused"
        self.stdout.write(f"{done}. Sent again: {delivery_text.in_words(count)}.")

    def logo(self, options: dict[str, Any]) -> None:
        """Fetch the logo of a peer now."""
        self.stdout.write(fetch_logo(_named(options["slug"]), as_document=options["json"]))

    def test(self, options: dict[str, Any]) -> None:
        """Test the connection to a peer, or to all enabled peers, and print the result of each
        check. The exit status is 1 if a check fails."""
        tested = _peers().filter(enabled=True) if options["all"] else _named(options["slug"])
        if _peer_test.run(tested, self.stdout, is_json=options["json"]):
            sys.exit(1)

    def vendors(self, options: dict[str, Any]) -> None:
        """Print the vendors that have a preset, with the questions of the preset."""
        if options["json"]:
            self.stdout.write(as_json(_peer_preset.vendors_document()))
        else:
            self.stdout.write(_peer_preset.vendors_text())

    def _given(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of the peer for which the user has given a flag, with their values."""
        values: dict[str, Any] = {}
        for field, flag in PEER_FLAGS.items():
            if (given := options[option(flag)]) is not None:
                values[field] = Secret(given) if field == "client_secret" else _joined(given)
        if options["enabled"] is not None:
            values["enabled"] = options["enabled"]
        return values

    def _metadata(self, address: str) -> Metadata:
        metadata = find(address, "--discover")
        for doubt in discovery.warnings_about(metadata).values():
            self._warn(printable(doubt))
        return metadata

    def _say(self, text: str) -> None:
        # Not to standard output: with --json, it contains only the document.
        self.stderr.write(text, style_func=str)

    def _warn(self, text: str) -> None:
        self.stderr.write(self.style.WARNING(f"Warning: {text}"))


def _base_url(given: str | None) -> str:
    if given is None:
        return site_address.base_url()
    if not site_address.is_base_url(given):
        raise CommandError("--base-url: Give a URL such as https://this-site.example.")
    return given.rstrip("/")


def _joined(given: Any) -> Any:
    """Return the value for a field of the peer. If ``given`` is a list (the values of a repeated
    flag), return one text in which each value is a line; otherwise return ``given``."""
    return "\n".join(filter(None, given)) if isinstance(given, list) else given


def _peers() -> QuerySet[Peer]:
    active = Count("links", filter=Q(links__status=Link.Status.ACTIVE))
    return (
        Peer.objects.select_related("application", "pairing")
        .annotate(active_links=active)
        .order_by("slug")
    )


def _named(slug: str) -> Any:
    peer = _peers().filter(slug=slug).first()
    if peer is None:
        known = ", ".join(_peers().values_list("slug", flat=True)) or "none"
        raise CommandError(f"There is no peer “{printable(slug)}”. Known: {known}.")
    return peer


def _make_credentials(options: dict[str, Any]) -> str:
    """Generate the client ID and the client secret of a new application before it is saved, so that
    the user can enter them in the console of the vendor. Some consoles show their own values only
    after that.

    :returns: the client secret; ``""`` if the user has given an application or a secret.
    """
    if options["application_client_id"] or options["application_client_secret"]:
        return ""
    options["application_client_id"] = generate_client_id()
    secret: str = generate_client_secret()
    options["application_client_secret"] = secret
    return secret


def _lines_before(
    options: Mapping[str, Any], given: Mapping[str, Any], base: str
) -> list[ConsoleLine]:
    """Return what to enter in the console of the vendor for a peer that is not saved yet."""
    peer = Peer(slug=options["slug"], **given)
    sheet = replace(sheet_for(peer, base), client_id=options["application_client_id"] or "")
    return console_lines(peer, sheet, Secret(options["application_client_secret"] or ""))
