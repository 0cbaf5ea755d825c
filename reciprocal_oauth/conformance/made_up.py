"""Values that the tester makes up."""

import secrets
import string
from typing import Final

#: As long as codes and tokens should be (RFC 6749, section 10.10): 32 characters, 190 bits.
_LENGTH: Final = 32
_LETTERS: Final = string.ascii_letters + string.digits


def value(prefix: str = "") -> str:
    """Return a value that nobody can guess. It has letters of both cases."""
    return prefix + "Aa" + "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))


def secret() -> str:
    """Return a client secret. It has characters that must be encoded in the header Basic (RFC 6749,
    section 2.3.1)."""
    return value() + ":+%/" + value()
