"""Fetches an image of a peer, such as its logo, without trusting what the peer says about it.

The media type comes from the first bytes of the image and not from the header ``Content-Type``
(RFC 9110, section 8.3). Only formats that cannot contain a script are accepted, so no SVG. GIF is
not accepted, because each of its frames has a size of its own.
"""

from dataclasses import dataclass

import requests

from ..exceptions import BadResponse
from . import http
from .image_size import size_of
from .token_endpoint import refusal

#: The largest image that is accepted, in bytes.
MAX_BYTES = 64 * 1024
#: The largest width and height that are accepted, in pixels.
MAX_PIXELS = 2048
_WEBP_KIND = slice(8, 12)
#: The first bytes of each format that is accepted.
_FIRST_BYTES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
)


@dataclass(frozen=True)
class Image:
    """An image, and its media type by its first bytes."""

    media_type: str
    content: bytes


def fetch(url: str) -> Image:
    """Return the image at ``url``. The request contains no token and no cookie.

    :raises BadResponse: the response is not an image that is accepted, is larger than
        :data:`MAX_BYTES` or ``HTTP_MAX_RESPONSE_BYTES``, says no size, or says that it is wider or
        higher than :data:`MAX_PIXELS`.
    :raises PeerRefused: the response has another status than 200. A redirect is not followed.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    response = http.call("GET", url, headers={"Accept": "image/png, image/jpeg, image/webp"})
    if response.status != requests.codes.ok:
        raise refusal(response)
    content = response.body
    if len(content) > MAX_BYTES:
        raise BadResponse(f"The image has more than {MAX_BYTES} bytes.")
    media_type = media_type_of(content)
    if not media_type:
        raise BadResponse("The response is not a PNG, JPEG or WebP image.")
    size = size_of(content)
    if size is None or not all(size):
        # A browser may find a size where this site finds none.
        raise BadResponse("The image does not say how large it is.")
    width, height = size
    if max(width, height) > MAX_PIXELS:
        text = (
            f"The image has {width} × {height} pixels; at most {MAX_PIXELS} per side are allowed."
        )
        raise BadResponse(text)
    return Image(media_type, content)


def media_type_of(content: bytes) -> str:
    """Return the media type of an image by its first bytes; ``""`` if it has no accepted format."""
    if content.startswith(b"RIFF") and content[_WEBP_KIND] == b"WEBP":
        return "image/webp"
    return next((kind for first, kind in _FIRST_BYTES if content.startswith(first)), "")
