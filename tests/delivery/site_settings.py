"""The settings of the suite, with values of a test's own, for sites in processes of their own."""

import json
import os

from ..settings import *  # noqa: F403
from ..settings import RECIPROCAL_OAUTH

RECIPROCAL_OAUTH = {**RECIPROCAL_OAUTH, **json.loads(os.environ["TEST_RECIPROCAL_OAUTH"])}
