"""Removes codes and tokens from the log records of oauthlib and django-oauth-toolkit (DOT).

At level DEBUG, oauthlib logs codes, refresh tokens and new access tokens in clear. DOT logs the URL
of the redirect to the client, which contains the code.
"""

import logging
import re

# These modules create the loggers to which the filter is added.
import oauthlib.oauth2
import oauthlib.openid  # noqa: F401

_LIBRARIES = ("oauthlib", "oauth2_provider")
#: The query and the fragment of a URL.
_PARAMETERS = re.compile(r"(?<=\S)[?#]\S+")


def install() -> None:
    """Add the filter to each logger of the two libraries, when Django starts. One logger is not
    enough: its filters do not apply to records of its child loggers."""
    for name in logging.getLogger().manager.loggerDict:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(without_secrets)


def without_secrets(record: logging.LogRecord) -> bool:
    """Remove from ``record`` what may be a code or a token. Return ``True``, so that the record is
    logged."""
    if record.name.startswith("oauthlib") and record.levelno < logging.WARNING:
        record.args = ()  # The message is logged with its placeholders.
    if isinstance(record.msg, str):
        record.msg = _PARAMETERS.sub("", record.msg)
    return True
