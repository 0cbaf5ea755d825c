"""Settings of a site whose access tokens expire while the tester waits (B-TOK-4)."""

from example_project.settings import *  # noqa: F403
from example_project.settings import OAUTH2_PROVIDER

from .lives import ACCESS_TOKEN_SECONDS

OAUTH2_PROVIDER["ACCESS_TOKEN_EXPIRE_SECONDS"] = ACCESS_TOKEN_SECONDS
