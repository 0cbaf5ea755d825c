"""The sheet of a peer in the command ``reciprocal_peer``. ``show SLUG --sheet`` writes the sheet
for the other site, and ``add SLUG --sheet FILE`` reads the sheet that the other site has written.
Also what ``show`` says about the address of this site."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import override

from reciprocal_oauth.core.peer_urls import origin_of
from reciprocal_oauth.core.site_metadata import LENGTHS
from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import sheet_file
from reciprocal_oauth.peers.sheet import Sheet
from reciprocal_oauth.peers.sheet_file import ImportedSheet, UnusableSheet

from ._output import as_json, printable, table
from ._peer_flags import PEER_FLAGS, SECRET_FLAGS, option
from ._peer_text import sheet_text

#: Values that an administrator decides. The sheet sets them only where there are none yet.
_DECIDED_HERE = ("name", "homepage", "scope", "reciprocal_scope", *LENGTHS)


def add_sheet_flags(add: CommandParser, show: CommandParser) -> None:
    """Add the flag ``--sheet`` to the parsers of both actions."""
    add.add_argument(
        "--sheet",
        metavar="FILE",
        help="Read the endpoints, the client ID and the redirect URI of the peer, and what it says "
        "of itself to people, from the sheet that its administrator has exported. Give - to read "
        "it from standard input. Other flags and --discover take precedence. It contains no "
        "secret, and grants no scope.",
    )
    show.add_argument(
        "--sheet",
        action="store_true",
        help="Show only the sheet for the other site. With --json, it is the file that the other "
        "site imports with “reciprocal_peer add SLUG --sheet FILE”.",
    )


def imported(options: dict[str, Any], stored: Peer | None) -> ImportedSheet | None:
    """Return what the sheet in ``--sheet`` says; ``None`` without this flag. If ``--redirect-uri``
    is not given, put there the redirect URIs of the sheet.

    :param stored: the peer, if it exists already.
    :raises CommandError: the file cannot be read, is no sheet, or has values that cannot be used.
    """
    if options["sheet"] is None:
        return None
    content = _content(options)
    try:
        with override(None):
            sheet = sheet_file.read(content)
    except UnusableSheet as error:
        problems = "\n  ".join(map(printable, error.problems))
        raise CommandError(f"--sheet: Nothing was saved.\n  {problems}") from None
    if options["redirect_uri"] is None:
        options["redirect_uri"] = _redirect_uris(sheet, stored, options["accept_changes"])
    return sheet


def values_of(sheet: ImportedSheet | None, stored: Peer | None) -> dict[str, Any]:
    """Return the values for the fields of the peer. What an administrator has decided stays."""
    values = {} if sheet is None else dict(sheet.values)
    return {
        name: value
        for name, value in values.items()
        if stored is None or name not in _DECIDED_HERE or not getattr(stored, name)
    }


def remark(sheet: ImportedSheet) -> str:
    """Return what the administrator should check after an import."""
    text = f"The sheet says that it is from {printable(sheet.values['issuer'])}."
    if others := sheet.other_origins():
        text += (
            f" It also names {', '.join(map(printable, others))}. Ask the other site whether this "
            "is right: codes, tokens or secrets are sent there."
        )
    if sheet.asked_scope:
        text += f" It asks for these scopes here: {sheet.asked_scope}. --allowed-scope grants them."
    if sheet.left_out:
        names = ", ".join(PEER_FLAGS[name] for name in sheet.left_out)
        text += (
            f" Its values for {names} cannot be used, and were left out. Addresses must be at "
            f"{printable(origin_of(sheet.values['issuer']))}."
        )
    return text


def exported(peer: Peer, sheet: Sheet, base: str, *, json: bool) -> str:
    """Return the sheet for the other site: the file, or a table for people.

    :raises CommandError: the URL of this site is not known, so the file would have no URLs.
    """
    if not json:
        return sheet_text(peer, sheet, has_paths=not base)
    if not base:
        raise CommandError("--sheet: Give the URL of this site with --base-url or in BASE_URL.")
    return as_json(sheet_file.document_of(peer, sheet, base))


def own_address(sheet: Sheet, base: str) -> dict[str, str | None]:
    """Return the addresses of this site, for a JSON document. An address that is not known is
    ``None``."""
    known = bool(base)
    return {
        "base_url": base or None,
        "issuer": sheet.issuer if known else None,
        "redirect_uri": sheet.redirect_uri if known else None,
    }


def own_address_text(sheet: Sheet, base: str) -> str:
    """Return a table with the addresses of this site."""
    if not base:
        return "This site: its address is not known. Set BASE_URL, or give --base-url."
    rows = [
        ("base URL", base),
        ("issuer", sheet.issuer),
        ("redirect URI for this peer", sheet.redirect_uri),
    ]
    return f"This site:\n{table(rows, indent='  ')}"


def _content(options: Mapping[str, Any]) -> bytes:
    name = options["sheet"]
    limit = sheet_file.MAX_BYTES + 1
    if name == "-":
        if flags := [flag for flag in SECRET_FLAGS if options[option(flag)] == "-"]:
            raise CommandError(
                f"--sheet: Only one value can be read from standard input, and {flags[0]} is read "
                "from there. Give the name of a file."
            )
        try:
            return sys.stdin.read(limit).encode()
        except UnicodeError:
            raise CommandError("--sheet: Standard input is not a text in UTF-8.") from None
    try:
        with Path(name).open("rb") as file:
            return file.read(limit)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise CommandError(f"--sheet: {printable(name)}: {reason}.") from None


def _redirect_uris(
    sheet: ImportedSheet, stored: Peer | None, accept_changes: bool
) -> list[str] | None:
    """Return the redirect URIs to set; ``None`` if they stay the same.

    :raises CommandError: the sheet has other redirect URIs than the application of the peer, and
        the user has not confirmed the change.
    """
    if stored is None:
        return sheet.redirect_uris
    before = stored.application.redirect_uris.split()
    if set(before) == set(sheet.redirect_uris):
        return None
    if not accept_changes:
        raise CommandError(
            "Nothing was saved.\n  --accept-changes: Give this flag to change the redirect URIs of "
            f"the peer: {' '.join(before)} → {' '.join(map(printable, sheet.redirect_uris))}"
        )
    return sheet.redirect_uris
