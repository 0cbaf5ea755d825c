"""System checks: each id, that it is registered, and that a sound site has none."""

import enum
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.checks import CheckMessage, Error, Warning, run_checks
from django.core.checks.registry import registry
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpResponse
from django.test import override_settings
from django.urls import include, path, re_path
from django.utils.translation import gettext_lazy
from django.views.generic import View
from oauth2_provider import urls as dot_urls
from oauth2_provider.views import AuthorizationView, ProtectedResourceView
from oauth2_provider.views import TokenView as DOTTokenView

from reciprocal_oauth import checks, oauth2_urls
from reciprocal_oauth.checks import Id
from reciprocal_oauth.conf import Settings
from reciprocal_oauth.delivery.dispatchers import Dispatcher
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.provider.composition import composed_server
from reciprocal_oauth.provider.token_view import TokenView

from ..dot import AuthorizationServerMixin
from ..reading import ROOT, rows_of

CANARY = "canary-key"
PAGE = ROOT / "docs" / "checks.rst"


def found(*, deploy: bool = False, **reciprocal: Any) -> list[CheckMessage]:
    """Our messages of a whole run, as ``manage.py check`` would make it."""
    if deploy:  # The settings of the tests have no issuer, which pairing needs.
        reciprocal = {"ACCEPT_PAIRINGS": False, **reciprocal}
    with override_settings(RECIPROCAL_OAUTH=reciprocal or {}):
        messages = run_checks(include_deployment_checks=deploy, databases=[])
    return [each for each in messages if str(each.id).startswith("reciprocal_oauth.")]


def test_the_documentation_says_of_every_id_what_it_means_and_what_to_do() -> None:
    rows = [row.cells for row in rows_of(PAGE.read_text())]

    assert [id_.strip("`") for id_, *_ in rows] == sorted(
        id_.removeprefix("reciprocal_oauth.") for id_ in Id
    )
    assert [cells for cells in rows if len(cells) != 3 or not all(cells)] == []


def ids(messages: list[CheckMessage]) -> list[str]:
    return sorted(str(each.id) for each in messages)


class Odd:
    """Neither a dispatcher nor a dialect."""


class Unfinished(IETFDialect):
    send = None  # type: ignore[assignment]


class OwnDispatcher(Dispatcher):
    def wake(self) -> None:
        pass


class OwnSessions(SessionMiddleware):
    pass


def a_function() -> None:
    pass


HERE = __name__


# The table


def test_ids_are_unique_and_errors_and_warnings_are_told_apart() -> None:
    assert len(set(Id)) == len(Id.__members__)
    assert all(
        each.partition(".E")[2].isdigit() or each.partition(".W")[2].isdigit() for each in Id
    )


@pytest.mark.parametrize(
    ("check", "deploy"),
    [
        (checks.check_settings, False),
        (checks.check_urls, False),
        (checks.check_databases, False),
        (checks.check_base_url, False),
        (checks.check_deployment, True),
    ],
)
def test_the_checks_are_registered(check: Any, deploy: bool) -> None:
    assert check in (registry.deployment_checks if deploy else registry.registered_checks)


def test_no_check_is_tagged_database() -> None:
    """Django 6.1 leaves those out of a plain run."""
    for check in (checks.check_settings, checks.check_urls, checks.check_databases):
        assert "database" not in check.tags


def test_a_sound_site() -> None:
    assert found() == []
    assert found(deploy=True, ENCRYPTION_KEYS=[Fernet.generate_key().decode()]) == []


# The settings


@pytest.mark.parametrize("value", [[], "thread", None, 3, {"DISPATCHER"}])
def test_not_a_dict(value: Any) -> None:
    with override_settings(RECIPROCAL_OAUTH=value):
        messages = run_checks(include_deployment_checks=True, databases=[])

    ours = [each for each in messages if str(each.id).startswith("reciprocal_oauth.")]
    assert ids(ours) == [Id.NOT_A_DICT]
    assert isinstance(ours[0], Error)
    assert type(value).__name__ in ours[0].msg


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DISPATCHR", "DISPATCHER"),
        ("dispatcher", "DISPATCHER"),
        ("ENCRYPTION_KEY", "ENCRYPTION_KEYS"),
        ("LEASE_SECOND", "LEASE_SECONDS"),
    ],
)
def test_an_unknown_setting(name: str, meant: str) -> None:
    (message,) = found(**{name: "x"})

    assert message.id == Id.UNKNOWN_SETTING
    assert name in message.msg
    assert message.hint == f'Did you mean RECIPROCAL_OAUTH["{meant}"]?'


def test_an_unknown_setting_like_no_other() -> None:
    with override_settings(RECIPROCAL_OAUTH={7: 1}):
        (message,) = checks.check_settings()

    assert message.id == Id.UNKNOWN_SETTING
    assert "READ_RECIPROCAL_FROM_REDIRECT" in str(message.hint)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DISPATCHER", None),
        ("HTTP_CA_BUNDLE", None),
        ("DISPATCHER_THREADS", 0),
        ("DISPATCHER_THREADS", 2.5),
        ("DISPATCHER_THREADS", True),
        ("DISPATCHER_SWEEP_SECONDS", "5"),
        ("DIALECTS", ["a.b"]),
        ("DIALECTS", {"a": IETFDialect}),
        ("READ_RECIPROCAL_FROM_REDIRECT", "no"),
        ("CODE_LIFETIME_SECONDS", -60),
        ("AUTHORIZATION_REQUEST_LIFETIME_SECONDS", None),
        ("RETRY_SCHEDULE_SECONDS", []),
        ("RETRY_SCHEDULE_SECONDS", [0, -1]),
        ("RETRY_SCHEDULE_SECONDS", "0,5"),
        ("RETRY_SCHEDULE_SECONDS", 5),
        ("MAX_RESENDS", -1),
        ("MAX_RESENDS", 1.5),
        ("LEASE_SECONDS", float("inf")),
        ("LEASE_SECONDS", "60"),
        ("HTTP_CONNECT_TIMEOUT_SECONDS", 0),
        ("HTTP_TOTAL_TIMEOUT_SECONDS", float("nan")),
        ("HTTP_MAX_RESPONSE_BYTES", "64K"),
        ("HTTP_ALLOW_LOOPBACK", 1),
        ("HTTP_ALLOWED_NETWORKS", "10.0.0.0/8"),
        ("HTTP_ALLOWED_NETWORKS", [10]),
    ],
)
def test_a_wrong_value(name: str, value: Any) -> None:
    (message,) = found(**{name: value})

    assert message.id == Id.WRONG_VALUE
    assert f'RECIPROCAL_OAUTH["{name}"] must be ' in message.msg
    assert f'RECIPROCAL_OAUTH["{name}"]' in str(message.hint)


def test_every_default_is_sound() -> None:
    defaults = {name: getattr(Settings(), name) for name in Settings.names()}

    with override_settings(DEBUG=False):
        assert found(**defaults | {"DISPATCHER": "none"}) == []


@pytest.mark.parametrize(
    "values",
    [
        {"MAX_RESENDS": 0},
        {"RETRY_SCHEDULE_SECONDS": [0]},
        {"RETRY_SCHEDULE_SECONDS": (0, 1.5)},
        {"DISPATCHER_SWEEP_SECONDS": 1},
        {"HTTP_ALLOWED_NETWORKS": ["10.20.0.0/16", "10.0.0.7", "10.0.0.7/8", "fd00::/8"]},
        {"DISPATCHER": f"{HERE}.OwnDispatcher"},
        {"DIALECTS": {"own": "reciprocal_oauth.dialects.ietf.IETFDialect"}},
    ],
)
def test_a_sound_value(values: dict[str, Any]) -> None:
    assert found(**values) == []


@pytest.mark.parametrize(
    "keys",
    [[CANARY], [Fernet.generate_key().decode(), CANARY], CANARY, 5, [None], [["x"]], {"a": 1}],
)
def test_bad_encryption_keys(keys: Any) -> None:
    (message,) = found(ENCRYPTION_KEYS=keys)

    assert message.id == Id.ENCRYPTION_KEYS
    assert "ENCRYPTION_KEYS" in message.msg
    assert CANARY not in str(message)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("celrey", "There is no dispatcher"),
        ("", "There is no dispatcher"),
        ("nowhere.Dispatcher", "No module named"),
        (f"{HERE}.Odd", "not derived from"),
        (f"{HERE}.a_function", "not a class"),
        ("tests.broken_module.Dispatcher", "ValueError"),
    ],
)
def test_a_bad_dispatcher(name: str, why: str, broken_module: None) -> None:
    (message,) = found(DISPATCHER=name)

    assert message.id == Id.DISPATCHER
    assert why in message.msg
    assert '"thread"' in str(message.hint)


@pytest.mark.parametrize(
    ("path_", "why"),
    [
        ("ietf2", "cannot be imported"),
        ("nowhere.Dialect", "No module named"),
        (f"{HERE}.Odd", "not derived from"),
        (f"{HERE}.a_function", "not a class"),
        ("reciprocal_oauth.dialects.base.Dialect", "does not implement: error, parse"),
    ],
)
def test_a_bad_dialect(path_: str, why: str) -> None:
    (message,) = found(
        DIALECTS={"fine": "reciprocal_oauth.dialects.ietf.IETFDialect", "own": path_}
    )

    assert message.id == Id.DIALECTS
    assert why in message.msg
    assert 'RECIPROCAL_OAUTH["DIALECTS"]["own"]' in str(message.hint)


def test_a_function_that_cannot_ask_for_the_password() -> None:
    (message,) = found(REAUTHENTICATE="nowhere.reauthenticate")
    (other,) = found(REAUTHENTICATE=f"{HERE}.a_function")

    assert message.id == other.id == Id.REAUTHENTICATE
    assert "No module named" in message.msg
    assert "argument" in other.msg


def test_mails_about_events_that_do_not_exist() -> None:
    (message,) = found(MAIL_EVENTS=["connected", "borken"], BASE_URL="http://testserver")

    assert message.id == Id.MAIL_EVENTS
    assert "borken" in message.msg
    assert "needs_attention" in (message.hint or "")


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"logo_url": "https://testserver/a.png"}, "'logo_url', which is not", '"logo_uri"?'),
        ({"colour": "red"}, "'colour', which is not known", "The keys are: description, logo_uri"),
        ({"description": "x" * 501}, '["description"] must have at most 500 characters', ""),
        ({"policy_uri": "/privacy/"}, '["policy_uri"] must be an absolute https URL', ""),
        ({"tos_uri": "javascript:alert(1)"}, '["tos_uri"] must be an absolute https URL', ""),
        (
            {"logo_uri": "https://cdn.example/a.png"},
            '["logo_uri"] must be at the address of this site, https://testserver',
            "",
        ),
        (
            {"account_endpoint": "https://testserver/me/"},
            '["account_member"] must be set, because "account_endpoint" is set',
            "",
        ),
        (
            {"account_member": "username"},
            '["account_endpoint"] must be set, because "account_member" is set',
            "",
        ),
        (
            {"account_endpoint": "https://testserver/me/", "account_member": "a..b"},
            '["account_member"] must be the name of a member',
            "",
        ),
    ],
)
def test_what_a_site_says_wrongly_of_itself(given: dict[str, str], message: str, hint: str) -> None:
    (found_,) = found(SITE_METADATA=given, BASE_URL="https://testserver")

    assert found_.id == Id.SITE_METADATA
    assert message in found_.msg
    assert hint in (found_.hint or "")


def test_what_a_site_may_say_of_itself() -> None:
    said = {
        "description": gettext_lazy("Save"),
        "logo_uri": "http://127.0.0.1:8001/a.png",
        "account_endpoint": "http://127.0.0.1:8001/me/",
        "account_member": "user.name",
    }

    assert found(SITE_METADATA=said, BASE_URL="http://127.0.0.1:8001") == []


def test_mails_of_a_site_that_does_not_know_its_address() -> None:
    (message,) = found(MAIL_EVENTS=["ended"])

    assert message.id == Id.MAIL_WITHOUT_ADDRESS
    assert found(MAIL_EVENTS=["ended"], BASE_URL="http://testserver") == []


@pytest.mark.parametrize(
    ("path_", "why"),
    [
        ("rules", "doesn't look like a module path"),
        ("nowhere.may_authorize", "No module named"),
        (f"{HERE}.HERE", "is not a function"),
        (f"{HERE}.a_function", "argument"),
        ("tests.broken_module.may_authorize", "cannot be used"),
    ],
)
def test_bad_rules_on_who_may_let_a_peer_in(path_: str, why: str, broken_module: None) -> None:
    (message,) = found(MAY_AUTHORIZE=path_)

    assert message.id == Id.MAY_AUTHORIZE
    assert why in message.msg
    assert found(MAY_AUTHORIZE="tests.rules.may_authorize") == []


@pytest.fixture
def broken_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module of the site's that fails in its own way."""

    class Broken(ModuleType):
        def __getattr__(self, name: str) -> Any:
            raise ValueError

    monkeypatch.setitem(sys.modules, "tests.broken_module", Broken("tests.broken_module"))


@pytest.mark.parametrize("network", ["10.0.0.0/33", "example.com", "", "10.0.0.0-10.0.0.9"])
def test_a_bad_network(network: str) -> None:
    (message,) = found(HTTP_ALLOWED_NETWORKS=["10.0.0.0/8", network])

    assert message.id == Id.NETWORKS
    assert repr(network) in message.msg


def test_a_bundle_of_authorities(tmp_path: Any) -> None:
    (message,) = found(HTTP_CA_BUNDLE=str(tmp_path / "missing.pem"))
    assert message.id == Id.CA_BUNDLE
    assert "missing.pem" in message.msg

    assert found(HTTP_CA_BUNDLE=str(tmp_path)) == []
    assert found(HTTP_CA_BUNDLE="") == []


@pytest.mark.threat("H84")
@pytest.mark.parametrize("url", ["socks5://us:pa55word@proxy.example", "proxy.example", None, 7])
def test_a_proxy_that_cannot_be_used(url: Any) -> None:
    (message,) = found(HTTP_PROXY_URL=url)

    assert message.id == Id.PROXY_URL
    assert "pa55word" not in f"{message.msg}{message.hint}"


@pytest.mark.parametrize("name", ["statsd", "no.such.Listener", "builtins.int"])
def test_what_cannot_listen(name: str) -> None:
    (message,) = found(TELEMETRY=["prometheus", name])

    assert message.id == Id.TELEMETRY
    assert name in message.msg


def test_a_token_of_another_type_is_not_shown() -> None:
    (message,) = found(METRICS_TOKEN=b"t0ken")

    assert message.id == Id.WRONG_VALUE
    assert "t0ken" not in f"{message.msg}{message.hint}"


@pytest.mark.threat("H84")
def test_the_proxy_must_check_the_addresses() -> None:
    url = "http://us:pa55word@proxy.example:3128"
    (message,) = found(
        HTTP_PROXY_URL=url, deploy=True, ENCRYPTION_KEYS=[Fernet.generate_key().decode()]
    )

    assert message.id == Id.PROXY_CHECKS
    assert "pa55word" not in f"{message.msg}{message.hint}"
    assert found(HTTP_PROXY_URL=url) == []


@pytest.mark.parametrize(
    ("lease", "total", "short"), [(45, 15, True), (46, 15, False), (14, 5, True)]
)
def test_a_short_lease(lease: float, total: float, short: bool) -> None:
    messages = found(LEASE_SECONDS=lease, HTTP_TOTAL_TIMEOUT_SECONDS=total)

    assert ids(messages) == ([Id.SHORT_LEASE] if short else [])
    assert all(isinstance(each, Warning) for each in messages)


@pytest.mark.threat("L102")
@pytest.mark.parametrize(
    "base",
    [
        "site.example",
        "/app",
        "ftp://site.example",
        "https://",
        "https://site.example/?a=b",
        "https://site.example/#a",
        "https://someone@site.example",
        "https://site.example:port",
        "https://site example",
    ],
)
def test_a_base_url_that_is_none(base: str) -> None:
    (message,) = found(BASE_URL=base)

    assert message.id == Id.BASE_URL
    assert isinstance(message, Error)


HOSTS_AND_WHAT_IS_SAID: list[tuple[list[str], dict[str, Any], dict[str, Any], list[str]]] = [
    (["site.example"], {}, {}, []),
    (["site.example", "localhost", "127.0.0.1"], {}, {}, []),
    ([], {}, {"DEBUG": True}, []),
    (["site.example", "www.site.example"], {}, {}, [Id.NO_BASE_URL]),
    (["*"], {}, {}, [Id.NO_BASE_URL]),
    ([".site.example"], {}, {}, [Id.NO_BASE_URL]),
    (["*"], {"BASE_URL": "https://site.example"}, {}, []),
    (["*"], {}, {"OIDC_ISS_ENDPOINT": "https://site.example/o"}, []),
    ([".site.example"], {"BASE_URL": "https://www.site.example:8443/app"}, {}, []),
    (["[::1]"], {"BASE_URL": "http://[::1]:8000"}, {}, []),
    (["site.example"], {"BASE_URL": "https://old.example"}, {}, [Id.UNSOUND_BASE_URL]),
    (
        ["site.example"],
        {},
        {"OIDC_ISS_ENDPOINT": "https://old.example/o"},
        [Id.UNSOUND_BASE_URL],
    ),
    (
        ["site.example"],
        {"BASE_URL": "http://site.example"},
        {"SESSION_COOKIE_SECURE": True},
        [Id.UNSOUND_BASE_URL],
    ),
    (["localhost"], {"BASE_URL": "http://localhost:8000"}, {"DEBUG": True}, []),
    ([], {"BASE_URL": "http://localhost:8000"}, {"DEBUG": True}, []),
    ([], {"BASE_URL": "http://site.example"}, {"DEBUG": True}, [Id.UNSOUND_BASE_URL]),
]


@pytest.mark.threat("L102")
@pytest.mark.parametrize(("hosts", "ours", "others", "said"), HOSTS_AND_WHAT_IS_SAID)
def test_a_site_that_does_not_know_where_it_is_or_is_not_there(
    hosts: list[str],
    ours: dict[str, Any],
    others: dict[str, Any],
    said: list[str],
    settings: Any,
) -> None:
    settings.ALLOWED_HOSTS = hosts
    for name, value in others.items():
        if name.startswith("OIDC"):
            settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, name: value}
        else:
            setattr(settings, name, value)

    assert ids(found(**ours)) == said


def test_many_faults_are_told_at_once() -> None:
    messages = found(
        NONSENSE=1, MAX_RESENDS="x", HTTP_TOTAL_TIMEOUT_SECONDS="x", LEASE_SECONDS=1, DISPATCHER="y"
    )

    assert ids(messages) == [Id.UNKNOWN_SETTING, Id.WRONG_VALUE, Id.WRONG_VALUE, Id.DISPATCHER]


# Deployment


def test_derived_keys_are_told_on_deployment_only() -> None:
    assert found() == []
    (message,) = found(deploy=True, DISPATCHER="none")

    assert message.id == Id.DERIVED_KEYS
    assert isinstance(message, Warning)
    assert 'RECIPROCAL_OAUTH["ENCRYPTION_KEYS"]' in str(message.hint)


def test_loopback_on_deployment() -> None:
    keys = [Fernet.generate_key().decode()]
    assert found(HTTP_ALLOW_LOOPBACK=True) == []
    (message,) = found(deploy=True, HTTP_ALLOW_LOOPBACK=True, ENCRYPTION_KEYS=keys)

    assert message.id == Id.LOOPBACK
    with override_settings(DEBUG=True):
        assert ids(found(deploy=True, ENCRYPTION_KEYS=keys)) == [Id.LOOPBACK]


@pytest.mark.threat("D92")
def test_a_cache_that_counts_nothing_on_deployment(settings: Any) -> None:
    keys = [Fernet.generate_key().decode()]
    backend = "django.core.cache.backends.dummy.DummyCache"
    settings.CACHES = {"default": {"BACKEND": backend}}

    assert ids(found(deploy=True, ENCRYPTION_KEYS=keys)) == [Id.NO_COUNTING]
    unlimited = {"ENCRYPTION_KEYS": keys, "CLIENT_AUTH_FAILURES_PER_MINUTE": 0}
    assert found(deploy=True, **unlimited) == []
    assert found() == []


# The URLs


@pytest.fixture
def urls(settings: Any) -> Iterator[Any]:
    """A function that makes its arguments the URLconf of the site."""
    names = []

    def use(*patterns: Any) -> list[CheckMessage]:
        name = f"tests.urlconf_{len(names)}"
        module = ModuleType(name)
        module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
        sys.modules[name] = module
        names.append(name)
        settings.ROOT_URLCONF = name
        return checks.check_urls()

    yield use
    for name in names:
        del sys.modules[name]


OURS = path("o/", include("reciprocal_oauth.oauth2_urls"))
STOCK = path("o/", include("oauth2_provider.urls"))
PAGES = path("connections/", include("reciprocal_oauth.urls"))


def test_the_stock_urls_by_mistake(urls: Any) -> None:
    (message,) = urls(path("deep/", include([STOCK])), PAGES)

    assert message.id == Id.STOCK_VIEW
    assert isinstance(message, Error)
    assert "deep/o/token/" in message.msg
    assert 'include("reciprocal_oauth.oauth2_urls")' in str(message.hint)


def test_the_stock_urls_beside_ours(urls: Any) -> None:
    assert ids(urls(OURS, path("old/", include(dot_urls.base_urlpatterns)), PAGES)) == [
        Id.STOCK_VIEW
    ]


def test_a_view_derived_from_the_stock_view(urls: Any) -> None:
    class Own(DOTTokenView):
        pass

    assert ids(urls(path("t/", Own.as_view()), PAGES)) == [Id.STOCK_VIEW]


def test_a_view_derived_from_ours(urls: Any) -> None:
    class Own(TokenView):
        pass

    assert urls(path("t/", Own.as_view()), PAGES) == []


@pytest.mark.parametrize("place", ["", "deep/"])
def test_a_stock_view_that_ours_stands_before_is_not_led_to(urls: Any, place: str) -> None:
    """A packaged URLconf, which the site cannot change."""
    packaged = path(place, include([STOCK]))

    assert urls(path(place, include([OURS])), packaged, PAGES) == []
    assert ids(urls(packaged, path(place, include([OURS])), PAGES)) == [Id.STOCK_VIEW]


def test_a_stock_view_that_another_page_stands_before_is_not_led_to(urls: Any) -> None:
    assert ids(urls(path("o/token/", a_function), STOCK, PAGES)) == []


@pytest.mark.parametrize(
    "route", [re_path(r"^t/?$", DOTTokenView.as_view()), path("<int:n>/t/", DOTTokenView.as_view())]
)
def test_a_stock_view_by_any_kind_of_route(urls: Any, route: Any) -> None:
    assert ids(urls(route, OURS, PAGES)) == [Id.STOCK_VIEW]


class Made(AuthorizationServerMixin, View):
    """A token view that is made of the mixin, as that of DOT is."""

    def post(self, request: Any) -> Any:
        return HttpResponse(self.create_token_response(request)[2])


class MadeAndComposed(Made):
    @classmethod
    def get_server_class(cls) -> type:
        return composed_server(super().get_server_class())


def test_a_token_view_that_is_made_of_the_mixin_knows_no_reciprocal_grant(urls: Any) -> None:
    assert ids(urls(path("t/", Made.as_view()), PAGES)) == [Id.STOCK_VIEW]


def test_a_token_view_that_is_made_of_the_mixin_may_have_our_server(urls: Any) -> None:
    assert urls(path("t/", MadeAndComposed.as_view()), PAGES) == []


# What the include opens


def opened(urls: Any, *patterns: Any) -> list[CheckMessage]:
    urls(*patterns, PAGES)
    return checks.check_opened()


def own_list(view: Any = DOTTokenView) -> Any:
    own = [
        path("authorize/", AuthorizationView.as_view(), name="authorize"),
        path("token/", view.as_view(), name="token"),
    ]
    return path("o/", include((own, "oauth2_provider")))


@pytest.mark.threat("W90")
@pytest.mark.parametrize("place", ["o/", "reciprocal/"])
@pytest.mark.parametrize("view", [DOTTokenView, TokenView])
def test_the_include_beside_a_list_of_the_sites_own(urls: Any, place: str, view: Any) -> None:
    ours = path(place, include("reciprocal_oauth.oauth2_urls"))

    (message,) = opened(urls, own_list(view), ours)

    assert message.id == Id.OPENED
    assert isinstance(message, Warning)
    assert f"{place}applications/register/" in message.msg
    assert f"{place}revoke_token/" in message.msg
    assert f"{place}token/" not in message.msg
    assert "core_urlpatterns" in str(message.hint)


@pytest.mark.threat("W90")
def test_nothing_more_is_opened(urls: Any) -> None:
    core = path("r/", include((oauth2_urls.core_urlpatterns, "oauth2_provider")))
    whole = opened(urls, OURS, *oauth2_urls.metadata_urlpatterns)

    class Own(AuthorizationView):
        pass

    assert whole == []
    assert opened(urls, own_list(), core) == []
    assert opened(urls, path("o/authorize/", Own.as_view()), OURS) == []
    assert opened(urls, path("api/", ProtectedResourceView.as_view()), OURS) == []
    assert opened(urls, STOCK, OURS) == []


def test_no_token_view(urls: Any) -> None:
    (message,) = urls(PAGES, path("f/", a_function))

    assert message.id == Id.NO_ENDPOINT
    assert isinstance(message, Warning)


def test_no_pages(urls: Any) -> None:
    (message,) = urls(OURS)

    assert message.id == Id.NO_PAGES
    assert 'include("reciprocal_oauth.urls")' in str(message.hint)


def test_a_project_without_urls(settings: Any) -> None:
    settings.ROOT_URLCONF = None
    assert checks.check_urls() == []


@pytest.mark.parametrize(
    "missing",
    [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
)
def test_a_middleware_is_missing(urls: Any, missing: str, settings: Any) -> None:
    settings.MIDDLEWARE = [each for each in django_settings.MIDDLEWARE if each != missing]

    (message,) = urls(OURS, PAGES)
    assert message.id == Id.MIDDLEWARE
    assert message.hint == f'Add "{missing}" to MIDDLEWARE.'
    assert ids(urls(OURS)) == [Id.NO_PAGES]


def test_a_middleware_of_the_sites_own(urls: Any, settings: Any) -> None:
    settings.MIDDLEWARE = [
        f"{HERE}.OwnSessions",
        "nowhere.Middleware",
        f"{HERE}.a_function",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ]

    assert urls(OURS, PAGES) == []


# Databases


class Router:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "links" if model._meta.app_label == "reciprocal_oauth" else "default"


@override_settings(DATABASE_ROUTERS=[Router()])
def test_two_databases() -> None:
    (message,) = checks.check_databases()

    assert message.id == Id.DATABASES
    assert "links" in message.msg
    assert "default" in message.msg


@pytest.mark.threat("F22")
@pytest.mark.parametrize(
    ("engine", "mode", "warned"),
    [
        ("django.db.backends.sqlite3", None, True),
        ("django.db.backends.sqlite3", "DEFERRED", True),
        ("django.db.backends.sqlite3", "IMMEDIATE", False),
        ("django.db.backends.sqlite3", "exclusive", False),
        ("django.db.backends.postgresql", None, False),
    ],
)
def test_sqlite_that_does_not_wait(
    settings: Any, engine: str, mode: str | None, warned: bool
) -> None:
    database = {"ENGINE": engine, "OPTIONS": {"transaction_mode": mode}}
    settings.DATABASES = {"default": database}

    assert ids(checks.check_sqlite()) == [Id.SQLITE_DEFERRED] * warned


class IsolationLevel(enum.IntEnum):
    """As that of psycopg, which need not be installed."""

    READ_COMMITTED = 2
    REPEATABLE_READ = 3
    SERIALIZABLE = 4


@pytest.mark.threat("R71")
@pytest.mark.parametrize(
    ("engine", "options", "named"),
    [
        ("postgresql", {}, ""),
        ("postgresql", {"isolation_level": IsolationLevel.READ_COMMITTED}, ""),
        ("postgresql", {"isolation_level": IsolationLevel.REPEATABLE_READ}, "REPEATABLE READ"),
        ("postgresql", {"isolation_level": IsolationLevel.SERIALIZABLE}, "SERIALIZABLE"),
        ("postgresql", {"options": "-c default_transaction_isolation=serializable"}, "SERIALIZ"),
        (
            "postgresql",
            {"options": r"-c default_transaction_isolation=repeatable\ read -c x=y"},
            "REPEATABLE READ:",
        ),
        ("mysql", {}, ""),
        ("mysql", {"isolation_level": "read committed"}, ""),
        ("mysql", {"isolation_level": "repeatable read"}, "REPEATABLE READ"),
        ("sqlite3", {"isolation_level": "IMMEDIATE"}, ""),
    ],
)
def test_a_database_that_does_not_show_what_others_have_committed(
    settings: Any, engine: str, options: dict[str, Any], named: str
) -> None:
    database = {"ENGINE": f"django.db.backends.{engine}", "OPTIONS": options}
    settings.DATABASES = {"default": database}

    found = checks.check_isolation()

    assert ids(found) == [Id.ISOLATION] * bool(named)
    assert all(named in message.msg for message in found)


@pytest.mark.threat("S12")
@pytest.mark.parametrize(
    ("url", "seconds", "warned"),
    [
        ("https://auth.example/introspect/", 36000, True),
        ("https://auth.example/introspect/", 60, False),
        ("", 36000, False),
    ],
)
def test_what_is_kept_about_tokens_of_another_server(
    settings: Any, url: str, seconds: int, warned: bool
) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "RESOURCE_SERVER_INTROSPECTION_URL": url,
        "RESOURCE_SERVER_TOKEN_CACHING_SECONDS": seconds,
    }

    assert ids(checks.check_introspection()) == [Id.CACHED_INTROSPECTION] * warned


# Before the checks


def test_without_the_toolkit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apps, "is_installed", lambda name: name != "oauth2_provider")

    with pytest.raises(ImproperlyConfigured, match="'oauth2_provider' to INSTALLED_APPS"):
        checks.require_toolkit()


def test_with_the_toolkit() -> None:
    checks.require_toolkit()


def test_without_the_toolkit_no_app_that_stands_first_fails_before_us() -> None:
    """The admin, first in a new project, imports the models of DOT by way of ours."""
    script = """
from django.conf import settings
settings.configure(INSTALLED_APPS=[
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.messages", "django.contrib.sessions", "reciprocal_oauth",
])
import django
django.setup()
"""
    ended = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(checks.__file__).parent.parent)},
        check=False,
    )

    last_line = ended.stderr.strip().splitlines()[-1]
    assert last_line.startswith("django.core.exceptions.ImproperlyConfigured")
    assert "add 'oauth2_provider' to INSTALLED_APPS" in last_line
