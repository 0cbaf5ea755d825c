"""Parse request bodies as JSON, with a limit for the size. Malformed JSON is a 400."""

import io
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .problems import BodyTooLarge

#: The largest body, in bytes. Django REST framework does not apply Django's own limit.
MAX_BYTES = 64 * 1024


class BoundedJSONParser(JSONParser):
    """A JSON parser with a limit for the size and the depth."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Parse the body.

        :raises BodyTooLarge: the body has more than ``MAX_BYTES``.
        :raises ParseError: the body is not JSON.
        """
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
        # Always UTF-8 (RFC 8259, section 8.1), whatever charset the request names: “charset=bz2”
        # is a codec of Python, and a small body could unpack to a huge one.
        context = {**(parser_context or {}), "encoding": "utf-8"}
        try:
            return super().parse(io.BytesIO(body), media_type, context)
        except RecursionError as error:  # Thousands of nested brackets.
            raise ParseError(_("The JSON is nested too deeply.")) from error
