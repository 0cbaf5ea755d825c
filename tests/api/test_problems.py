"""Errors have one form (RFC 9457), and nothing that is sent makes the server fail."""

import bz2
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.utils import translation
from pytest_django import Settings
from rest_framework.views import APIView

from reciprocal_oauth.api.views import ApiView
from reciprocal_oauth.models import Link, Peer

from ..failing_database import fails
from .conftest import Api, problem


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("post", "/peers/", {"GET", "HEAD"}),
        ("get", "/peers/music/connect/", {"POST"}),
        ("options", "/links/", {"GET", "HEAD"}),
        ("patch", "/links/{pk}/", {"GET", "HEAD", "DELETE"}),
        ("trace", "/links/{pk}/", {"GET", "HEAD", "DELETE"}),
        ("post", "/links/{pk}/scopes/", {"PUT"}),
    ],
)
def test_another_method(
    front_end: Api, link: Link, method: str, path: str, allowed: set[str]
) -> None:
    response = front_end.call(method, path.format(pk=link.pk))

    assert problem(response) == (405, "method_not_allowed")
    assert set(response["Allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path", ["/", "/nothing/", "/links/42/", "/links/null/", "/peers/a%20b/connect/", "/links"]
)
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_address_that_there_is_not(api: Api, method: str, path: str) -> None:
    assert problem(api.call(method, path)) == (404, "not_found")


def test_an_answer_in_another_form(api: Api) -> None:
    response = api.call("get", "/links/", Accept="text/html")

    assert problem(response) == (406, "not_acceptable")


@pytest.mark.parametrize(
    "content_type", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain"]
)
def test_a_body_in_another_form(front_end: Api, peer: Peer, content_type: str) -> None:
    response: Any = front_end.client.generic(
        "POST", "/api/reciprocal/peers/music/connect/", b"return_to=x", content_type
    )
    response.said = json.loads(response.content)

    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.threat("A8")
@pytest.mark.parametrize(
    ("body", "content_type", "status", "code"),
    [
        (b"{", "application/json", 400, "parse_error"),
        (b"\xff\xfe", "application/json", 400, "parse_error"),
        (b'{"scopes": ["\xe9"]}', "application/json; charset=latin-1", 400, "parse_error"),
        (bz2.compress(b'{"scopes": []}'), "application/json; charset=bz2", 400, "parse_error"),
        (b'{"scopes": [NaN]}', "application/json", 400, "parse_error"),
        (b"[" * 60_000, "application/json", 400, "parse_error"),
        (b'{"scopes": [' + b"9" * 5_000 + b"]}", "application/json", 400, None),
        (b'"' + b"a" * 66_000 + b'"', "application/json", 413, "too_large"),
    ],
)
def test_a_body_that_is_no_json(
    api: Api, link: Link, body: bytes, content_type: str, status: int, code: str | None
) -> None:
    response: Any = api.client.generic(
        "PUT",
        f"/api/reciprocal/links/{link.pk}/scopes/",
        body,
        content_type,
        headers=api.headers,
    )
    response.said = json.loads(response.content)

    assert problem(response)[0] == status
    assert code is None or response.said["code"] == code


@pytest.fixture
def rates(site: Settings) -> Any:
    """Sets rates as a site does."""

    def set_rates(**rates: Any) -> None:
        named = {f"reciprocal-{name}": rate for name, rate in rates.items()}
        site.REST_FRAMEWORK = {"DEFAULT_THROTTLE_RATES": named}

    return set_rates


@pytest.mark.threat("A8")
def test_who_asks_too_often_is_told_when_to_come_back(
    api_with: Callable[..., Api], rates: Any
) -> None:
    rates(read="3/min")
    first, second = api_with(), api_with()

    answers = [client.get("/links/") for client in (first, second, first, second)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert problem(answers[-1]) == (429, "throttled")
    assert 0 < int(answers[-1]["Retry-After"]) <= 60


@pytest.mark.threat("A8")
def test_an_application_that_asks_too_often_leaves_the_person_to_others(
    api: Api, front_end: Api, rates: Any
) -> None:
    rates(read="1/min")
    api.get("/links/")

    assert api.get("/links/").status_code == 429
    assert front_end.get("/links/").status_code == 200


@pytest.mark.threat("A8")
def test_there_are_limits_where_the_site_sets_none(front_end: Api, peer: Peer) -> None:
    statuses = [front_end.post("/peers/music/connect/").status_code for _ in range(11)]

    assert statuses == [200] * 10 + [429]


def test_each_kind_of_request_has_a_budget_of_its_own(
    front_end: Api, link: Link, rates: Any
) -> None:
    rates(read="1/min", write="1/min", connect="1/min")

    def round_of_calls() -> list[int]:
        return [
            front_end.get("/links/").status_code,
            front_end.post(f"/links/{link.pk}/retry/").status_code,
            front_end.post("/peers/music/connect/").status_code,
        ]

    assert round_of_calls() == [200, 409, 200]
    assert round_of_calls() == [429, 429, 429]


def test_a_site_may_have_no_limit(front_end: Api, peer: Peer, rates: Any) -> None:
    rates(connect=None)

    statuses = {front_end.post("/peers/music/connect/").status_code for _ in range(12)}

    assert statuses == {200}


def test_another_persons_budget_is_another(api_with: Any, other_user: Any, rates: Any) -> None:
    rates(read="1/min")
    assert api_with().get("/links/").status_code == 200

    assert api_with(of=other_user).get("/links/").status_code == 200


def test_the_sites_own_defaults_are_not_taken(site: Settings, link: Link) -> None:
    """Such as: no authentication, everything allowed, no pages."""
    site.REST_FRAMEWORK = {
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.AllowAny"],
        "EXCEPTION_HANDLER": "rest_framework.views.exception_handler",
        "DEFAULT_PAGINATION_CLASS": None,
    }

    assert problem(Api(Client()).get("/links/")) == (401, "not_authenticated")


def test_no_policy_is_left_to_the_site() -> None:
    policies = {name for name in vars(APIView) if name.endswith(("_class", "_classes"))}

    assert policies - set(vars(ApiView)) == set()


def test_times_and_errors_have_the_form_that_the_schema_says(
    api: Api, site: Settings, link: Link
) -> None:
    site.REST_FRAMEWORK = {"DATETIME_FORMAT": "%d.%m.%Y", "NON_FIELD_ERRORS_KEY": "all"}

    created = api.get(f"/links/{link.pk}/").said["created_at"]
    refused = api.put(f"/links/{link.pk}/scopes/", ["profile"])

    assert datetime.fromisoformat(created) == link.created_at
    assert [error["field"] for error in refused.said["errors"]] == [""]


@pytest.mark.threat("R71")
def test_a_database_that_is_too_busy_is_no_error_of_the_server(api: Api, link: Link) -> None:
    with fails("UPDATE", "reciprocal_oauth_link", times=100) as failed:
        response = api.delete(f"/links/{link.pk}/")

    assert len(failed) == 4
    assert problem(response) == (503, "busy")
    assert response["Retry-After"] == "5"
    assert Link.objects.get().is_active


@pytest.mark.threat("A7")
def test_the_report_of_an_error_has_no_token(
    api: Api, site: Settings, monkeypatch: pytest.MonkeyPatch, mailoutbox: Any
) -> None:
    from reciprocal_oauth.api import views

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("by accident")

    site.ADMINS = ["admin@example.com"] if _addresses_are_texts() else [("A", "admin@example.com")]
    site.LOGGING_CONFIG = None
    monkeypatch.setattr(views.LinksView, "get_queryset", fail)
    api.client.raise_request_exception = False

    response = api.client.get("/api/reciprocal/links/", headers=api.headers)

    assert response.status_code == 500
    token = api.headers["Authorization"].split()[1]
    assert token not in response.content.decode()
    for mail in mailoutbox:
        assert token not in mail.body
        assert not [each for each, _kind in mail.alternatives if token in each]


def _addresses_are_texts() -> bool:
    import django

    return django.VERSION >= (6, 0)


def test_what_is_not_there_is_said_in_the_persons_language(api: Api, peer: Peer) -> None:
    with translation.override("de"):
        response = api.get("/links/00000000-0000-4000-8000-000000000000/")

    assert problem(response) == (404, "not_found")
    assert response.said["detail"] == "So etwas gibt es nicht, oder es gehört Ihnen nicht."


def test_a_slash_that_was_forgotten_is_named(api: Api) -> None:
    response = api.get("/links")

    assert problem(response) == (404, "not_found")
    assert response.said["detail"] == "The URLs of this API end with a slash."
