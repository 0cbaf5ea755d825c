"""The dialects of the vendors, with the addresses of the stand-ins instead of the vendors' own.

A dialect sends secrets and tokens only to the addresses of its vendor, which are constants in its
class. The setting ``DIALECTS`` gives the names of the dialects to these classes instead.
"""

from django.conf import settings

from reciprocal_oauth.dialects.alexa import AlexaDialect
from reciprocal_oauth.dialects.smartthings import SmartThingsDialect

_URLS = settings.EXAMPLE_VENDORS


class SmartThings(SmartThingsDialect):
    """The dialect ``smartthings``, for the stand-in."""

    addresses = {
        "oauthToken": frozenset({f"{_URLS['smartthings']}/oauth/token"}),
        "stateCallback": frozenset({f"{_URLS['smartthings']}/device/events"}),
    }


class Alexa(AlexaDialect):
    """The dialect ``alexa``, for the stand-in. It has one host for all regions."""

    hosts = dict.fromkeys(AlexaDialect.hosts, _URLS["alexa"])
    token_address = f"{_URLS['alexa']}/auth/o2/token"
