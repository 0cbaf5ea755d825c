"""The flags of the command ``reciprocal_pair``, and the flags that errors name."""

import re
from argparse import ArgumentTypeError, _SubParsersAction
from collections.abc import Mapping
from datetime import timedelta
from math import isfinite
from typing import Any

from django.core.management.base import CommandError

from reciprocal_oauth.exceptions import PairingError, PeerError

from ._output import printable
from ._peer_flags import add_django_flags

#: How long, in seconds, the command waits for the other site if there is no ``--wait``.
WAIT_SECONDS = 30.0

#: Maps each value of a pairing that an error can name to its flag or argument.
FLAGS: Mapping[str, str] = {
    "allowed_scope": "--allowed-scope",
    "asked_scope": "--scope",
    "invitation": "INVITATION",
    "issuer": "--for",
    "lifetime": "--expires",
    "our_name": "--name",
    "slug": "SLUG",
}
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}

EPILOG = (
    "The exit status is 0 if the pairing is complete and its test has passed, 1 if something was "
    "refused or the test has failed, and 2 if the pairing waits for something: the command says "
    "for what."
)


def add_actions(actions: "_SubParsersAction[Any]") -> None:
    """Declare the actions of the command and their flags."""
    invite = actions.add_parser(
        "invite",
        help="make an invitation for another site",
        description="Makes an invitation, and prints it once, alone on standard output. Give it to "
        "an administrator of the other site. Whoever has it can use it once.",
    )
    accept = actions.add_parser(
        "accept",
        help="accept the invitation of another site",
        description="Accepts an invitation: shows which site it is from, asks, registers this site "
        "there, and waits until that site has registered here.",
        epilog=EPILOG,
    )
    confirm = actions.add_parser(
        "confirm",
        help="confirm that the right site has used an invitation",
        description="Confirms the site that has used an invitation which was for whoever has it. "
        "Compare the check number with the administrator there first.",
        epilog=EPILOG,
    )
    retry = actions.add_parser(
        "retry",
        help="go on with a pairing now",
        description="Does now what is due for a pairing, and waits for the other site.",
        epilog=EPILOG,
    )
    withdraw = actions.add_parser(
        "withdraw",
        help="withdraw an invitation, or stop a pairing that is under way",
        description="Withdraws an invitation, or stops a pairing that is under way. Its secrets "
        "are deleted.",
    )
    rotate = actions.add_parser(
        "rotate",
        help="get a new client secret from the other site",
        description="Gets a new client secret for this site from the other site, which refuses the "
        "old one at once. Then the connection is tested.",
        epilog=EPILOG,
    )
    end = actions.add_parser(
        "end",
        help="end a pairing at both sites",
        description="Ends a pairing: disables the peer, ends all connections with it, and tells "
        "the other site, which does the same. Nothing is deleted.",
    )
    show = actions.add_parser("show", help="show a pairing, and what it waits for")
    listing = actions.add_parser("list", help="list the pairings")
    each = (invite, accept, confirm, retry, withdraw, rotate, end, show)
    for action in each:
        action.add_argument(
            "slug", metavar="SLUG", help="The short name of the other site, at this site."
        )
    _add_terms(invite, accept)
    invite.add_argument(
        "--for",
        dest="partner",
        metavar="URL",
        help="The address of the only site that may use the invitation. It is looked up. Without "
        "it, whoever has the invitation may use it, and you confirm the site afterwards.",
    )
    invite.add_argument(
        "--expires",
        type=_lifetime,
        metavar="24h",
        help="How long the invitation is valid: a number with m, h or d for minutes, hours or "
        "days. Default: the setting PAIRING_LIFETIME_SECONDS. At most 7d.",
    )
    accept.add_argument(
        "invitation",
        metavar="INVITATION",
        nargs="?",
        default="-",
        help="The invitation. Leave it out, or give -, to be asked for it, or to have it read from "
        "standard input: other users of this machine can see the arguments of a command.",
    )
    confirm.add_argument(
        "--scope", metavar="SCOPE", help="What this site asks for there. Replaces the earlier one."
    )
    rotate.add_argument(
        "--use-key",
        action="store_true",
        help="Sign with the key of this site from now on, in place of a client secret.",
    )
    for action in (accept, confirm, end):
        action.add_argument("--yes", action="store_true", help="Do not ask whether to go on.")
    for action in (accept, confirm, retry, rotate, end):
        action.add_argument(
            "--wait",
            type=_seconds,
            default=WAIT_SECONDS,
            metavar="SECONDS",
            help=f"How long to wait for the other site. Default: {WAIT_SECONDS:g}.",
        )
    listing.add_argument(
        "--all", action="store_true", help="Also pairings that are over, such as expired ones."
    )
    for action in (*each, listing):
        action.add_argument("--json", action="store_true", help="Print one JSON document.")
        add_django_flags(action)


def _add_terms(*actions: Any) -> None:
    for action in actions:
        action.add_argument(
            "--scope",
            metavar="SCOPE",
            help='What this site asks for there: scope names separated by spaces; "" for none. At '
            "a terminal, you are asked.",
        )
        action.add_argument(
            "--allowed-scope",
            metavar="SCOPE",
            help='What the other site may hold here, at most; "" for nothing. At a terminal, you '
            "are asked.",
        )
        action.add_argument(
            "--name",
            default="",
            help="How this site calls itself. Default: its host name.",
        )
        action.add_argument(
            "--enable",
            action="store_true",
            help="Let people connect as soon as the pairing is complete.",
        )
        action.add_argument(
            "--renew",
            action="store_true",
            help="Give the peer SLUG, which exists already, new credentials. Its connections stay. "
            "Scopes that you leave out stay as they are.",
        )


def _lifetime(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is not a number with m, h or d, such as 24h.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not isfinite(seconds) or seconds < 0:
        raise ArgumentTypeError(f"{text!r} is not a number of seconds.")
    return seconds


def refusal(error: PairingError | PeerError, place: str = "", done: str = "") -> CommandError:
    """Return the error of the command for ``error``. It names the flag whose value is wrong.

    :param place: the flag to name if the error itself names none.
    :param done: what was not done, such as “Nothing was sent.”.
    """
    flag = FLAGS.get(getattr(error, "field", ""), "") or place
    if flag == "--for" and place:
        flag = place
    lines = [printable(line) for line in str(error).splitlines()] or [type(error).__name__]
    text = "\n  ".join(lines)
    text = f"{flag}: {text}" if flag else text
    return CommandError(f"{done}\n  {text}" if done else text)
