"""The actions of a command, such as ``add`` and ``list`` of ``reciprocal_peer``."""

from typing import Any

from django.core.management.base import CommandParser

#: What argparse says if a value is missing. It says this too if the value begins with ``-``,
#: because it takes such a value for an option.
_VALUE_MISSING = ("expected one argument", "arguments are required")


class ActionParser(CommandParser):
    """The parser of one action. It says how to write a value that begins with ``-``. The client
    IDs and secrets of other servers can begin so, and so can the ID of a key (RFC 7638)."""

    def error(self, message: str) -> Any:
        """End with ``message``.

        :raises CommandError: the command was called by Python code.
        """
        if any(each in message for each in _VALUE_MISSING):
            message += (
                " (a value that begins with “-” is written --option=VALUE, or “-- VALUE” if it "
                "belongs to no option)"
            )
        return super().error(message)


def actions_of(parser: CommandParser) -> Any:
    """Let ``parser`` read an action, and return what the parsers of the actions are added to."""
    return parser.add_subparsers(
        dest="action", required=True, metavar="ACTION", parser_class=ActionParser
    )


__all__ = ["ActionParser", "actions_of"]
