"""The hash function for codes, ``state`` values and tokens. This app looks up the row of such a
value by its hash, so that the value need not be stored in plain text."""

import hashlib


def hash_of(value: str) -> str:
    """Return the SHA-256 hash of a code, ``state`` value or token, in hexadecimal.

    The text may contain unpaired surrogates, because JSON from a peer can contain them.
    """
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
