"""Parses request bodies as JSON, up to a largest size. Malformed JSON leads to status 400."""

import io
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .problems import BodyTooLarge

#: The largest size of a body, in bytes. This limit is needed because Django REST framework does not
#: apply Django's limit (``DATA_UPLOAD_MAX_MEMORY_SIZE``).
MAX_BYTES = 64 * 1024


class BoundedJSONParser(JSONParser):
    """A JSON parser that refuses bodies that are too large or too deeply nested."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the values in the JSON body.

        :raises BodyTooLarge: the body has more than ``MAX_BYTES`` bytes.
        :raises ParseError: the body is not valid JSON, or is nested too deeply.
        """
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
        # Always decode UTF-8 (RFC 8259, section 8.1), and ignore the charset that the request
        # names. Otherwise “charset=bz2”, a codec of Python, could expand a small body to a huge
        # text.
        context = {**(parser_context or {}), "encoding": "utf-8"}
        try:
            return super().parse(io.BytesIO(body), media_type, context)
        except RecursionError as error:  # Thousands of nested brackets.
            raise ParseError(_("The JSON is nested too deeply.")) from error
