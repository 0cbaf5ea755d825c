"""The authorization server's metadata (RFC 8414) lists the reciprocal grant and is DOT's else."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import include, path

from reciprocal_oauth.core.protocol import GRANT_TYPE

from ..urls import urlpatterns as site_urlpatterns

WELL_KNOWN = ".well-known/oauth-authorization-server"

urlpatterns = [*site_urlpatterns, path("dot/", include(("oauth2_provider.urls", "dot")))]


@pytest.mark.draft("IANA Considerations")
@pytest.mark.rfc("8414", "3.2")
@pytest.mark.parametrize("where", [f"/{WELL_KNOWN}", f"/{WELL_KNOWN}/o", f"/o/{WELL_KNOWN}"])
def test_the_grant_is_listed_wherever_the_document_is_served(client: Client, where: str) -> None:
    response = client.get(where)

    assert response["Content-Type"] == "application/json"
    assert response.json()["grant_types_supported"].count(GRANT_TYPE) == 1
    assert response.json()["token_endpoint"] == "http://testserver/o/token/"


@pytest.mark.urls(__name__)
@pytest.mark.rfc("8414", "3.2")
def test_everything_else_is_what_dot_says(client: Client) -> None:
    ours = client.get(f"/o/{WELL_KNOWN}")
    dots = client.get(f"/dot/{WELL_KNOWN}")

    document, stock = ours.json(), dots.json()
    assert document.pop("issuer") == "http://testserver/o"
    assert document.pop("reciprocal_scope_descriptions")
    assert stock.pop("issuer") == "http://testserver/dot"
    assert document["grant_types_supported"] == [*stock["grant_types_supported"], GRANT_TYPE]
    document["grant_types_supported"].remove(GRANT_TYPE)
    assert document == stock
    assert ours["Access-Control-Allow-Origin"] == dots["Access-Control-Allow-Origin"] == "*"


@pytest.mark.rfc("8414", "2")
def test_a_site_that_lists_the_grant_itself_has_it_once(
    client: Client, dot_settings: Callable[..., None], db: Any
) -> None:
    dot_settings(OAUTH2_GRANT_TYPES_SUPPORTED=["authorization_code", GRANT_TYPE])

    document = client.get(f"/{WELL_KNOWN}").json()

    assert document["grant_types_supported"] == ["authorization_code", GRANT_TYPE]


@pytest.mark.rfc("OpenID Connect Discovery 1.0", "4.2")
@pytest.mark.usefixtures("openid_connect")
@pytest.mark.parametrize("slash", ["", "/"])
def test_the_openid_document_lists_what_the_other_one_does(client: Client, slash: str) -> None:
    response = client.get(f"/o/.well-known/openid-configuration{slash}")
    other = client.get(f"/o/{WELL_KNOWN}").json()

    document = response.json()
    assert GRANT_TYPE in document["grant_types_supported"]
    assert document["grant_types_supported"] == other["grant_types_supported"]
    assert document["revocation_endpoint"] == "http://testserver/o/revoke_token/"
    assert other.keys() <= document.keys()
    assert document["issuer"] == "http://testserver/o"
    assert document["userinfo_endpoint"] == "http://testserver/o/userinfo/"
    assert response["Access-Control-Allow-Origin"] == "*"


@pytest.mark.usefixtures("openid_connect")
def test_the_openid_document_of_a_site_that_takes_no_hand_overs(
    client: Client, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

    document = client.get("/o/.well-known/openid-configuration").json()

    assert GRANT_TYPE not in document["grant_types_supported"]
    assert document["revocation_endpoint"]


def test_a_site_that_is_no_openid_provider_has_no_openid_document(client: Client) -> None:
    assert client.get("/o/.well-known/openid-configuration").status_code == 404


@pytest.mark.rfc("8414", "2")
@pytest.mark.parametrize("where", [f"/o/{WELL_KNOWN}", "/o/.well-known/openid-configuration"])
def test_keys_are_listed_for_the_issuer_of_the_settings(
    client: Client, openid_connect: None, dot_settings: Callable[..., None], where: str
) -> None:
    dot_settings(OIDC_ISS_ENDPOINT="http://testserver/o")

    document = client.get(where).json()

    for endpoint in ("token", "revocation", "introspection"):
        methods = document[f"{endpoint}_endpoint_auth_methods_supported"]
        assert methods.count("private_key_jwt") == 1
        assert "client_secret_basic" in methods
        algorithms = document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
        assert {"ES256", "PS256", "RS256", "EdDSA"} <= set(algorithms)


@pytest.mark.threat("J3")
def test_keys_are_not_listed_without_a_fixed_issuer(client: Client) -> None:
    document = client.get(f"/o/{WELL_KNOWN}").json()

    assert "private_key_jwt" not in document["token_endpoint_auth_methods_supported"]
