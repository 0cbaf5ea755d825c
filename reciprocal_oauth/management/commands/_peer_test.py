"""The action ``test`` of the command ``reciprocal_peer``: tests one peer or all of them, and prints
the results."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.core.management.base import CommandParser

from reciprocal_oauth.models import Peer
from reciprocal_oauth.peers import connection_check
from reciprocal_oauth.peers.findings import Finding, State, has_failed, summary

from ._output import as_json, table

#: The states of a check that an administrator should read about.
_OPEN = (State.FAILED, State.UNKNOWN, State.ADVICE)


def add_options(parser: CommandParser) -> None:
    """Declare which peers are tested."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("slug", metavar="SLUG", nargs="?", help="The short name of the peer.")
    which.add_argument("--all", action="store_true", help="Test all enabled peers.")


def run(tested: Peer | Iterable[Peer], stdout: Any, *, is_json: bool) -> bool:
    """Test one peer or several, and print the results. Return whether a check has failed."""
    if isinstance(tested, Peer):
        return _run_one(tested, stdout, is_json=is_json)
    return _run_all(tested, stdout, is_json=is_json)


def _run_one(peer: Peer, stdout: Any, *, is_json: bool) -> bool:
    findings = [*connection_check.run(peer), *connection_check.run_for_site()]
    if is_json:
        stdout.write(as_json([finding.as_dict() for finding in findings]))
    else:
        stdout.write(f"{table(map(_row, findings))}\n\n{summary(findings)}")
    return has_failed(findings)


def _run_all(peers: Iterable[Peer], stdout: Any, *, is_json: bool) -> bool:
    """Test the peers one after the other, and once what concerns all of them. Print the results.
    Return whether a check has failed.

    As text, print a table with one line for each peer, and below it the checks that have not
    passed.
    """
    results = {peer.slug: connection_check.run(peer) for peer in peers}
    of_site = connection_check.run_for_site()
    if is_json:
        documents = [_document(slug, found) for slug, found in results.items()]
        stdout.write(as_json([*documents, _document(None, of_site)]))
    else:
        named = {**results, "(this site)": of_site}
        stdout.write(table([(name, summary(found)) for name, found in named.items()]))
        for name, found in named.items():
            if rows := [_row(finding) for finding in found if finding.state in _OPEN]:
                stdout.write(f"\n{name}\n{table(rows, indent='  ')}")
    return any(map(has_failed, [*results.values(), of_site]))


def _row(finding: Finding) -> tuple[object, ...]:
    return finding.state.label, finding.check.label, finding.reason


def _document(slug: str | None, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the JSON object of a peer.

    :param slug: the short name of the peer; ``None`` for the checks that concern all peers.
    """
    return {
        "peer": slug,
        "failed": has_failed(findings),
        "findings": [finding.as_dict() for finding in findings],
    }
