"""The keys of this site, which are looked at, and changed by a command only."""

import pytest
from django.test import Client
from jwcrypto import jwk

from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.models import SiteKey

from .conftest import admin_url, text_of


@pytest.mark.threat("JC4", "W7")
def test_a_key_is_shown_without_its_private_part(admin: Client) -> None:
    key = site_keys.signing_key()
    private = jwk.JWK.from_json(key.private_jwk.reveal()).export(as_dict=True)["d"]

    listed = text_of(admin.get(admin_url(SiteKey, "changelist")))
    page = text_of(admin.get(admin_url(SiteKey, "change", key.pk)))

    assert key.kid in listed
    assert key.kid in page
    assert private not in listed + page
    assert key.private_jwk.encrypted() not in listed + page


@pytest.mark.threat("W7")
def test_nothing_can_be_changed(admin: Client) -> None:
    key = site_keys.signing_key()

    assert admin.get(admin_url(SiteKey, "add")).status_code == 403
    for page in ("change", "delete"):
        assert admin.post(admin_url(SiteKey, page, key.pk), {"post": "yes"}).status_code == 403
    assert SiteKey.objects.get() == key


@pytest.mark.threat("JC4")
def test_the_list_cannot_be_filtered_by_the_private_part(admin: Client) -> None:
    site_keys.signing_key()
    url = admin_url(SiteKey, "changelist")

    assert admin.get(url, {"private_jwk__startswith": "f"}).status_code == 400
