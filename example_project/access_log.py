"""The access log of the development server."""

import logging
import re

_QUERY = re.compile(r"\?\S*")


class WithoutQuery(logging.Filter):
    """Removes the query string from request lines: the one of a callback contains a code and a
    state. Configure the access log of your production server in the same way."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _QUERY.sub("", each) if isinstance(each, str) else each for each in record.args
            )
        return True
