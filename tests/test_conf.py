"""Every setting: read when it is used, documented with its default, and nothing misspelt."""

import ast
import inspect
import re
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from reciprocal_oauth.conf import Settings as AppSettings
from reciprocal_oauth.conf import settings as app_settings

DOCUMENTED = Path(__file__).parent.parent / "docs" / "settings.rst"


def test_the_documentation_lists_the_settings_that_exist_and_no_others() -> None:
    listed = re.findall(r"^   \* - ``([A-Z_]+)``$", DOCUMENTED.read_text(), re.MULTILINE)

    assert sorted(listed) == sorted(AppSettings.names())


@pytest.mark.parametrize("name", sorted(AppSettings.names()))
def test_the_documentation_gives_the_default(
    name: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(mail, "outbox")  # As outside of a test run.
    settings.RECIPROCAL_OAUTH = {}
    row = re.search(rf"\* - ``{name}``\n     - (.+)\n", DOCUMENTED.read_text())
    assert row
    documented = row[1].strip("`")

    if documented == "Django's ``DEBUG":
        for debug in (True, False):
            settings.DEBUG = debug
            assert getattr(app_settings, name) is debug
    else:
        assert repr(getattr(app_settings, name)) == documented.replace('"', "'")


@pytest.mark.parametrize("name", sorted(AppSettings.names()))
def test_a_setting_is_read_when_it_is_used(name: str, settings: Settings) -> None:
    value = object()
    before = getattr(app_settings, name)

    settings.RECIPROCAL_OAUTH = {name: value}
    assert getattr(app_settings, name) is value
    settings.RECIPROCAL_OAUTH = {}
    assert getattr(app_settings, name) is not value
    assert before is not value


def test_every_setting_says_what_it_does() -> None:
    (settings_class,) = ast.parse(inspect.getsource(AppSettings)).body
    assert isinstance(settings_class, ast.ClassDef)
    documented = {
        ast.unparse(first).partition(":")[0]
        for first, second in pairwise(settings_class.body)
        if isinstance(first, ast.AnnAssign)
        and isinstance(second, ast.Expr)
        and ast.literal_eval(second.value)
    }

    assert documented == AppSettings.names()


def test_a_setting_cannot_be_assigned() -> None:
    with pytest.raises(AttributeError):
        app_settings.LEASE_SECONDS = 5


def test_without_any_setting_the_defaults_hold(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    del settings.RECIPROCAL_OAUTH
    monkeypatch.delattr(mail, "outbox")  # As outside of a test run.

    assert app_settings.DISPATCHER == "thread"
    assert app_settings.HTTP_ALLOW_LOOPBACK is False
    assert app_settings.LEASE_SECONDS > 2 * app_settings.HTTP_TOTAL_TIMEOUT_SECONDS


@pytest.mark.parametrize("value", [None, [], "thread", [("DISPATCHER", "none")]])
def test_something_else_than_a_dict_is_refused_by_name(value: Any, settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = value

    with pytest.raises(ImproperlyConfigured, match="RECIPROCAL_OAUTH must be a dict"):
        _ = app_settings.DISPATCHER


def test_any_mapping_will_do(settings: Settings) -> None:
    class Frozen(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            return {"DISPATCHER": "none"}[key]

        def __iter__(self) -> Any:
            return iter(["DISPATCHER"])

        def __len__(self) -> int:
            return 1

    settings.RECIPROCAL_OAUTH = Frozen()

    assert app_settings.DISPATCHER == "none"
