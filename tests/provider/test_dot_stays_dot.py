"""Clients that are no peers get from our routes what they get from DOT's own."""

import base64
import json
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import include, path, resolve, reverse, set_urlconf
from django.urls.resolvers import URLResolver, get_resolver
from django.utils import timezone
from oauth2_provider import urls as dot_urls
from oauth2_provider.models import get_application_model, get_device_grant_model

from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.provider.token_view import TokenView

from ..conftest import PEER_SECRET, basic, post_form
from .authorization import VERIFIER, allow, ask, code_in, exchange
from .conftest import forget_servers

pytestmark = pytest.mark.django_db

#: The site as it was before our routes took the place of DOT's.
urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("oauth2_provider.urls")),
    *dot_urls.metadata_urlpatterns,
]

Scenario = Callable[[Client, Any], Any]

RANDOM = {"access_token", "refresh_token", "id_token", "code", "device_code", "user_code", "exp",
          "verification_uri_complete", "sid", "iat", "auth_time", "jti", "at_hash"}  # fmt: skip


def plain(value: Any) -> Any:
    """A value with its random parts replaced."""
    if isinstance(value, dict):
        return {k: "(random)" if k in RANDOM else plain(v) for k, v in value.items()}
    return value


def told(response: Any) -> Any:
    """What a response says: status, headers, and its body or where it leads."""
    headers = {name: value for name, value in response.headers.items() if name != "Content-Length"}
    if location := headers.pop("Location", ""):
        parts = urlsplit(location)
        answer = dict(parse_qsl(parts.query)) | dict(parse_qsl(parts.fragment))
        return response.status_code, headers, parts.netloc, parts.path, plain(answer)
    body = response.content
    if response.headers.get("Content-Type", "").startswith("application/json"):
        body = plain(json.loads(body))
    return response.status_code, headers, body


def use(application: Any, **values: Any) -> None:
    get_application_model().objects.filter(pk=application.pk).update(**values)
    application.refresh_from_db()


def token(application: Any, **parameters: str) -> Any:
    return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))


def authorization_code(browser: Client, application: Any) -> Any:
    code = code_in(allow(browser, application, "playback history"))
    first = exchange(application, code)
    return [told(first), told(exchange(application, code))]


def code_without_pkce(browser: Client, application: Any) -> Any:
    response = ask(browser, application, code_challenge="", code_challenge_method="")
    return [told(response)]


def code_with_wrong_verifier(browser: Client, application: Any) -> Any:
    code = code_in(allow(browser, application))
    return [told(exchange(application, code, code_verifier="x" * 50))]


def denied(browser: Client, application: Any) -> Any:
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v}
    return [told(browser.post("/o/authorize/", fields))]


def unknown_scope(browser: Client, application: Any) -> Any:
    return [told(ask(browser, application, scope="nonsense"))]


def implicit(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="implicit")
    location = allow(browser, application, response_type="token")
    return plain(dict(parse_qsl(urlsplit(location).fragment)))


def password(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="password")
    right = token(application, grant_type="password", username="alice", password="alice")
    wrong = token(application, grant_type="password", username="alice", password="wrong")
    return [told(right), told(wrong)]


def client_credentials(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="client-credentials")
    return [
        told(token(application, grant_type="client_credentials", scope="history")),
        told(token(application, grant_type="client_credentials", scope="nonsense")),
        told(token(application, grant_type="client_credentials", user="1")),
    ]


def refresh_rotation(browser: Client, application: Any) -> Any:
    tokens = exchange(application, code_in(allow(browser, application))).json()
    first = tokens["refresh_token"]
    renewed = token(application, grant_type="refresh_token", refresh_token=first)
    second = renewed.json()["refresh_token"]
    return [
        told(renewed),
        told(token(application, grant_type="refresh_token", refresh_token=first)),
        told(token(application, grant_type="refresh_token", refresh_token=second, scope="history")),
        told(token(application, grant_type="refresh_token", refresh_token=second)),
    ]


def device(browser: Client, application: Any) -> Any:
    grant_type = "urn:ietf:params:oauth:grant-type:device_code"
    use(application, authorization_grant_type=grant_type)
    grant = get_device_grant_model().objects.create(
        client_id=application.client_id,
        device_code=uuid.uuid4().hex,
        user_code=uuid.uuid4().hex,
        scope="playback",
        expires=timezone.now() + timedelta(minutes=5),
        user=get_user_model().objects.get(),
    )
    answers = []
    for status in ("authorization-pending", "denied", "expired", "authorized"):
        get_device_grant_model().objects.filter(pk=grant.pk).update(status=status)
        # What DOT and oauthlib do with the last one depends on their releases.
        machine = Client(raise_request_exception=False)
        parameters = {"grant_type": grant_type, "device_code": grant.device_code}
        credentials = basic(application.client_id, PEER_SECRET)
        answers.append(told(post_form(machine, parameters, credentials)))
    return answers


def revocation(browser: Client, application: Any) -> Any:
    tokens = exchange(application, code_in(allow(browser, application))).json()
    revoked = browser.post(
        "/o/revoke_token/",
        {"token": tokens["refresh_token"]},
        headers=basic(application.client_id, PEER_SECRET),
    )
    again = token(application, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    return [told(revoked), told(again)]


def introspection(browser: Client, application: Any) -> Any:
    tokens = exchange(application, code_in(allow(browser, application))).json()
    answers = []
    for value in (tokens["access_token"], tokens["refresh_token"], "unknown", None):
        data = {} if value is None else {"token": value}
        headers = basic(application.client_id, PEER_SECRET)
        answers.append(told(browser.post("/o/introspect/", data, headers=headers)))
        answers.append(told(browser.get("/o/introspect/", data, headers=headers)))
    answers.append(told(browser.post("/o/introspect/", {"token": tokens["access_token"]})))
    return answers


def wrong_credentials(browser: Client, application: Any) -> Any:
    parameters = {"grant_type": "authorization_code", "code": "x", "client_id": "plain"}
    return [
        told(post_form(Client(), parameters, basic("plain", "wrong"))),
        told(post_form(Client(), parameters, {})),
        told(post_form(Client(), {"grant_type": "nonsense"}, basic("plain", PEER_SECRET))),
    ]


def openid(browser: Client, application: Any) -> Any:
    use(application, algorithm="RS256")
    code = code_in(allow(browser, application, "openid playback", nonce="n-1"))
    response = exchange(application, code)
    tokens = response.json()
    payload = tokens["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    return [
        told(response),
        plain(claims),
        told(browser.get("/o/userinfo/", headers=bearer)),
        told(browser.get("/o/.well-known/openid-configuration/")),
        told(browser.get("/o/.well-known/jwks.json")),
    ]


def hybrid(browser: Client, application: Any) -> Any:
    use(application, algorithm="RS256", authorization_grant_type="openid-hybrid")
    location = allow(
        browser, application, "openid playback", response_type="code id_token token", nonce="n-1"
    )
    answer = dict(parse_qsl(urlsplit(location).fragment))
    more = {"redirect_uri": application.redirect_uris.split()[0], "code_verifier": VERIFIER}
    exchanged = token(application, grant_type="authorization_code", code=answer["code"], **more)
    return [plain(answer), told(exchanged)]


def application_pages(browser: Client, application: Any) -> Any:
    return [told(browser.get(path_)) for path_ in ("/o/applications/", "/o/authorized_tokens/")]


def run_on(urlconf: str, scenario: Scenario, application: Any, user: Any, settings: Any) -> Any:
    """Plays a scenario on one of the two sites, from the same start."""
    settings.ROOT_URLCONF = urlconf
    set_urlconf(None)
    forget_servers()
    is_ours = isinstance(resolve("/o/token/").func.view_class(), TokenView)
    assert is_ours == (urlconf == "tests.urls")
    start = {f.attname: getattr(application, f.attname) for f in application._meta.concrete_fields}
    browser = Client()
    browser.force_login(user)
    answer = scenario(browser, application)
    get_application_model().objects.filter(pk=application.pk).update(**start)
    application.refresh_from_db()
    forget_servers()
    return answer


@pytest.mark.rfc("6749", "4")
@pytest.mark.parametrize(
    "scenario",
    [
        authorization_code,
        code_without_pkce,
        code_with_wrong_verifier,
        denied,
        unknown_scope,
        implicit,
        password,
        client_credentials,
        refresh_rotation,
        device,
        revocation,
        introspection,
        wrong_credentials,
        openid,
        hybrid,
        application_pages,
    ],
)
def test_a_client_that_is_no_peer_sees_no_difference(
    request: pytest.FixtureRequest,
    settings: Any,
    user: Any,
    peer: Peer,
    make_application: Callable[..., Any],
    scenario: Scenario,
) -> None:
    if scenario in (openid, hybrid):
        request.getfixturevalue("openid_connect")
    application = make_application()

    ours = run_on("tests.urls", scenario, application, user, settings)
    dots = run_on(__name__, scenario, application, user, settings)

    assert ours == dots
    assert not Link.objects.exists()


def test_every_route_of_dot_is_there_under_its_name() -> None:
    def names(urlconf: str) -> set[tuple[str, str]]:
        resolver = get_resolver(urlconf)
        found = set()
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver) and entry.namespace == "oauth2_provider":
                found = {(str(p.pattern), p.name) for p in entry.url_patterns}
        return found

    assert names("tests.urls") == names(__name__)
    assert reverse("oauth2_provider:token") == "/o/token/"
