"""What every dialect of the project has: a small file, the tests of the contract, and, if it is one
of a vendor, a preset and a page."""

import importlib
import inspect
from pathlib import Path

import pytest

import reciprocal_oauth
from reciprocal_oauth.core.plugins import BUILT_IN_DIALECTS, dialect_class
from reciprocal_oauth.testing import DialectContract
from reciprocal_oauth.vendors import preset_of, presets

PACKAGE = Path(reciprocal_oauth.__file__).parent
DOCS = PACKAGE.parent / "docs"
#: A dialect of a vendor is one file with fewer lines. What several share stands elsewhere.
LINES = 150
SHARED = {"__init__.py", "base.py", "form.py", "ietf.py", "json_body.py"}
VENDORS = sorted(set(BUILT_IN_DIALECTS) - {"ietf"})


def dialect_files() -> list[Path]:
    return sorted(path for path in (PACKAGE / "dialects").glob("*.py") if path.name not in SHARED)


@pytest.mark.parametrize("path", dialect_files(), ids=lambda path: path.name)
def test_the_file_of_a_vendor_is_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) < LINES


@pytest.mark.parametrize("name", VENDORS)
def test_the_class_of_a_vendor_stands_in_such_a_file(name: str) -> None:
    assert Path(inspect.getfile(dialect_class(name))) in dialect_files()


@pytest.mark.parametrize("name", sorted(BUILT_IN_DIALECTS))
def test_it_passes_the_contract(name: str) -> None:
    """Some test class derived from ``DialectContract`` is about it."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        module = importlib.import_module(f"{__package__}.{path.stem}")
        found |= {
            getattr(each, "dialect_name", None)
            for each in vars(module).values()
            if inspect.isclass(each) and issubclass(each, DialectContract)
        }

    assert name in found


@pytest.mark.parametrize("name", VENDORS)
def test_it_says_where_its_facts_come_from(name: str) -> None:
    assert "Sources" in (inspect.getmodule(dialect_class(name)).__doc__ or "")


@pytest.mark.parametrize("name", VENDORS)
def test_it_has_a_preset_with_a_page(name: str) -> None:
    preset = preset_of(name)

    assert preset is not None
    assert (DOCS / "vendors" / f"{preset.page}.rst").exists()


def test_every_preset_is_of_a_dialect() -> None:
    assert {preset.dialect for preset in presets()} <= set(VENDORS)
