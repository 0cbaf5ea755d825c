"""Limits the length of a response body, so that a peer cannot fill the memory of this site."""

from collections.abc import Iterator
from typing import Any

import requests

_CHUNK_BYTES = 64 * 1024


class ResponseTooLong(requests.RequestException):
    """Raised if a response body is longer than the limit of the session that sent the request."""


class CappedBody:
    """Wraps the attribute ``raw`` of a ``requests.Response``. It limits how many bytes can be read.

    The limit applies to the bytes after decompression (RFC 9110, section 8.4), because a few
    kilobytes of compressed data can become a body of any length.

    :param limit: the highest number of bytes that can be read.
    """

    def __init__(self, raw: Any, limit: int) -> None:
        self._raw = raw
        self._limit = self._left = limit

    def stream(self, amt: int | None = _CHUNK_BYTES, **options: Any) -> Iterator[bytes]:
        """Yield the body in chunks.

        :raises ResponseTooLong: the body exceeds the limit. The connection is closed.
        """
        for chunk in self._raw.stream(amt or _CHUNK_BYTES, **options):
            yield self._count(chunk)

    def read(self, amt: int | None = None, *args: Any, **options: Any) -> bytes:
        """Read at most ``amt`` bytes. If ``amt`` is ``None`` or negative, read the whole body.

        :raises ResponseTooLong: the body exceeds the limit. The connection is closed.
        """
        if amt is not None and amt >= 0:
            return self._count(self._raw.read(amt, *args, **options))
        whole = bytearray()
        while chunk := self._count(self._raw.read(_CHUNK_BYTES, *args, **options)):
            whole += chunk
        return bytes(whole)

    def _count(self, chunk: bytes) -> bytes:
        self._left -= len(chunk)
        if self._left < 0:
            self._raw.close()
            raise ResponseTooLong(f"The response has more than {self._limit} bytes.")
        return chunk

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)
