"""The settings of the sites, and those of the harness, which sees the databases of both."""

import json
import os

import dj_database_url

from example_project.settings import *  # noqa: F403
from example_project.settings import DATABASES

#: Alias of a database to its URL, for the harness itself.
for alias, url in json.loads(os.environ.get("FAULTS_DATABASES") or "{}").items():
    options = DATABASES["default"].get("OPTIONS", {})
    DATABASES[alias] = {**dj_database_url.parse(url), "OPTIONS": options}
for database in DATABASES.values():
    # As in production: to connect for every request costs more than to answer it.
    database["CONN_MAX_AGE"] = None
