"""Clients that are no peers get from our routes what they get from DOT where this app is not.

Each scenario is played twice from the same start: on a site with our routes, and on one with DOT's
own, whose settings object and validator are as DOT ships them. What the two sites answer, and what
they have stored in the end, must be the same.
"""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import transaction
from django.test import Client
from django.urls import include, path, resolve, reverse, set_urlconf
from django.urls.resolvers import URLResolver, get_resolver
from django.utils import timezone
from oauth2_provider import urls as dot_urls
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_device_grant_model,
    get_grant_model,
    get_id_token_model,
    get_refresh_token_model,
)
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauth2_provider.settings import OAuth2ProviderSettings, oauth2_settings

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.provider.token_view import TokenView
from reciprocal_oauth.provider.validator import ReciprocalValidatorMixin

from ..conftest import PEER_SECRET, basic, post_form
from ..urls import playback
from .authorization import VERIFIER, allow, ask, code_in, exchange, log_in
from .conftest import call_api, forget_servers

pytestmark = pytest.mark.django_db

#: The site as it was before our routes took the place of DOT's.
urlpatterns = [
    path("admin/", admin.site.urls),
    path("o/", include("oauth2_provider.urls")),
    path("api/playback/", playback),
    *dot_urls.metadata_urlpatterns,
]
OURS, DOTS = "tests.urls", __name__

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
USER_CODE = "WDJBMJHT"

Scenario = Callable[[Client, Any], Any]

RANDOM = {"access_token", "refresh_token", "id_token", "code", "device_code", "jti", "sid",
          "at_hash", "c_hash"}  # fmt: skip

#: Columns with other values each time.
UNTOLD = {"id", "token", "token_checksum", "code", "device_code", "jti"}


def plain(value: Any) -> Any:
    """A value with its random parts replaced."""
    if isinstance(value, dict):
        return {k: "(random)" if k in RANDOM else plain(v) for k, v in value.items()}
    return value


#: What the pages of this app are protected with, also where the site has no middleware for it.
PROTECTION = {"Cache-Control", "Content-Security-Policy", "Expires", "Referrer-Policy",
              "X-Frame-Options"}  # fmt: skip


def told(response: Any) -> Any:
    """What a response says: status, headers, and its body or where it leads. Without what is meant
    to be another: how a page is protected, and the issuer in an authorization error (RFC 9207)."""
    unsaid = {"Content-Length"}
    if response.headers.get("Content-Type", "").startswith("text/html"):
        unsaid |= PROTECTION
    headers = {name: value for name, value in response.headers.items() if name not in unsaid}
    if location := headers.pop("Location", ""):
        parts = urlsplit(location)
        answer = dict(parse_qsl(parts.query)) | dict(parse_qsl(parts.fragment))
        if "error" in answer:
            answer.pop("iss", None)
        return response.status_code, headers, parts.netloc, parts.path, plain(answer)
    if response.headers.get("Content-Type", "").startswith("application/json"):
        return response.status_code, headers, plain(json.loads(response.content))
    body = response.content.decode()
    return response.status_code, headers, re.sub(r'(?<=csrfmiddlewaretoken" value=")\w+', "", body)


def statuses(answers: list[Any]) -> list[int]:
    return [answer[0] for answer in answers]


def stored() -> list[list[dict[str, Any]]]:
    """The rows of DOT's tables without their random parts; a row that refers to one of them names
    its position, a family of tokens its number."""
    tables = [
        list(model.objects.order_by("pk"))
        for model in (
            get_grant_model(),
            get_id_token_model(),
            get_access_token_model(),
            get_refresh_token_model(),
            get_device_grant_model(),
        )
    ]
    position = {(type(row), row.pk): n for rows in tables for n, row in enumerate(rows)}
    families: dict[Any, int] = {None: 0}

    def value_of(row: Any, field: Any) -> Any:
        value = getattr(row, field.attname)
        if field.name == "token_family":
            return families.setdefault(value, len(families))
        return position.get((field.related_model, value), value) if field.is_relation else value

    return [
        [
            {f.name: value_of(row, f) for f in row._meta.concrete_fields if f.name not in UNTOLD}
            for row in rows
        ]
        for rows in tables
    ]


def use(application: Any, **values: Any) -> None:
    get_application_model().objects.filter(pk=application.pk).update(**values)
    application.refresh_from_db()


def token(application: Any, **parameters: str) -> Any:
    return post_form(Client(), parameters, basic(application.client_id, PEER_SECRET))


def refresh(application: Any, refresh_token: str, **more: str) -> Any:
    return token(application, grant_type="refresh_token", refresh_token=refresh_token, **more)


def authorization_code(browser: Client, application: Any) -> Any:
    page = ask(browser, application, "playback history")
    location = allow(browser, application, "playback history")
    code = code_in(location)
    answers = [told(page), told(exchange(application, code)), told(exchange(application, code))]
    assert statuses(answers) == [200, 200, 400]
    return [plain(dict(parse_qsl(urlsplit(location).query))), *answers]


def code_without_pkce(browser: Client, application: Any) -> Any:
    response = ask(browser, application, code_challenge="", code_challenge_method="")
    assert "error=invalid_request" in response["Location"]
    return told(response)


def code_with_wrong_verifier(browser: Client, application: Any) -> Any:
    code = code_in(allow(browser, application))
    response = exchange(application, code, code_verifier="x" * 50)
    assert response.status_code == 400
    return told(response)


def denied(browser: Client, application: Any) -> Any:
    page = ask(browser, application)
    fields = {k: v for k, v in page.context["form"].initial.items() if v}
    response = browser.post("/o/authorize/", fields)
    assert "error=access_denied" in response["Location"]
    return told(response)


def unknown_scope(browser: Client, application: Any) -> Any:
    response = ask(browser, application, scope="nonsense")
    assert "error=invalid_scope" in response["Location"]
    return told(response)


def implicit(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="implicit")
    location = allow(browser, application, response_type="token")
    answer = dict(parse_qsl(urlsplit(location).fragment))
    called = call_api(answer["access_token"])
    assert called.status_code == 200
    return [plain(answer), told(called)]


def password(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="password")
    answers = [
        told(token(application, grant_type="password", username="alice", password=tried))
        for tried in ("alice", "wrong")
    ]
    assert statuses(answers) == [200, 400]
    return answers


def client_credentials(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type="client-credentials")
    answers = [
        told(token(application, grant_type="client_credentials", scope="history")),
        told(token(application, grant_type="client_credentials", scope="nonsense")),
        told(token(application, grant_type="client_credentials", user="1")),
    ]
    assert statuses(answers) == [200, 400, 200]
    return answers


def refresh_rotation(browser: Client, application: Any) -> Any:
    first = log_in(browser, application)["refresh_token"]
    renewed = refresh(application, first)
    second = renewed.json()["refresh_token"]
    answers = [
        told(renewed),
        told(refresh(application, first)),
        told(refresh(application, second, scope="history")),
        told(refresh(application, second)),
    ]
    assert statuses(answers) == [200, 400, 400, 200]
    return answers


def refresh_without_rotation(browser: Client, application: Any) -> Any:
    first = log_in(browser, application)["refresh_token"]
    renewed = [refresh(application, first) for _ in range(2)]
    assert [each.json()["refresh_token"] for each in renewed] == [first, first]
    return [told(each) for each in renewed]


def refresh_replayed(browser: Client, application: Any) -> Any:
    """A stolen refresh token comes back: with it goes the whole family, and no other."""
    other = log_in(browser, application)
    tokens = log_in(browser, application)
    renewed = [refresh(application, tokens["refresh_token"])]
    renewed.append(refresh(application, renewed[0].json()["refresh_token"]))
    last = renewed[1].json()
    assert call_api(last["access_token"]).status_code == 200
    answers = [
        *map(told, renewed),
        told(refresh(application, tokens["refresh_token"])),
        told(refresh(application, last["refresh_token"])),
        told(call_api(last["access_token"])),
        told(call_api(other["access_token"])),
        told(refresh(application, other["refresh_token"])),
    ]
    assert statuses(answers) == [200, 200, 400, 400, 401, 200, 200]
    assert get_refresh_token_model().objects.filter(revoked=None).count() == 1
    assert get_access_token_model().objects.count() == 1
    return answers


def device(browser: Client, application: Any) -> Any:
    """A device asks for a code, the person types it in and allows, the device gets its token."""
    use(application, authorization_grant_type=DEVICE_CODE)
    begun = post_form(
        Client(),
        {"client_id": application.client_id},
        basic(application.client_id, PEER_SECRET),
        "/o/device-authorization/",
    )
    # With oauthlib 4, DOT 3.4.1 answers 500 to a request for a scope, also for a default one.
    get_device_grant_model().objects.update(scope="playback")
    poll = {"grant_type": DEVICE_CODE, "device_code": begun.json()["device_code"]}
    confirm = f"/o/device-confirm/{application.client_id}/{USER_CODE}"
    answers = [
        told(begun),
        told(token(application, **poll)),
        told(browser.get("/o/device/")),
        told(browser.post("/o/device/", {"user_code": "wrong"})),
        told(browser.post("/o/device/", {"user_code": USER_CODE})),
        told(browser.get(confirm)),
        told(browser.post(confirm, {"action": "accept"})),
        told(browser.get(f"/o/device-grant-status/{application.client_id}/{USER_CODE}")),
    ]
    issued = token(application, **poll)
    answers += [told(issued), told(call_api(issued.json()["access_token"]))]
    assert statuses(answers) == [200, 400, 200, 200, 302, 200, 302, 200, 200, 200]
    return answers


def device_states(browser: Client, application: Any) -> Any:
    use(application, authorization_grant_type=DEVICE_CODE)
    grant = get_device_grant_model().objects.create(
        client_id=application.client_id,
        device_code=uuid.uuid4().hex,
        user_code=USER_CODE,
        scope="playback",
        expires=timezone.now() + timedelta(minutes=5),
        user=get_user_model().objects.get(),
    )
    answers = []
    for status in ("authorization-pending", "denied", "expired", "authorized"):
        get_device_grant_model().objects.filter(pk=grant.pk).update(status=status)
        # What DOT and oauthlib do with the last one depends on their releases.
        machine = Client(raise_request_exception=False)
        poll = {"grant_type": DEVICE_CODE, "device_code": grant.device_code}
        credentials = basic(application.client_id, PEER_SECRET)
        answers.append(told(post_form(machine, poll, credentials)))
    assert statuses(answers)[:3] == [400, 400, 400]
    return answers


def revocation(browser: Client, application: Any) -> Any:
    def revoke(value: str, **more: str) -> Any:
        headers = basic(application.client_id, PEER_SECRET)
        return post_form(browser, {"token": value, **more}, headers, "/o/revoke_token/")

    first, second, third = (log_in(browser, application) for _ in range(3))
    answers = [
        told(revoke(first["refresh_token"])),
        told(call_api(first["access_token"])),
        told(refresh(application, first["refresh_token"])),
        told(revoke(second["access_token"], token_type_hint="access_token")),
        told(call_api(second["access_token"])),
        told(refresh(application, second["refresh_token"])),
        told(revoke("unknown")),
        told(post_form(browser, {"token": third["access_token"]}, {}, "/o/revoke_token/")),
        told(call_api(third["access_token"])),
    ]
    assert statuses(answers) == [200, 401, 400, 200, 401, 400, 200, 401, 200]
    return answers


def forget_caching(answers: list[Any]) -> None:
    """Ours must not be kept by any cache; DOT does not say so."""
    for _status, headers, _body in answers:
        headers.pop("Cache-Control", None)
        headers.pop("Expires", None)


def introspection(browser: Client, application: Any) -> Any:
    """A resource server asks with its credentials as a client."""
    tokens = log_in(browser, application)
    answers = []
    for value in (tokens["access_token"], tokens["refresh_token"], "unknown", None):
        data = {} if value is None else {"token": value}
        headers = basic(application.client_id, PEER_SECRET)
        answers.append(told(post_form(browser, data, headers, "/o/introspect/")))
        answers.append(told(browser.get("/o/introspect/", data, headers=headers)))
    answers.append(
        told(post_form(browser, {"token": tokens["access_token"]}, {}, "/o/introspect/"))
    )
    assert [answer[2].get("active") for answer in answers[:6]] == [True, True, *[False] * 4]
    assert statuses(answers)[6:] == [400, 400, 403]
    forget_caching(answers)
    return answers


def introspection_with_a_token(browser: Client, application: Any) -> Any:
    """A resource server asks with a token that has the scope for it."""
    tokens = log_in(browser, application)
    use(application, authorization_grant_type="client-credentials")
    answers = []
    for scope in ("introspection", "history"):
        own = token(application, grant_type="client_credentials", scope=scope).json()
        headers = {"Authorization": f"Bearer {own['access_token']}"}
        asked = {"token": tokens["access_token"]}
        answers.append(told(post_form(browser, asked, headers, "/o/introspect/")))
    forget_caching(answers)
    assert answers[0][2]["active"]
    assert statuses(answers) == [200, 403]
    return answers


def resource(browser: Client, application: Any) -> Any:
    """DOT's own decorator decides on a call, also for a person who has been deactivated."""
    allowed, other = (log_in(browser, application, scope) for scope in ("playback", "history"))
    answers = [told(call_api(each["access_token"])) for each in (allowed, other)]
    answers.append(told(call_api(allowed["refresh_token"])))
    get_user_model().objects.update(is_active=False)
    answers.append(told(call_api(allowed["access_token"])))
    get_access_token_model().objects.update(expires=timezone.now() - timedelta(seconds=1))
    answers.append(told(call_api(allowed["access_token"])))
    assert statuses(answers) == [200, 403, 401, 200, 401]
    return answers


def wrong_credentials(browser: Client, application: Any) -> Any:
    parameters = {"grant_type": "authorization_code", "code": "x", "client_id": "plain"}
    answers = [
        told(post_form(Client(), parameters, basic("plain", "wrong"))),
        told(post_form(Client(), parameters, {})),
        told(post_form(Client(), {"grant_type": "nonsense"}, basic("plain", PEER_SECRET))),
    ]
    assert statuses(answers) == [401, 401, 400]
    return answers


def openid(browser: Client, application: Any) -> Any:
    use(application, algorithm="RS256")
    code = code_in(allow(browser, application, "openid playback", nonce="n-1"))
    response = exchange(application, code)
    tokens = response.json()
    payload = tokens["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    without_openid = log_in(browser, application)["access_token"]
    answers = [
        told(response),
        told(browser.get("/o/userinfo/", headers=bearer)),
        told(browser.post("/o/userinfo/", headers=bearer)),
        told(browser.get("/o/userinfo/", headers={"Authorization": f"Bearer {without_openid}"})),
        told(browser.get("/o/userinfo/")),
    ]
    assert statuses(answers) == [200, 200, 200, 401, 401]
    return [plain(claims), *answers]


def openid_documents(browser: Client, application: Any) -> Any:
    answers = [
        told(browser.get("/o/.well-known/openid-configuration")),
        told(browser.get("/o/.well-known/openid-configuration/")),
        told(browser.get("/o/.well-known/jwks.json")),
    ]
    assert statuses(answers) == [200, 200, 200]
    assert answers[0][2]["userinfo_endpoint"] == "http://testserver/o/userinfo/"
    assert len(answers[2][2]["keys"]) == 1
    return answers[2]


def hybrid(browser: Client, application: Any) -> Any:
    use(application, algorithm="RS256", authorization_grant_type="openid-hybrid")
    location = allow(
        browser, application, "openid playback", response_type="code id_token token", nonce="n-1"
    )
    answer = dict(parse_qsl(urlsplit(location).fragment))
    more = {"redirect_uri": application.redirect_uris.split()[0], "code_verifier": VERIFIER}
    exchanged = token(application, grant_type="authorization_code", code=answer["code"], **more)
    assert exchanged.status_code == 200
    return [plain(answer), told(exchanged)]


def application_pages(browser: Client, application: Any) -> Any:
    answers = [told(browser.get(path_)) for path_ in ("/o/applications/", "/o/authorized_tokens/")]
    assert statuses(answers) == [200, 200]
    return answers


def resource_metadata(browser: Client, application: Any) -> Any:
    where = "/.well-known/oauth-protected-resource"
    answers = [told(browser.get(path_)) for path_ in (where, f"{where}/api", f"/o{where}")]
    assert statuses(answers) == [200, 200, 200]
    return answers


SCENARIOS: dict[Scenario, dict[str, Any]] = {
    authorization_code: {},
    code_without_pkce: {},
    code_with_wrong_verifier: {},
    denied: {},
    unknown_scope: {},
    implicit: {},
    password: {},
    client_credentials: {},
    refresh_rotation: {},
    refresh_without_rotation: {"ROTATE_REFRESH_TOKEN": False},
    refresh_replayed: {"REFRESH_TOKEN_REUSE_PROTECTION": True},
    device: {
        "DEFAULT_SCOPES": [],
        "OAUTH_DEVICE_VERIFICATION_URI": "https://site.example/o/device/",
        "OAUTH_DEVICE_USER_CODE_GENERATOR": lambda: USER_CODE,
        "OAUTH2_VALIDATOR_CLASS": "tests.provider.authorization.DeviceValidator",
    },
    device_states: {},
    revocation: {},
    introspection: {},
    introspection_with_a_token: {"SCOPES": {"introspection": "Ask about tokens"}},
    resource: {},
    wrong_credentials: {},
    openid: {"OIDC_ENABLED": True},
    openid_documents: {"OIDC_ENABLED": True},
    hybrid: {"OIDC_ENABLED": True},
    application_pages: {},
    resource_metadata: {},
}
"""Every scenario, with the members of ``OAUTH2_PROVIDER`` that it needs."""


@contextmanager
def stock_dot() -> Iterator[None]:
    """DOT as it is before ``composition.install()`` has been called."""
    with pytest.MonkeyPatch.context() as patch:
        oauth2_settings.reload()
        patch.setattr(oauth2_settings, "__class__", OAuth2ProviderSettings)
        guarded: Any = OAuth2Validator.validate_bearer_token
        patch.setattr(OAuth2Validator, "validate_bearer_token", guarded.__wrapped__)
        try:
            yield
        finally:
            # The classes that the settings object has cached are the bare ones.
            oauth2_settings.reload()


def where_we_take_part() -> list[bool]:
    return [
        issubclass(resolve("/o/token/").func.view_class, TokenView),
        issubclass(oauth2_settings.OAUTH2_VALIDATOR_CLASS, ReciprocalValidatorMixin),
        hasattr(OAuth2Validator.validate_bearer_token, "__wrapped__"),
    ]


def run_on(urlconf: str, scenario: Scenario, application: Any, user: Any, settings: Any) -> Any:
    """Plays a scenario on one of the two sites, and takes back what it has stored."""
    settings.ROOT_URLCONF = urlconf
    set_urlconf(None)
    forget_servers()
    try:
        with stock_dot() if urlconf == DOTS else nullcontext(), transaction.atomic():
            assert where_we_take_part() == [urlconf == OURS] * 3
            browser = Client()
            browser.force_login(user)
            answer = scenario(browser, application), stored()
            transaction.set_rollback(True)
    finally:
        forget_servers()
    application.refresh_from_db()
    return answer


@pytest.fixture
def both_sites(
    request: pytest.FixtureRequest,
    settings: Any,
    dot_settings: Callable[..., None],
    user: Any,
    peer: Peer,
    make_application: Callable[..., Any],
) -> Callable[..., tuple[Any, Any]]:
    """Plays a scenario on both, at the same moment. Its client is no peer; the site has one."""

    def play(scenario: Scenario, **members: Any) -> tuple[Any, Any]:
        if members.pop("OIDC_ENABLED", False):
            request.getfixturevalue("openid_connect")
        scopes = {**settings.OAUTH2_PROVIDER["SCOPES"], **members.pop("SCOPES", {})}
        dot_settings(SCOPES=scopes, **members)
        application = make_application()
        with time_machine.travel(timezone.now(), tick=False):
            ours = run_on(OURS, scenario, application, user, settings)
            return ours, run_on(DOTS, scenario, application, user, settings)

    return play


@pytest.mark.rfc("6749", "4")
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_client_that_is_no_peer_sees_no_difference(
    both_sites: Callable[..., tuple[Any, Any]], scenario: Scenario
) -> None:
    ours, dots = both_sites(scenario, **SCENARIOS[scenario])

    assert ours == dots
    assert not Link.objects.exists()


@pytest.mark.rfc("8414", "2")
@pytest.mark.parametrize("oidc", [False, True])
@pytest.mark.parametrize(
    "where",
    [
        "/.well-known/oauth-authorization-server",
        "/.well-known/oauth-authorization-server/o",
        "/o/.well-known/oauth-authorization-server",
    ],
)
def test_the_metadata_of_the_server_differs_by_our_grant_and_our_own_members_alone(
    both_sites: Callable[..., tuple[Any, Any]], where: str, oidc: bool
) -> None:
    def server_metadata(browser: Client, application: Any) -> Any:
        return told(browser.get(where))

    (ours, _), (dots, _) = both_sites(server_metadata, OIDC_ENABLED=oidc)

    assert GRANT_TYPE not in dots[2]["grant_types_supported"]
    dots[2]["grant_types_supported"].append(GRANT_TYPE)
    own = {name for name in ours[2] if name.startswith("reciprocal_")}
    assert own == {"reciprocal_scope_descriptions"}
    assert (*ours[:2], {name: ours[2][name] for name in ours[2].keys() - own}) == dots


def test_the_openid_document_differs_by_what_the_other_one_lists_alone(
    both_sites: Callable[..., tuple[Any, Any]],
) -> None:
    def documents(browser: Client, application: Any) -> Any:
        openid = told(browser.get("/o/.well-known/openid-configuration"))
        return openid, told(browser.get("/o/.well-known/oauth-authorization-server"))

    ((ours, other), _), ((dots, _), _) = both_sites(documents, OIDC_ENABLED=True)

    assert ours[:2] == dots[:2]
    assert ours[2] == {**other[2], **dots[2]}


def test_every_route_of_dot_is_there_under_its_name() -> None:
    def names(urlconf: str) -> set[tuple[str, str]]:
        resolver = get_resolver(urlconf)
        found = set()
        for entry in resolver.url_patterns:
            if isinstance(entry, URLResolver) and entry.namespace == "oauth2_provider":
                # Ours has some without the last slash beside, which bear no name.
                found = {(str(p.pattern), p.name) for p in entry.url_patterns if p.name}
        return found

    assert names(OURS) - names(DOTS) == {
        ("reciprocal/jwks.json", "reciprocal-jwks"),
        ("reciprocal/register/", "reciprocal-register"),
        ("reciprocal/register/<str:client_id>/", "reciprocal-client"),
    }
    assert names(DOTS) <= names(OURS)
    assert reverse("oauth2_provider:token") == "/o/token/"
