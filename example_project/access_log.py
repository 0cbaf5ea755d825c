"""A filter for the access log of Django's development server."""

import logging
import re

_QUERY = re.compile(r"\?\S*")


class WithoutQuery(logging.Filter):
    """Removes the query string from the request lines in the log, because the query string of a
    callback contains an authorization code and a state. Configure the access log of your production
    server in the same way."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                _QUERY.sub("", each) if isinstance(each, str) else each for each in record.args
            )
        return True
