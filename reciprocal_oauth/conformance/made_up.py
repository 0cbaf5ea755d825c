"""Values that the tester makes up."""

import secrets
import string
from typing import Final

#: As long as codes and tokens should be (RFC 6749, section 10.10): 32 characters, 190 bits.
_LENGTH: Final = 32
_LETTERS: Final = string.ascii_letters + string.digits


def value(prefix: str = "", length: int = 0) -> str:
    """Return a value that nobody can guess. It has letters of both cases.

    :param length: characters in all, if it is not the usual number.
    """
    start = prefix + "Aa"
    count = length - len(start) if length else _LENGTH
    return start + "".join(secrets.choice(_LETTERS) for _ in range(count))


def secret() -> str:
    """Return a client secret. It has characters that must be encoded in the header Basic (RFC 6749,
    section 2.3.1)."""
    return value() + ":+%/" + value()
