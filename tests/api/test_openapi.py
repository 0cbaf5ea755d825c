"""The OpenAPI schema: it is sound, it is kept to, and the API does without what makes it."""

import importlib.util
import json

import pytest

from .schema import python, schema_in_json

needs_spectacular = pytest.mark.skipif(
    not importlib.util.find_spec("drf_spectacular"), reason="needs drf-spectacular: .[openapi]"
)


@needs_spectacular
def test_the_schema_validates_without_a_warning() -> None:
    schema = json.loads(schema_in_json())

    assert schema["openapi"] == "3.1.0"
    assert sorted(
        f"{method} {path.removeprefix('/api/reciprocal')}"
        for path, operations in schema["paths"].items()
        for method in operations
    ) == [
        "delete /links/{id}/",
        "get /links/",
        "get /links/{id}/",
        "get /peers/",
        "post /links/{id}/consent/",
        "post /links/{id}/retry/",
        "post /peers/{slug}/connect/",
        "post /peers/{slug}/start/",
        "put /links/{id}/scopes/",
    ]
    connect = schema["paths"]["/api/reciprocal/peers/{slug}/connect/"]["post"]
    assert connect["security"] == [{"cookieAuth": []}]
    scopes = schema["components"]["securitySchemes"]["reciprocalBearer"]["flows"]
    assert set(scopes["authorizationCode"]["scopes"]) == {"reciprocal:read", "reciprocal:write"}
    # The names of a site's own components stay free.
    ours = {name for name in schema["components"]["schemas"] if "Enum" not in name}
    assert [name for name in ours if "Reciprocal" not in name] == []


@needs_spectacular
def test_each_operation_has_examples_that_keep_to_the_schema() -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(schema_in_json())
    without: list[str] = []
    for operations in schema["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            contents = [content for body in bodies for content in body.get("content", {}).values()]
            good = {"204", "200", "202"} & operation["responses"].keys()
            answers = [operation["responses"][status].get("content", {}) for status in good]
            for content in contents:
                for name, example in content.get("examples", {}).items():
                    # The lists of the schema name their parts by reference.
                    whole = {**content["schema"], "components": schema["components"]}
                    try:
                        jsonschema.validate(example["value"], whole)
                    except jsonschema.ValidationError as error:
                        pytest.fail(f"{operation['operationId']}, {name}: {error.message}")
            without += [
                operation["operationId"]
                for answer in answers
                for content in answer.values()
                if not content.get("examples")
            ]

    assert without == []
    assert [tag["name"].partition(":")[0] for tag in schema["tags"]] == ["Connections"] * 3
    assert {tag["name"] for tag in schema["tags"]} == {
        tag
        for operations in schema["paths"].values()
        for operation in operations.values()
        for tag in operation["tags"]
    }


@pytest.mark.skipif(
    not importlib.util.find_spec("drf_spectacular_sidecar"),
    reason="needs the pages of the API: .[demo]",
)
@pytest.mark.parametrize("site", ["assistant", "music"])
def test_the_schema_of_the_example_project_validates(site: str) -> None:
    made = python(
        "manage.py",
        "spectacular",
        "--validate",
        "--fail-on-warn",
        DJANGO_SETTINGS_MODULE="example_project.settings",
        DJANGO_DEBUG="1",
        EXAMPLE_SITE=site,
    )

    assert made.returncode == 0, made.stderr
    assert "/api/reciprocal/links/{id}/scopes/" in made.stdout


def test_the_api_works_without_drf_spectacular() -> None:
    """It is an extra."""
    program = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "drf_spectacular":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: (
    None if name == "drf_spectacular" else find(name, *more)
)
import django
django.setup()
from django.test import Client, override_settings
with override_settings(ROOT_URLCONF="tests.api.urls"):
    print(Client().get("/api/reciprocal/links/").status_code, "drf_spectacular" in sys.modules)
"""
    ran = python("-c", program, DJANGO_SETTINGS_MODULE="tests.settings")

    assert ran.stdout.split() == ["401", "False"], ran.stderr
