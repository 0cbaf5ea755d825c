"""Dialects and dispatchers by name: found, or refused with what would have been right."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth import plugins
from reciprocal_oauth.dialects import Dialect, dialect_of, dialects
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.models import Peer


class OwnDialect(IETFDialect):
    """A site's own."""


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


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("klingon", "There is no dialect “klingon”. Known: .*ietf"),
        ("", "There is no dialect"),
        ("no.such.Dialect", "cannot be imported from no.such.Dialect"),
        (f"{__name__}.NoSuchDialect", "cannot be imported"),
        (f"{__name__}.PATH", "is not a class"),
    ],
)
def test_what_is_no_dialect_is_refused_with_the_setting_to_change(
    name: str, complaint: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=complaint) as error:
        plugins.dialect_class(name)

    assert "RECIPROCAL_OAUTH['DIALECTS']" in str(error.value)
