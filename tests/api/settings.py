"""The settings of the test suite, at a site that describes its API with drf-spectacular."""

from ..settings import *  # noqa: F403
from ..settings import INSTALLED_APPS, OAUTH2_PROVIDER

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "drf_spectacular"]
ROOT_URLCONF = "tests.api.urls"
OAUTH2_PROVIDER = {
    **OAUTH2_PROVIDER,
    "SCOPES": {
        **OAUTH2_PROVIDER["SCOPES"],  # type: ignore[dict-item]
        "reciprocal:read": "See your connections",
        "reciprocal:write": "Change your connections",
    },
}
REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Connections",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "reciprocal_oauth.api.openapi_introduction.add_introduction",
    ],
}
