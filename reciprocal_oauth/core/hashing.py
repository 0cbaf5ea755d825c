"""Codes, states and tokens are stored and looked up by hash, never by their text."""

import hashlib


def hash_of(value: str) -> str:
    """SHA-256 of the exact bytes of a code or token, in hex.

    Unpaired surrogates, which JSON can smuggle in, are hashed as they stand.
    """
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()
