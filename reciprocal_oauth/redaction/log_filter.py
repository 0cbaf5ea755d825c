"""Removes codes and tokens from the log records of oauthlib and django-oauth-toolkit (DOT).

At level DEBUG, oauthlib logs codes, refresh tokens and new access tokens in plain text. DOT logs
the redirect URL with the authorization code (RFC 6749, section 4.1.2).
"""

import logging
import re

# These modules create loggers when they are imported. Import them before install() runs, because
# install() adds the filter only to loggers that exist.
import oauthlib.oauth2
import oauthlib.openid  # noqa: F401

_LIBRARIES = ("oauthlib", "oauth2_provider")
#: Matches the query and the fragment of a URL.
_PARAMETERS = re.compile(r"(?<=\S)[?#]\S+")


def install() -> None:
    """Add the filter to each logger of oauthlib and DOT. This is called when Django starts.

    It is not enough to add the filter to the loggers ``oauthlib`` and ``oauth2_provider``, because
    Python does not apply the filters of a logger to the records of its child loggers.
    """
    for name in logging.getLogger().manager.loggerDict:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(without_secrets)


def without_secrets(record: logging.LogRecord) -> bool:
    """Remove everything from ``record`` that may be a code or a token. Always return ``True``,
    because a filter that returns ``False`` suppresses the record."""
    if record.name.startswith("oauthlib") and record.levelno < logging.WARNING:
        record.args = ()  # So the log shows "%s" in the message instead of the values.
    if isinstance(record.msg, str):
        record.msg = _PARAMETERS.sub("", record.msg)
    return True
