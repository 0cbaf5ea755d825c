"""What sites import from the package, and when they may."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from django.dispatch import Signal

import reciprocal_oauth
from reciprocal_oauth import exceptions, signals

NAMES = {
    "__version__",
    "get_link",
    "get_links",
    "get_session",
    "get_session_for",
    "take_handover",
}


def test_these_names_are_public_and_no_others() -> None:
    assert set(reciprocal_oauth.__all__) == NAMES
    assert all(getattr(reciprocal_oauth, name) for name in NAMES)


def test_the_documentation_names_them_and_every_error_that_a_call_raises() -> None:
    page = (Path(__file__).parent.parent / "docs" / "calling.rst").read_text()
    errors = {
        error.__name__
        for error in vars(exceptions).values()
        if inspect.isclass(error) and issubclass(error, exceptions.PeerError)
    } - {"NoMetadata"}  # Of looking a peer up.

    assert [name for name in NAMES if f"* - ``{name}" not in page] == []
    assert [
        name
        for name in sorted(errors | {"NotLinked", "DecryptionError", "UnknownPeer"})
        if f"``{name}``" not in page
    ] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        _ = reciprocal_oauth.no_such_name
    assert not hasattr(reciprocal_oauth, "models_of_somebody")


def test_the_helpers_have_the_documented_arguments() -> None:
    session = inspect.signature(reciprocal_oauth.get_session)
    session_for = inspect.signature(reciprocal_oauth.get_session_for)

    for helper in (reciprocal_oauth.get_link, reciprocal_oauth.get_links):
        assert list(inspect.signature(helper).parameters) == ["user", "peer"]
    assert list(session.parameters) == ["link", "allow_hosts", "max_bytes"]
    assert list(session_for.parameters) == ["user", "peer", "allow_hosts", "max_bytes"]
    assert session.parameters["allow_hosts"].kind is inspect.Parameter.KEYWORD_ONLY


@pytest.mark.parametrize(
    "module",
    [
        "reciprocal_oauth",
        "reciprocal_oauth.core.protocol",
        "reciprocal_oauth.exceptions",
        "reciprocal_oauth.conf",
        "reciprocal_oauth.signals",
        "reciprocal_oauth.apps",
    ],
)
def test_it_can_be_imported_before_django_is_set_up(module: str) -> None:
    script = f"""
import {module}, sys
assert "reciprocal_oauth.models" not in sys.modules
assert "oauth2_provider.models" not in sys.modules
from django.apps import apps
assert not apps.ready
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(reciprocal_oauth.__file__).parent.parent)},
        check=False,
    )

    assert ended.returncode == 0, ended.stderr


def test_the_version_is_one_that_a_build_can_read_without_importing() -> None:
    tree = ast.parse(Path(reciprocal_oauth.__file__).with_name("_version.py").read_text())
    (value,) = [
        node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "__version__"
        and isinstance(node.value, ast.Constant)
    ]

    assert value == reciprocal_oauth.__version__


def test_every_signal_is_documented_with_its_arguments() -> None:
    documented = (Path(__file__).parent.parent / "docs" / "signals.rst").read_text()
    names = [name for name, value in vars(signals).items() if isinstance(value, Signal)]

    assert len(names) == 9
    assert not [name for name in names if name not in documented]
