"""The suite runs on the models that the settings name: DOT's, or those of ``swapped_models``."""

import pytest
from django.apps import apps
from django.conf import settings
from django.db import connection
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)

from reciprocal_oauth.models import Peer

MODELS = {
    "Application": get_application_model,
    "Grant": get_grant_model,
    "AccessToken": get_access_token_model,
    "RefreshToken": get_refresh_token_model,
    "IDToken": get_id_token_model,
    "DeviceGrant": get_device_grant_model,
}


@pytest.mark.django_db
def test_dot_has_tables_for_its_models_or_the_site_for_its_own() -> None:
    tables = set(connection.introspection.table_names())
    swapped = apps.is_installed("tests.swapped_models")

    for name, get_model in MODELS.items():
        assert (get_model()._meta.app_label == "swapped_models") is swapped
        assert get_model()._meta.db_table in tables
        assert (apps.get_model("oauth2_provider", name)._meta.db_table in tables) is not swapped


def test_a_peer_refers_to_the_sites_application_model() -> None:
    application = Peer._meta.get_field("application").related_model

    assert application is get_application_model()
    assert application._meta.label == getattr(
        settings, "OAUTH2_PROVIDER_APPLICATION_MODEL", "oauth2_provider.Application"
    )
