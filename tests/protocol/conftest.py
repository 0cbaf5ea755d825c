"""Fixture: a database with all tables, for sites that are started again and again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from example_project.sites import Site, two_sites


@pytest.fixture(scope="session")
def give_tables(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Site], None]:
    """Copies a database to a site before its first start. To create the tables takes most of the
    time of a start, so this is done once for each user model."""
    made: dict[str, Path] = {}

    def give(site: Site) -> None:
        user_model = site.env.get("EXAMPLE_USER_MODEL", "")
        if user_model not in made:
            env = {"EXAMPLE_USER_MODEL": user_model} if user_model else {}
            first, _second = two_sites(tmp_path_factory.mktemp("tables"), env=env)
            first.manage("migrate", "--verbosity=0")
            made[user_model] = first.database_path
        shutil.copy(made[user_model], site.database_path)

    return give
