"""The body of an answer, up to a number of bytes: a peer must not fill our memory."""

from collections.abc import Iterator
from typing import Any

import requests

_CHUNK_BYTES = 64 * 1024


class ResponseTooLong(requests.RequestException):
    """The body of an answer has more bytes than the session reads."""


class CappedBody:
    """Stands before ``response.raw`` and counts what is read of it, decoded where it is decoded:
    a few kilobytes can inflate to any length.

    :param limit: most bytes that are given out.
    :raises ResponseTooLong: from a read that goes beyond; the connection is closed then.
    """

    def __init__(self, raw: Any, limit: int) -> None:
        self._raw = raw
        self._limit = self._left = limit

    def stream(self, amt: int | None = _CHUNK_BYTES, **options: Any) -> Iterator[bytes]:
        for chunk in self._raw.stream(amt or _CHUNK_BYTES, **options):
            yield self._counted(chunk)

    def read(self, amt: int | None = None, *args: Any, **options: Any) -> bytes:
        if amt is not None and amt >= 0:
            return self._counted(self._raw.read(amt, *args, **options))
        whole = bytearray()
        while chunk := self._counted(self._raw.read(_CHUNK_BYTES, *args, **options)):
            whole += chunk
        return bytes(whole)

    def _counted(self, chunk: bytes) -> bytes:
        self._left -= len(chunk)
        if self._left < 0:
            self._raw.close()
            raise ResponseTooLong(f"The answer has more than {self._limit} bytes.")
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
