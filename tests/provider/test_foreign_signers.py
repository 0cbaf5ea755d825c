"""Clients that others wrote sign for this site; and one assertion is used in two processes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.db import connections
from django.test import Client

from reciprocal_oauth.dialects.form import FORM_TYPE
from reciprocal_oauth.models import UsedAssertion

from ..conftest import post_form
from ..delivery.processes import url_of_the_database
from ..fakes import FakePeer, Received, Reply
from .signing import ISSUER, Signer, make_key, parameters, publish

pytestmark = pytest.mark.django_db

NODE_MODULES = os.environ.get("INTEROP_NODE_MODULES", "")
SCRIPT_OF_NODE = """
import { pathToFileURL } from "node:url";
const [modules, url, issuer, clientId, jwk] = process.argv.slice(1);
const entry = `${modules}/openid-client/build/index.js`;
const client = await import(pathToFileURL(entry).href);
const names = { name: "ECDSA", namedCurve: "P-256" };
const members = JSON.parse(jwk);
const key = await crypto.subtle.importKey("jwk", members, names, false, ["sign"]);
const server = { issuer, token_endpoint: `${url}/o/token/` };
const auth = client.PrivateKeyJwt({ key, kid: members.kid });
const config = new client.Configuration(server, clientId, {}, auth);
client.allowInsecureRequests(config);
try {
  await client.refreshTokenGrant(config, "unknown");
} catch (error) {
  console.log(error.status, error.error);
}
"""


@pytest.mark.rfc("7523", "2.2")
@pytest.mark.parametrize("algorithm", ["ES256", "RS256", "PS256"])
def test_authlib_signs_for_this_site(signer: Signer, fake_peer: FakePeer, algorithm: str) -> None:
    """By default, it signs for the token endpoint and for an hour: it has to be told better."""
    rfc7523 = pytest.importorskip("authlib.oauth2.rfc7523")
    key = make_key(algorithm)
    publish(fake_peer, key)

    class Signing(rfc7523.PrivateKeyJWT):  # type: ignore[name-defined,misc]
        def sign(self, auth: Any, audience: str) -> Any:
            return rfc7523.private_key_jwt_sign(
                auth.client_secret,
                client_id=auth.client_id,
                token_endpoint=audience,
                header={"kid": key["kid"]},
                alg=algorithm,
                expires_in=60,
            )

    private = key.export_to_pem(private_key=True, password=None).decode()
    credentials = SimpleNamespace(client_id=signer.client_id, client_secret=private)
    sent = "grant_type=refresh_token&refresh_token=unknown"
    _uri, _headers, body = Signing(ISSUER)(credentials, "POST", "", {}, sent)

    response = post_form(Client(), dict(parse_qsl(body)), {})
    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})


@pytest.mark.skipif(not NODE_MODULES, reason="INTEROP_NODE_MODULES names no folder.")
@pytest.mark.rfc("7523", "2.2")
def test_openid_client_signs_for_this_site(
    shared_database: None, signer: Signer, fake_peer: FakePeer
) -> None:
    def pass_on(request: Received) -> Reply:
        try:
            response = Client().post("/o/token/", request.body, content_type=FORM_TYPE)
            return Reply(response.status_code, response.content)
        finally:
            connections.close_all()

    if not (Path(NODE_MODULES) / "openid-client").exists():
        pytest.skip("openid-client is not installed.")
    fake_peer.answers["/o/token/"] = pass_on
    script = ["node", "--input-type=module", "-e", SCRIPT_OF_NODE, "--"]
    arguments = [NODE_MODULES, fake_peer.url, ISSUER, signer.client_id, signer.key.export()]

    ended = subprocess.run(
        [*script, *arguments], capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.stdout.split() == ["400", "invalid_grant"], ended.stderr


SCRIPT_OF_PROCESS = """
import json, sys, django
django.setup()
from django.conf import settings
from django.db import connections
from django.test import Client
from oauth2_provider.settings import oauth2_settings
from urllib.parse import urlencode
oauth2_settings.OIDC_ISS_ENDPOINT = sys.argv[1]
settings.ALLOWED_HOSTS = ["testserver"]
form = {"grant_type": "refresh_token", "refresh_token": "unknown", **json.loads(sys.argv[2])}
kind = "application/x-www-form-urlencoded"
print(Client().post("/o/token/", urlencode(form), content_type=kind).status_code)
"""


@pytest.mark.rfc("7523", "3")
@pytest.mark.threat("J2")
def test_an_assertion_is_used_once_in_whatever_process(
    shared_database: None, signer: Signer
) -> None:
    sent = json.dumps(parameters(signer.assertion()))
    variables = {
        "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"],
        "TEST_DATABASE_URL": url_of_the_database(),
    }

    started = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SCRIPT_OF_PROCESS, ISSUER, sent],
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _process in range(3)
    ]
    printed = [each.communicate(timeout=60)[0].strip() for each in started]

    assert sorted(printed) == ["400", "401", "401"]
    assert UsedAssertion.objects.count() == 1
