"""The settings of the test suite, at a site that has put its own models in the place of DOT's."""

from importlib.util import find_spec

from .settings import *  # noqa: F403
from .settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.swapped_models"]

OAUTH2_PROVIDER_APPLICATION_MODEL = "swapped_models.Registration"
OAUTH2_PROVIDER_GRANT_MODEL = "swapped_models.Code"
OAUTH2_PROVIDER_ACCESS_TOKEN_MODEL = "swapped_models.Access"
OAUTH2_PROVIDER_REFRESH_TOKEN_MODEL = "swapped_models.Renewal"
OAUTH2_PROVIDER_ID_TOKEN_MODEL = "swapped_models.Identity"
OAUTH2_PROVIDER_DEVICE_GRANT_MODEL = "swapped_models.Device"

# Its version does not tell the next release from the last one before it is out; its modules do.
if find_spec("oauth2_provider.core"):
    MIGRATION_MODULES = {"swapped_models": "tests.swapped_models.migrations_of_next"}
