"""Characters that a subject can send, and that a report must not show as they are."""

import re
from typing import Final

#: Control characters but tab and line feed, which could steer a terminal. Halves of surrogate
#: pairs and U+FFFE, U+FFFF, which XML and UTF-8 do not allow. Line and paragraph separators, and
#: what turns the direction of writing, which could make a text look like another one.
_UNSAFE: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def visible(text: str) -> str:
    r"""Return a text with ``\x1b`` in place of the control character with this number, and so on.

    The result can be encoded in UTF-8, and stand in XML.
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def _escape(found: re.Match[str]) -> str:
    number = ord(found.group())
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
