"""The vendor dialects of the site under test, with addresses of the tester instead of the vendors'.

A dialect sends secrets and tokens only to addresses in its class. The environment variable
``CONFORMANCE_TESTERS`` has the URLs of the testers, as JSON, by the names of the dialects.
"""

import json
import os

from reciprocal_oauth.dialects.alexa import AlexaDialect
from reciprocal_oauth.dialects.google import GoogleDialect
from reciprocal_oauth.dialects.smartthings import SmartThingsDialect

_TESTERS = json.loads(os.environ["CONFORMANCE_TESTERS"])


class Alexa(AlexaDialect):
    hosts = dict.fromkeys(AlexaDialect.hosts, f"{_TESTERS['alexa']}/api")
    token_address = f"{_TESTERS['alexa']}/token"


class Google(GoogleDialect):
    """It has no addresses of its own."""


class SmartThings(SmartThingsDialect):
    addresses = {
        "oauthToken": frozenset({f"{_TESTERS['smartthings']}/token"}),
        "stateCallback": frozenset({f"{_TESTERS['smartthings']}/api"}),
    }
