"""The access log of the development server."""

import logging
import re

_QUERY = re.compile(r"\?\S*")


class WithoutQuery(logging.Filter):
    """Leaves the query out of request lines: that of a callback holds a code and a state. Whatever
    server a site runs on, its access log wants the same."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _QUERY.sub("", each) if isinstance(each, str) else each for each in record.args
            )
        return True
