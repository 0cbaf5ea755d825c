"""Keeps codes and tokens out of what oauthlib and django-oauth-toolkit log.

At DEBUG, oauthlib logs codes, refresh tokens and new access tokens as they are, and DOT the address
that a person is sent back to, with the code in it.
"""

import logging
import re

# Loggers exist once the modules that own them are imported.
import oauthlib.oauth2
import oauthlib.openid  # noqa: F401

_LIBRARIES = ("oauthlib", "oauth2_provider")
#: Query and fragment of a URL.
_PARAMETERS = re.compile(r"(?<=\S)[?#]\S+")


def install() -> None:
    """Put the filter on every logger of the two libraries: a logger's filters are not asked about
    the records of those below it. Called once, at start."""
    for name in logging.getLogger().manager.loggerDict:
        if name.partition(".")[0] in _LIBRARIES:
            logging.getLogger(name).addFilter(without_secrets)


def without_secrets(record: logging.LogRecord) -> bool:
    """Strip ``record`` of what may be a code or a token. A filter that lets everything pass."""
    if record.name.startswith("oauthlib") and record.levelno < logging.WARNING:
        record.args = ()  # The text stays, with its placeholders.
    if isinstance(record.msg, str):
        record.msg = _PARAMETERS.sub("", record.msg)
    return True
