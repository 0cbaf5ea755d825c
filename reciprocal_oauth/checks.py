"""System checks: what can be seen to be wrong before the first request.

No check opens a database connection, so peers are not checked here but when they are saved.
"""

import difflib
import importlib.util
import inspect
import ipaddress
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured
from django.db import router
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils.module_loading import import_string

from . import plugins, secret
from .check_ids import Id
from .compat import oauth2_settings
from .conf import Settings, settings
from .setting_types import expected_of
from .transactions import database

#: Settings with a check of their own.
_CHECKED_APART = frozenset({"ENCRYPTION_KEYS"})
#: The pages need each of these, or one derived from it.
_PAGE_MIDDLEWARE = (
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
)


def require_toolkit() -> None:
    """Say what to do where the models of DOT cannot be loaded. For the app's ``import_models()``:
    without them it does not come to the checks.

    :raises ImproperlyConfigured: ``oauth2_provider`` is not installed in the project.
    """
    if not apps.is_installed("oauth2_provider"):
        raise ImproperlyConfigured(
            "reciprocal_oauth extends django-oauth-toolkit: add 'oauth2_provider' to "
            "INSTALLED_APPS beside 'reciprocal_oauth'."
        )


# The settings


@register("reciprocal_oauth")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """``RECIPROCAL_OAUTH``: its keys, the types and sizes of its values, and what they name."""
    given = getattr(django_settings, "RECIPROCAL_OAUTH", {})
    if not isinstance(given, Mapping):
        return [
            Error(
                f"RECIPROCAL_OAUTH must be a dict of settings, not {type(given).__name__}.",
                hint='Write it as RECIPROCAL_OAUTH = {"DISPATCHER": "thread"}.',
                id=Id.NOT_A_DICT,
            )
        ]
    problems: list[CheckMessage] = [
        _unknown_setting(name) for name in sorted(set(given) - Settings.names(), key=str)
    ]
    wrong = set()
    for name in sorted((Settings.names() - _CHECKED_APART) & set(given)):
        if expected := expected_of(name, given[name]):
            wrong.add(name)
            problems.append(_wrong_value(name, given[name], expected))
    for names, check in _CHECKS_OF_VALUES.items():
        if wrong.isdisjoint(names):
            problems += check()
    return problems


def _unknown_setting(name: object) -> Error:
    close = difflib.get_close_matches(str(name).upper(), Settings.names(), n=1)
    if close:
        hint = f'Did you mean RECIPROCAL_OAUTH["{close[0]}"]?'
    else:
        hint = f"Remove it. The settings are: {', '.join(sorted(Settings.names()))}."
    return Error(
        f"RECIPROCAL_OAUTH has the key {name!r}, which is no setting.",
        hint=hint,
        id=Id.UNKNOWN_SETTING,
    )


def _wrong_value(name: str, value: Any, expected: str) -> Error:
    default = getattr(_Defaults(), name)
    return Error(
        f'RECIPROCAL_OAUTH["{name}"] must be {expected}, not {_shown(value)}.',
        hint=f'Change RECIPROCAL_OAUTH["{name}"], or remove it for the default: {default!r}.',
        id=Id.WRONG_VALUE,
    )


class _Defaults(Settings):
    @property
    def _user(self) -> Mapping[str, Any]:
        return {}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


# What single settings name. These run only where the type is right.


def _check_encryption_keys() -> Iterator[CheckMessage]:
    keys = settings.ENCRYPTION_KEYS
    # A single key in place of a list would be taken for a list of letters.
    is_list = isinstance(keys, Sequence) and not isinstance(keys, str | bytes)
    try:
        if not is_list:
            raise TypeError
        secret.encrypt("")
    except (ImproperlyConfigured, TypeError, ValueError):
        yield Error(
            'RECIPROCAL_OAUTH["ENCRYPTION_KEYS"] must be a list of Fernet keys: each 32 bytes in '
            "url-safe base64.",
            hint="Make a key with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'",
            id=Id.ENCRYPTION_KEYS,
        )


def _check_dispatcher() -> Iterator[CheckMessage]:
    from .delivery.dispatchers import Dispatcher

    problem = _problem_of_class(plugins.dispatcher_class, settings.DISPATCHER, Dispatcher)
    if problem:
        known = ", ".join(f'"{name}"' for name in sorted(plugins.BUILT_IN_DISPATCHERS))
        yield Error(
            f'RECIPROCAL_OAUTH["DISPATCHER"] = {settings.DISPATCHER!r} cannot be used: {problem}',
            hint=f'Set RECIPROCAL_OAUTH["DISPATCHER"] to {known} or the dotted path of a '
            f"{Dispatcher.__module__}.{Dispatcher.__name__}.",
            id=Id.DISPATCHER,
        )


def _check_dialects() -> Iterator[CheckMessage]:
    from .dialects import Dialect

    for name, path in settings.DIALECTS.items():
        problem = _problem_of_class(plugins.dialect_class, name, Dialect)
        if problem:
            yield Error(
                f'RECIPROCAL_OAUTH["DIALECTS"]["{name}"] = {path!r} cannot be used: {problem}',
                hint=f'Set RECIPROCAL_OAUTH["DIALECTS"]["{name}"] to the dotted path of a '
                f"{Dialect.__module__}.{Dialect.__name__}.",
                id=Id.DIALECTS,
            )


def _problem_of_class(resolve: Callable[[str], type[Any]], name: str, base: type) -> str | None:
    try:
        found: Any = resolve(name)
    except Exception as error:  # A module of the site's may fail in any way when it is imported.
        return str(error) or type(error).__name__
    if not issubclass(found, base):
        return f"{found.__name__} is not derived from {base.__module__}.{base.__name__}."
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        return f"{found.__name__} does not implement: {missing}."
    return None


def _check_networks() -> Iterator[CheckMessage]:
    for text in settings.HTTP_ALLOWED_NETWORKS:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield Error(
                f'RECIPROCAL_OAUTH["HTTP_ALLOWED_NETWORKS"] has {text!r}, which is no network.',
                hint='Write it like "10.20.0.0/16" or "10.20.0.7".',
                id=Id.NETWORKS,
            )


def _check_ca_bundle() -> Iterator[CheckMessage]:
    path = settings.HTTP_CA_BUNDLE
    if path and not os.path.exists(path):
        yield Error(
            f'RECIPROCAL_OAUTH["HTTP_CA_BUNDLE"] is {path!r}, which is not there: no peer can be '
            "called.",
            hint='Set RECIPROCAL_OAUTH["HTTP_CA_BUNDLE"] to a file or directory of certificate '
            "authorities, or remove it for the public ones.",
            id=Id.CA_BUNDLE,
        )


def _check_lease() -> Iterator[CheckMessage]:
    lease, least = settings.LEASE_SECONDS, 3 * settings.HTTP_TOTAL_TIMEOUT_SECONDS
    if lease <= least:
        yield Warning(
            f'RECIPROCAL_OAUTH["LEASE_SECONDS"] is {lease:g}: a delivery that is slow, but in '
            "time, may be done twice.",
            hint=f'Set RECIPROCAL_OAUTH["LEASE_SECONDS"] above {least:g}, which is three times '
            "HTTP_TOTAL_TIMEOUT_SECONDS.",
            id=Id.SHORT_LEASE,
        )


#: The settings that each of these reads.
_CHECKS_OF_VALUES: Mapping[tuple[str, ...], Callable[[], Iterable[CheckMessage]]] = {
    ("ENCRYPTION_KEYS",): _check_encryption_keys,
    ("DISPATCHER",): _check_dispatcher,
    ("DIALECTS",): _check_dialects,
    ("HTTP_ALLOWED_NETWORKS",): _check_networks,
    ("HTTP_CA_BUNDLE",): _check_ca_bundle,
    ("LEASE_SECONDS", "HTTP_TOTAL_TIMEOUT_SECONDS"): _check_lease,
}


@register(Tags.security, deploy=True)
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """What is fine for development only."""
    if not isinstance(getattr(django_settings, "RECIPROCAL_OAUTH", {}), Mapping):
        return []  # E001 says so.
    problems: list[CheckMessage] = []
    if not settings.ENCRYPTION_KEYS:
        problems.append(
            Warning(
                "Stored codes, tokens and client secrets are encrypted with keys derived from "
                "SECRET_KEY: they are lost when it is changed without a fallback.",
                hint='Set RECIPROCAL_OAUTH["ENCRYPTION_KEYS"] to a list of Fernet keys. Make one '
                "with: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'. On a site that is in use, put "
                "reciprocal_oauth.secret.derived_key(SECRET_KEY) at the end of the list, so that "
                "what is stored can be read, until reciprocal_rotate_keys has been run.",
                id=Id.DERIVED_KEYS,
            )
        )
    if settings.HTTP_ALLOW_LOOPBACK:
        problems.append(
            Warning(
                "Peers on this machine may be called, and by plain http.",
                hint='Set RECIPROCAL_OAUTH["HTTP_ALLOW_LOOPBACK"] = False; its default is DEBUG.',
                id=Id.LOOPBACK,
            )
        )
    return problems


@register("reciprocal_oauth")
def check_sweep(**kwargs: Any) -> list[CheckMessage]:
    """What is to be tried again later is found by the sweep alone, and so is a row whose message
    was lost."""
    if not isinstance(getattr(django_settings, "RECIPROCAL_OAUTH", {}), Mapping):
        return []  # E001 says so.
    if settings.DISPATCHER != "celery" or not importlib.util.find_spec("celery"):
        return []
    from celery import current_app

    scheduled = current_app.conf.beat_schedule.values()
    if any(entry.get("task") == "reciprocal_oauth.sweep" for entry in scheduled):
        return []
    return [
        Warning(
            "Celery's beat does not send reciprocal_oauth.sweep: what is to be tried again later "
            "waits for ever.",
            hint='Add {"task": "reciprocal_oauth.sweep", "schedule": 5.0} to the beat_schedule of '
            "your Celery app, and import that app in the __init__.py of your project, so that "
            "Django sees it. Silence this if the schedule is kept in a database, or if "
            "reciprocal_deliver runs beside.",
            id=Id.NO_SWEEP,
        )
    ]


# How the app is put into the site


@register(Tags.urls)
def check_urls(**kwargs: Any) -> list[CheckMessage]:
    """Which token views and pages the URLconf has, and what the pages need."""
    from oauth2_provider.views import TokenView as DOTTokenView

    from .pages.connect import CallbackView
    from .provider.token_view import TokenView

    if not getattr(django_settings, "ROOT_URLCONF", None):
        return []
    views = list(_views(get_resolver().url_patterns))
    problems: list[CheckMessage] = [
        Error(
            f"The URL “{route}” leads to the token view of django-oauth-toolkit, which knows no "
            "reciprocal grant.",
            hint='Write path("o/", include("reciprocal_oauth.oauth2_urls")) in place of the '
            "include of oauth2_provider.urls. A view of your own has to be derived from "
            "reciprocal_oauth.provider.token_view.TokenView.",
            id=Id.STOCK_VIEW,
        )
        for route, view in views
        if issubclass(view, DOTTokenView) and not issubclass(view, TokenView)
    ]
    if not any(issubclass(view, DOTTokenView) for _, view in views):
        problems.append(
            Warning(
                "No token view is mounted: peers can neither redeem codes here nor hand any over.",
                hint='Add path("o/", include("reciprocal_oauth.oauth2_urls")) to the URLconf.',
                id=Id.NO_ENDPOINT,
            )
        )
    if any(issubclass(view, CallbackView) for _, view in views):
        problems += _check_middleware()
    else:
        problems.append(
            Warning(
                "The pages are not mounted: nobody can connect, and peers have nowhere to come "
                "back to.",
                hint='Add path("connections/", include("reciprocal_oauth.urls")) to the URLconf.',
                id=Id.NO_PAGES,
            )
        )
    return problems


def _views(patterns: Iterable[Any], prefix: str = "") -> Iterator[tuple[str, type]]:
    """The route and class of every class-based view below ``patterns``."""
    for entry in patterns:
        route = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _views(entry.url_patterns, route)
        elif isinstance(entry, URLPattern):
            view = getattr(entry.callback, "view_class", None)
            if isinstance(view, type):
                yield route, view


def _check_middleware() -> Iterator[CheckMessage]:
    installed = [found for path in django_settings.MIDDLEWARE if (found := _imported(path))]
    for path in _PAGE_MIDDLEWARE:
        wanted = import_string(path)
        if not any(isinstance(each, type) and issubclass(each, wanted) for each in installed):
            yield Error(
                f"The pages of reciprocal_oauth need {path}: a visit to a peer is bound to the "
                "session and the user that began it.",
                hint=f'Add "{path}" to MIDDLEWARE.',
                id=Id.MIDDLEWARE,
            )


def _imported(path: str) -> Any:
    try:
        return import_string(path)
    except ImportError:
        return None  # Django says so itself when it loads the middleware.


@register(Tags.models)
def check_databases(**kwargs: Any) -> list[CheckMessage]:
    """One transaction has to span a link and the tokens that belong to it. Only the routers are
    asked; the tag ``database`` would keep this out of a plain ``check`` on Django 6.1."""
    from oauth2_provider.models import get_access_token_model, get_grant_model

    from .models import Link

    ours = router.db_for_write(Link)
    theirs = {router.db_for_write(model) for model in (get_access_token_model(), get_grant_model())}
    if theirs == {ours}:
        return []
    return [
        Error(
            "The tables of reciprocal_oauth and of django-oauth-toolkit are written to different "
            f"databases: {ours} and {', '.join(sorted(theirs))}.",
            hint="Let DATABASE_ROUTERS send both apps to one database.",
            id=Id.DATABASES,
        )
    ]


@register(Tags.models)
def check_sqlite(**kwargs: Any) -> list[CheckMessage]:
    """Transactions that read before they write fail on SQLite as soon as two meet, without waiting,
    unless they begin as writers. Looks at the settings only."""
    alias = database()
    configured = django_settings.DATABASES.get(alias, {})
    mode = configured.get("OPTIONS", {}).get("transaction_mode") or ""
    if "sqlite3" not in configured.get("ENGINE", "") or mode.upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        Warning(
            "Requests that meet at the token endpoint fail with “database is locked”.",
            hint=f'Set DATABASES["{alias}"]["OPTIONS"]["transaction_mode"] = "IMMEDIATE".',
            id=Id.SQLITE_DEFERRED,
        )
    ]


@register(Tags.security)
def check_introspection(**kwargs: Any) -> list[CheckMessage]:
    """A resource server that keeps what it was told about a token does not feel a narrowing."""
    seconds = oauth2_settings.RESOURCE_SERVER_TOKEN_CACHING_SECONDS
    if not oauth2_settings.RESOURCE_SERVER_INTROSPECTION_URL or seconds <= 60:
        return []
    return [
        Warning(
            f"This site keeps what an authorization server says about a token for {seconds} "
            "seconds: what is narrowed or revoked there goes on working here for as long.",
            hint='Set OAUTH2_PROVIDER["RESOURCE_SERVER_TOKEN_CACHING_SECONDS"] = 60 or less.',
            id=Id.CACHED_INTROSPECTION,
        )
    ]
