"""The migrations create the tables of the models, and remove them again."""

import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

APP = "reciprocal_oauth"


def _our_tables() -> set[str]:
    return {each for each in connection.introspection.table_names() if each.startswith(APP)}


@pytest.mark.django_db
def test_no_model_has_changed_without_a_migration() -> None:
    said = io.StringIO()

    call_command("makemigrations", "--check", "--dry-run", APP, stdout=said)

    assert "No changes" in said.getvalue()


class TestThereAndBack:
    @pytest.fixture(autouse=True)
    def _restored(self, transactional_db: None) -> Iterator[None]:
        yield
        call_command("migrate", APP, verbosity=0)

    def test_backwards_to_nothing_and_forwards_again(self) -> None:
        before = _our_tables()
        assert len(before) == 15

        call_command("migrate", APP, "zero", verbosity=0)
        assert _our_tables() == set()

        call_command("migrate", APP, verbosity=0)
        assert _our_tables() == before
