"""JSON as it may arrive here: of a bounded size, and whatever is wrong with it a 400."""

import io
from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from .problems import BodyTooLarge

#: Bytes of a body. Django's own limit does not cover what Django REST framework reads.
MAX_BYTES = 64 * 1024


class BoundedJSONParser(JSONParser):
    """:raises BodyTooLarge: it has more than ``MAX_BYTES``.
    :raises ParseError: it is no JSON.
    """

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise BodyTooLarge
        # UTF-8, whatever the request calls it (RFC 8259, section 8.1): “charset=bz2” is a codec of
        # Python's, which the parser would unpack a thousandfold.
        context = {**(parser_context or {}), "encoding": "utf-8"}
        try:
            return super().parse(io.BytesIO(body), media_type, context)
        except RecursionError as error:  # Brackets in brackets, by the thousand.
            raise ParseError(_("The JSON is nested too deeply.")) from error
