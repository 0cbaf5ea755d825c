"""Dialects and dispatchers by name: found, or refused with what would have been right."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth.core import plugins
from reciprocal_oauth.dialects import Dialect, dialect_of, dialects
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.models import Peer


class OwnDialect(IETFDialect):
    """A site's own."""


PACKAGE = Path(plugins.__file__).parent.parent
PATH = f"{__name__}.OwnDialect"


@pytest.mark.parametrize("name", sorted(plugins.BUILT_IN_DIALECTS))
def test_every_built_in_dialect_can_be_had(name: str) -> None:
    assert issubclass(plugins.dialect_class(name), Dialect)


@pytest.mark.parametrize("name", sorted(plugins.BUILT_IN_DISPATCHERS))
def test_every_built_in_dispatcher_can_be_had(name: str) -> None:
    if name == "celery":
        pytest.importorskip("celery")
    if name == "tasks":
        pytest.importorskip("django.tasks")

    assert callable(plugins.dispatcher_class(name).wake)


def test_a_dialect_of_the_site_is_found_by_its_name_and_by_its_path(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"DIALECTS": {"own": PATH}}

    assert isinstance(dialect_of(Peer(dialect="own")), OwnDialect)
    assert isinstance(dialect_of(Peer(dialect=PATH)), OwnDialect)
    assert "own" in plugins.dialects()
    assert OwnDialect in [type(each) for each in dialects()]


def test_a_dialect_of_the_site_may_take_a_built_in_name(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = {"DIALECTS": {"ietf": PATH}}

    assert plugins.dialect_class("ietf") is OwnDialect


class NoDialect:
    """Importable, and none."""


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("klingon", "cannot be imported from klingon"),
        ("no.such.Dialect", "cannot be imported from no.such.Dialect"),
        (f"{__name__}.NoSuchDialect", "cannot be imported"),
        (f"{__name__}.PATH", "is not a class"),
        (f"{__name__}.NoDialect", "is not derived from reciprocal_oauth.dialects.base.Dialect"),
        ("collections.OrderedDict", "is not derived from"),
        ("reciprocal_oauth.dialects.base.Dialect", "does not implement: error, parse"),
    ],
)
def test_what_is_no_dialect_is_refused_with_the_setting_to_change(
    path: str, complaint: str, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = {"DIALECTS": {"own": path}}

    with pytest.raises(ImproperlyConfigured, match=complaint) as error:
        plugins.dialect_class("own")

    assert "RECIPROCAL_OAUTH['DIALECTS']" in str(error.value)


@pytest.mark.threat("W50")
@pytest.mark.parametrize("name", ["klingon", "", "collections.OrderedDict", PATH, "not_imported.X"])
def test_a_name_that_the_settings_do_not_know_is_refused_and_nothing_is_imported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugins, "import_string", lambda path: pytest.fail(f"{path} is imported"))

    with pytest.raises(ImproperlyConfigured, match="There is no dialect .* Known: .*ietf") as error:
        dialect_of(Peer(dialect=name))

    assert "RECIPROCAL_OAUTH['DIALECTS']" in str(error.value)


@pytest.mark.threat("W50")
def test_only_one_module_imports_code_by_a_name() -> None:
    by_name = ("import_string", "import_module", "__import__")
    found = {
        file.relative_to(PACKAGE).as_posix()
        for file in PACKAGE.rglob("*.py")
        if any(name in file.read_text() for name in by_name)
    }

    # The checks import what the settings of the site name, and no row.
    assert {name for name in found if not name.startswith("checks/")} == {"core/plugins.py"}
