"""Which part may import which: read from the import statements, the offender named."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "reciprocal_oauth"
PACKAGE = ROOT.name

#: From the ground up. A room imports those below it, and its neighbours on the same line.
LAYERS: list[tuple[str, ...]] = [
    ("__init__", "_version", "compat", "conf"),
    ("core",),
    ("exceptions", "signals"),
    ("secret",),
    ("redaction",),
    ("models", "migrations"),
    ("keys",),
    ("client",),
    ("dialects",),
    ("links",),
    ("vendors",),
    ("delivery", "maintenance", "peers", "session", "status"),
    ("party_a", "party_b"),
    ("pairing",),
    ("presentation",),
    ("mails",),
    ("admin", "api", "contrib", "pages", "templatetags", "testing"),
    ("provider",),
    ("checks", "conformance", "management", "oauth2_urls", "urls"),
    ("startup",),
    ("apps",),
]

#: Most modules that the root of the package may have: a newcomer sees the protocol in its folders.
MODULES_AT_THE_ROOT = 14

#: Inside functions only, to be safe before Django has loaded the models.
LATE = {("__init__", "session"), ("__init__", "provider"), ("apps", "startup")}

#: The modules of ``client`` that speak to the network, or know its errors.
DOOR = ("http", "connection", "proxy", "tls", "racing", "addresses", "failures")

SERVER_OF_TESTS = "reciprocal_oauth.testing.fake_server"

#: The tester of other implementations: it sends what must go out broken, and runs without Django.
TESTER = "reciprocal_oauth.conformance"
#: What the tester takes from this package.
KNOWN_TO_THE_TESTER = {"reciprocal_oauth.core.protocol", "reciprocal_oauth._version"}

#: Names of django-oauth-toolkit that its next releases keep where they are.
STABLE_IN_DOT = {
    "oauth2_provider",
    "oauth2_provider.contrib.rest_framework",
    "oauth2_provider.generators",
    "oauth2_provider.models",
    "oauth2_provider.oauth2_validators",
    "oauth2_provider.settings",
    "oauth2_provider.urls",
    "oauth2_provider.views",
}
STABLE_IN_OAUTHLIB = {
    "oauthlib.common",
    "oauthlib.oauth2",
    "oauthlib.oauth2.rfc6749",
    "oauthlib.oauth2.rfc6749.errors",
    "oauthlib.oauth2.rfc6749.grant_types.base",
    "oauthlib.openid",
}


def _part_of(module: str) -> str:
    """``reciprocal_oauth.party_a.send`` is of the part ``party_a``."""
    names = module.split(".")
    return names[1] if len(names) > 1 else "__init__"


@cache
def _modules() -> list[tuple[str, ast.Module]]:
    files = sorted(ROOT.rglob("*.py"))
    return [(_name_of(file), ast.parse(file.read_text())) for file in files]


def _name_of(file: Path) -> str:
    names = (PACKAGE, *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(names).removesuffix(".__init__")


def _imports(module: str, tree: ast.Module) -> Iterator[str]:
    """Absolute names of everything that ``module`` imports, at whatever place."""
    is_package = ROOT.joinpath(*module.split(".")[1:], "__init__.py").exists()
    here = module.split(".") if is_package else module.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                yield ".".join([*origin, alias.name])


@cache
def _edges() -> list[tuple[str, str, str]]:
    """Module, part, and part of this package that it imports."""
    return [
        (module, _part_of(module), _known_part_of(imported))
        for module, tree in _modules()
        for imported in _imports(module, tree)
        if imported.split(".")[0] == PACKAGE
    ]


def _known_part_of(imported: str) -> str:
    """``from . import __version__`` is of the package itself."""
    part = _part_of(imported)
    is_part = (ROOT / part).exists() or (ROOT / f"{part}.py").exists()
    return part if is_part else "__init__"


def _rank(part: str) -> int:
    ranks = [rank for rank, parts in enumerate(LAYERS) if part in parts]
    assert ranks, f"{part} has no place in LAYERS."
    return ranks[0]


def test_nothing_imports_what_stands_above_it() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, part, imported in _edges()
        if _rank(imported) > _rank(part) and (part, imported) not in LATE
    ]

    assert offenders == []


@pytest.mark.parametrize(
    ("part", "others"),
    [
        ("party_a", {"party_b"}),
        ("party_b", {"party_a"}),
        ("delivery", {"party_a", "party_b", "peers"}),
        ("peers", {"delivery", "maintenance"}),
        ("core", {"models", "client"}),
        ("pages", {"api", "admin"}),
        ("api", {"pages", "admin"}),
        ("admin", {"pages", "api"}),
    ],
)
def test_these_rooms_do_not_know_each_other(part: str, others: set[str]) -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, own, imported in _edges()
        if own == part and imported in others
    ]

    assert offenders == []


def test_the_conformance_tester_needs_nothing_but_the_standard_library() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, tree in _modules()
        if module.startswith(TESTER)
        for imported in _imports(module, tree)
        if imported.split(".")[0] not in sys.stdlib_module_names
        and not imported.startswith(TESTER)
        and not any(imported.startswith(known) for known in KNOWN_TO_THE_TESTER)
        # Only who asks for the driver "playwright" needs it.
        and (module, imported.split(".")[0]) != (f"{TESTER}.drivers.browser", "playwright")
    ]

    assert offenders == []


def test_nothing_else_uses_the_conformance_tester() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, part, imported in _edges()
        if imported == "conformance" and part != "conformance"
    ]

    assert offenders == []


def test_the_root_of_the_package_stays_small() -> None:
    assert len(list(ROOT.glob("*.py"))) <= MODULES_AT_THE_ROOT


def test_each_folder_says_in_the_documentation_what_belongs_there() -> None:
    page = (ROOT.parent / "docs" / "package_layout.rst").read_text()
    folders = [file.parent.name for file in ROOT.glob("*/__init__.py")]

    assert [folder for folder in folders if f"``{folder}/``" not in page] == []


def test_the_package_stands_without_its_tests_and_example() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, tree in _modules()
        for imported in _imports(module, tree)
        if imported.split(".")[0] in {"tests", "example_project"}
    ]

    assert offenders == []


def test_no_test_module_imports_another_one() -> None:
    tests = Path(__file__).parent
    offenders = [
        f"{file.relative_to(tests)} imports {imported}"
        for file in sorted(tests.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        for imported in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [
                alias.name for alias in getattr(node, "names", ()) if isinstance(node, ast.Import)
            ]
        )
        if any(name.startswith("test_") for name in imported.split("."))
    ]

    assert offenders == []


def test_only_names_are_imported_that_the_libraries_keep_where_they_are() -> None:
    stable = STABLE_IN_DOT | STABLE_IN_OAUTHLIB
    offenders = [
        f"{module} imports {imported}"
        for module, tree in _modules()
        for imported in _imports(module, tree)
        if imported.split(".")[0] in {"oauth2_provider", "oauthlib"}
        and imported not in stable
        and imported.rpartition(".")[0] not in stable
        # It is there for the others, and takes them from where they are.
        and module != "reciprocal_oauth.compat"
    ]

    assert offenders == []


def test_everything_that_leaves_this_server_goes_through_the_one_door() -> None:
    offenders = [
        f"{module} imports {imported}"
        for module, tree in _modules()
        for imported in _imports(module, tree)
        if imported.split(".")[0] in {"urllib3", "httpx", "aiohttp", "http", "socket"}
        or imported.startswith("urllib.request")
        # The server of the tests sends responses only.
        if module not in {f"reciprocal_oauth.client.{name}" for name in DOOR} | {SERVER_OF_TESTS}
        and not module.startswith(TESTER)
    ]

    assert offenders == []


def test_the_reader_of_imports_sees_what_it_should() -> None:
    tree = ast.parse(
        "import a.b\nfrom . import c\nfrom ..d import e\ndef f():\n    from .g.h import i\n"
    )

    assert list(_imports("reciprocal_oauth.party_a.send", tree)) == [
        "a.b",
        "reciprocal_oauth.party_a.c",
        "reciprocal_oauth.d.e",
        "reciprocal_oauth.party_a.g.h.i",
    ]
