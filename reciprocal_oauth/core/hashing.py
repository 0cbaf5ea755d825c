"""The hash by which codes, states and tokens are stored and looked up."""

import hashlib


def hash_of(value: str) -> str:
    """Return the SHA-256 hash of a code, state or token, in hexadecimal.

    Unpaired surrogates, which JSON can contain, are hashed too and raise no error.
    """
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
