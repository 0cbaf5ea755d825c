"""Headers of every page: it is never framed or stored, and other sites do not learn its address."""

from collections.abc import Callable
from typing import Any

import django
import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from reciprocal_oauth.models import Link

from .looks import HTML_PAGES, PAGES, Tags, only_our_script

#: A policy under which a page can load its own style sheet and nothing else.
STRICT = {"default-src": ["'none'"], "style-src": ["'self'"], "form-action": ["'self'"]}


def with_middleware(*paths: str) -> list[str]:
    """The middleware of the tests with these in front."""
    return [*paths, *django_settings.MIDDLEWARE]


@pytest.mark.threat("W2")
@pytest.mark.rfc("9700", "4.16")
@pytest.mark.parametrize("name", PAGES)
def test_no_page_can_be_framed_even_where_the_site_has_no_middleware_for_it(
    page: Callable[[str], Any], name: str
) -> None:
    assert not any("frame" in path.lower() for path in django_settings.MIDDLEWARE)

    response = page(name)

    assert response["X-Frame-Options"] == "DENY"
    assert response["Content-Security-Policy"] == "frame-ancestors 'none'"


@pytest.mark.threat("W2")
def test_a_site_that_lets_itself_be_framed_does_not_let_these_pages(
    page: Callable[[str], Any], settings: Settings
) -> None:
    settings.MIDDLEWARE = with_middleware("django.middleware.clickjacking.XFrameOptionsMiddleware")
    settings.X_FRAME_OPTIONS = "SAMEORIGIN"

    assert page("consent")["X-Frame-Options"] == "DENY"


@pytest.mark.threat("W2", "W3")
@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django has no policy of its own before 6.0")
@pytest.mark.parametrize("name", PAGES)
def test_the_policy_of_the_site_stays_in_force_and_forbids_frames(
    page: Callable[[str], Any], name: str, settings: Settings
) -> None:
    settings.MIDDLEWARE = with_middleware("django.middleware.csp.ContentSecurityPolicyMiddleware")
    settings.SECURE_CSP = {**STRICT, "frame-ancestors": ["https://frames.example"]}
    settings.SECURE_CSP_REPORT_ONLY = {"img-src": ["'self'"]}

    response = page(name)

    policy = response["Content-Security-Policy"]
    assert "default-src 'none'; style-src 'self'; form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "frames.example" not in policy
    assert response["Content-Security-Policy-Report-Only"] == "img-src 'self'"


@pytest.mark.threat("W2", "W3")
@pytest.mark.parametrize("name", PAGES)
def test_the_policy_that_django_csp_writes_stays_in_force_and_forbids_frames(
    page: Callable[[str], Any], name: str, settings: Settings
) -> None:
    pytest.importorskip("csp", reason="needs django-csp")
    settings.MIDDLEWARE = with_middleware("csp.middleware.CSPMiddleware")
    settings.CONTENT_SECURITY_POLICY = {
        "DIRECTIVES": {**STRICT, "frame-ancestors": ["https://frames.example"]}
    }

    policy = page(name)["Content-Security-Policy"]

    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "frames.example" not in policy


@pytest.mark.threat("W5")
@pytest.mark.parametrize("name", PAGES)
def test_no_page_is_kept_by_a_cache(page: Callable[[str], Any], name: str) -> None:
    assert {"no-store", "private"} <= set(page(name)["Cache-Control"].split(", "))


@pytest.mark.threat("W5")
@pytest.mark.parametrize("name", PAGES)
def test_no_page_tells_its_address_to_another_site(
    page: Callable[[str], Any], name: str, settings: Settings
) -> None:
    settings.MIDDLEWARE = with_middleware("django.middleware.security.SecurityMiddleware")
    settings.SECURE_REFERRER_POLICY = "unsafe-url"

    expected = "no-referrer" if name.startswith("callback") else "same-origin"
    assert page(name)["Referrer-Policy"] == expected


@pytest.mark.threat("W3")
@pytest.mark.parametrize("name", HTML_PAGES)
def test_no_page_needs_more_than_the_strict_policy_allows(
    page: Callable[[str], Any], name: str
) -> None:
    tags = Tags(page(name))

    assert only_our_script(tags)
    assert not tags.named("style")
    for tag, attributes in tags.found:
        assert "style" not in attributes, tag
        assert not [key for key in attributes if key.startswith("on")], tag
        for value in attributes.values():
            assert not (value or "").strip().lower().startswith(("javascript:", "data:")), tag
    sheets = [link["href"] for link in tags.named("link")]
    ours = {f"/static/reciprocal_oauth/{name}.css" for name in ("reciprocal_oauth", "diagram")}
    assert sheets
    assert set(sheets) <= ours


@pytest.mark.threat("L13")
def test_the_pages_refuse_foreign_forms_also_where_the_site_has_no_middleware_for_it(
    settings: Any, link_as_a: Link, user: Any
) -> None:
    settings.MIDDLEWARE = [each for each in settings.MIDDLEWARE if "Csrf" not in each]
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(user)

    for page in ("disconnect", "consent"):
        response = browser.post(f"/connections/links/{link_as_a.pk}/{page}/")
        assert response.status_code == 403
    link_as_a.refresh_from_db()
    assert link_as_a.is_active
