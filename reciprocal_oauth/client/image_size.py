"""Reads the size of an image from its first bytes, without decoding the image.

A small file can describe a very large image, and the browser that shows it would need much memory.
The positions of the numbers are those of the specifications of PNG, JPEG and WebP.
"""

_PNG = b"\x89PNG\r\n\x1a\n"
#: The JPEG markers that begin a frame: SOF0 to SOF15 without DHT, JPG and DAC, which have another
#: meaning.
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: The JPEG markers that end the search. The image data begin after SOS. The others have no length,
#: and stand before a frame only in an image that was made to be read in two ways.
_ENDS = frozenset({0xDA, 0x00, 0x01, *range(0xD0, 0xDA)})


def size_of(content: bytes) -> tuple[int, int] | None:
    """Return the width and the height in pixels. Return ``None`` if the format is not known, the
    content ends before it says them, or programs can disagree about them."""
    if content.startswith(_PNG):
        return _pair(content, 16, 4, "big") if content[12:16] == b"IHDR" else None
    if content.startswith(b"\xff\xd8"):
        return _size_of_jpeg(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return _size_of_webp(content)
    return None


def _pair(content: bytes, start: int, length: int, order: str) -> tuple[int, int] | None:
    """Return the two numbers of ``length`` bytes that begin at ``start``."""
    found = content[start : start + 2 * length]
    if len(found) < 2 * length:
        return None
    first, second = found[:length], found[length:]
    if order == "big":
        return int.from_bytes(first, "big"), int.from_bytes(second, "big")
    return int.from_bytes(first, "little"), int.from_bytes(second, "little")


def _size_of_jpeg(content: bytes) -> tuple[int, int] | None:
    at = 2
    while len(content) > at + 4 and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # A marker can have fill bytes before it.
            at += 1
        elif marker in _FRAMES:
            found = _pair(content, at + 5, 2, "big")
            return found and (found[1], found[0])
        elif marker in _ENDS:
            return None
        else:
            at += 2 + max(2, int.from_bytes(content[at + 2 : at + 4], "big"))
    return None


def _size_of_webp(content: bytes) -> tuple[int, int] | None:
    kind = content[12:16]
    if kind == b"VP8X":
        found = _pair(content, 24, 3, "little")
        return found and (found[0] + 1, found[1] + 1)
    if kind == b"VP8L" and len(content) >= 25:
        bits = int.from_bytes(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        found = _pair(content, 26, 2, "little")
        return found and (found[0] & 0x3FFF, found[1] & 0x3FFF)
    return None
