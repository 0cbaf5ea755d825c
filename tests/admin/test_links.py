"""The page of a link in the admin."""

from django.test import Client

from reciprocal_oauth.models import Link

from .conftest import admin_url, text_of


def test_it_draws_the_steps_of_the_link(admin: Client, full_link: Link) -> None:
    page = text_of(admin.get(admin_url(Link, "change", full_link.pk)))

    assert 'data-drawn="E" data-state="done"' in page
    assert 'data-drawn="F" data-state="failed"' in page
    assert "reciprocal_oauth/admin.css" in page
