"""System checks for the dict ``RECIPROCAL_OAUTH``: they find unknown settings and invalid
values."""

import difflib
import importlib.util
import inspect
import ipaddress
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.cache import DEFAULT_CACHE_ALIAS, InvalidCacheBackendError, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from .. import secret
from ..client import proxy
from ..conf import Settings, settings
from ..core import plugins, site_address, telemetry
from .guards import needs_settings
from .ids import Id
from .setting_types import expected_of

#: Settings with secret values. ``check_settings`` does not check their type, because its error
#: message would show the value. A check of its own does that without showing the value.
_CHECKED_APART = frozenset({"ENCRYPTION_KEYS", "HTTP_PROXY_URL", "METRICS_TOKEN"})


@register("reciprocal_oauth")
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check that all keys of ``RECIPROCAL_OAUTH`` are settings of this app, and that their values
    are valid."""
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
        f"RECIPROCAL_OAUTH has the key {name!r}, which is not a setting.",
        hint=hint,
        id=Id.UNKNOWN_SETTING,
    )


def _wrong_value(name: str, value: Any, expected: str) -> Error:
    default = getattr(Settings, name).default()
    return Error(
        f'RECIPROCAL_OAUTH["{name}"] must be {expected}, not {_shown(value)}.',
        hint=f'Change RECIPROCAL_OAUTH["{name}"], or remove it for the default: {default!r}.',
        id=Id.WRONG_VALUE,
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"a {type(value).__name__}"


# Checks of single settings. They run only if the settings that they read have the right type.


def _check_encryption_keys() -> Iterator[CheckMessage]:
    keys = settings.ENCRYPTION_KEYS
    # Refuse a text: it is also a sequence, so each of its letters would be used as a key.
    is_list = isinstance(keys, Sequence) and not isinstance(keys, str | bytes)
    try:
        if not is_list:
            raise TypeError
        secret.encrypt("", ())
    except (ImproperlyConfigured, TypeError, ValueError):
        yield Error(
            'RECIPROCAL_OAUTH["ENCRYPTION_KEYS"] must be a list of Fernet keys: each 32 bytes in '
            "url-safe base64.",
            hint="Make a key with: python -c 'from cryptography.fernet import Fernet; "
            "print(Fernet.generate_key().decode())'",
            id=Id.ENCRYPTION_KEYS,
        )


def _check_dispatcher() -> Iterator[CheckMessage]:
    from ..delivery.dispatchers import Dispatcher

    problem = _problem_of_class(plugins.dispatcher_class, settings.DISPATCHER)
    if problem:
        known = ", ".join(f'"{name}"' for name in sorted(plugins.BUILT_IN_DISPATCHERS))
        yield Error(
            f'RECIPROCAL_OAUTH["DISPATCHER"] = {settings.DISPATCHER!r} cannot be used: {problem}',
            hint=f'Set RECIPROCAL_OAUTH["DISPATCHER"] to {known} or the dotted path of a '
            f"{Dispatcher.__module__}.{Dispatcher.__name__}.",
            id=Id.DISPATCHER,
        )


def _check_dialects() -> Iterator[CheckMessage]:
    from ..dialects import Dialect

    for name, path in settings.DIALECTS.items():
        problem = _problem_of_class(plugins.dialect_class, name)
        if problem:
            yield Error(
                f'RECIPROCAL_OAUTH["DIALECTS"]["{name}"] = {path!r} cannot be used: {problem}',
                hint=f'Set RECIPROCAL_OAUTH["DIALECTS"]["{name}"] to the dotted path of a '
                f"{Dialect.__module__}.{Dialect.__name__}.",
                id=Id.DIALECTS,
            )


def _problem_of_class(resolve: Callable[[str], type[Any]], name: str) -> str | None:
    try:
        resolve(name)
    except Exception as error:  # Importing a module of the site can raise any error.
        return str(error) or type(error).__name__
    return None


def _check_may_authorize() -> Iterator[CheckMessage]:
    path = settings.MAY_AUTHORIZE
    if not path:
        return
    try:
        inspect.signature(plugins.function_at(path)).bind("user", "app", ["scope"], request=None)
    except Exception as error:  # Importing a module of the site can raise any error.
        yield Error(
            f'RECIPROCAL_OAUTH["MAY_AUTHORIZE"] = {path!r} cannot be used: {error}',
            hint='Set RECIPROCAL_OAUTH["MAY_AUTHORIZE"] to the dotted path of a function '
            "may_authorize(user, application, scopes, request=None), or remove it.",
            id=Id.MAY_AUTHORIZE,
        )


def _check_reauthentication() -> Iterator[CheckMessage]:
    name = settings.REAUTHENTICATE
    if not name:
        return
    try:
        inspect.signature(plugins.reauthentication(name)).bind("request", "/next/")
    except Exception as error:  # Importing a module of the site can raise any error.
        yield Error(
            f'RECIPROCAL_OAUTH["REAUTHENTICATE"] = {name!r} cannot be used: {error}',
            hint='Set RECIPROCAL_OAUTH["REAUTHENTICATE"] to "allauth" or the dotted path of a '
            "function reauthenticate(request, next_url), or remove it.",
            id=Id.REAUTHENTICATE,
        )


def _check_mail_events() -> Iterator[CheckMessage]:
    from ..models import Notice

    known = [str(kind) for kind in Notice.Kind.values]
    for event in settings.MAIL_EVENTS:
        if event not in known:
            yield Error(
                f'RECIPROCAL_OAUTH["MAIL_EVENTS"] has {event!r}, which is not an event.',
                hint=f"The events are: {', '.join(known)}.",
                id=Id.MAIL_EVENTS,
            )
    if settings.MAIL_EVENTS and not site_address.configured_base_url():
        yield Warning(
            "The mails about connections contain no link, because a worker does not know the "
            "address of this site.",
            hint='Set RECIPROCAL_OAUTH["BASE_URL"], such as "https://site.example".',
            id=Id.MAIL_WITHOUT_ADDRESS,
        )


def _check_networks() -> Iterator[CheckMessage]:
    for text in settings.HTTP_ALLOWED_NETWORKS:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            yield Error(
                f'RECIPROCAL_OAUTH["HTTP_ALLOWED_NETWORKS"] has {text!r}, which is not a network.',
                hint='Write it like "10.20.0.0/16" or "10.20.0.7".',
                id=Id.NETWORKS,
            )


def _check_ca_bundle() -> Iterator[CheckMessage]:
    path = settings.HTTP_CA_BUNDLE
    if path and not os.path.exists(path):
        yield Error(
            f'RECIPROCAL_OAUTH["HTTP_CA_BUNDLE"] is {path!r}, which does not exist: no peer can be '
            "called.",
            hint='Set RECIPROCAL_OAUTH["HTTP_CA_BUNDLE"] to a file or directory of certificate '
            "authorities, or remove it for the public ones.",
            id=Id.CA_BUNDLE,
        )


def _check_proxy_url() -> Iterator[CheckMessage]:
    url = settings.HTTP_PROXY_URL
    try:
        if url != "":
            proxy.read(url)
    except ValueError as error:  # Its text does not contain the URL, which can have a password.
        yield Error(
            f'RECIPROCAL_OAUTH["HTTP_PROXY_URL"] is not the URL of a proxy: {error}. No peer can '
            "be called.",
            hint='Write it like "http://proxy.example:3128" or '
            '"http://user:password@proxy.example:3128", with the special characters of the user '
            "name and the password percent-encoded.",
            id=Id.PROXY_URL,
        )


def _check_metrics_token() -> Iterator[CheckMessage]:
    if not isinstance(settings.METRICS_TOKEN, str):
        yield Error(
            'RECIPROCAL_OAUTH["METRICS_TOKEN"] must be a text.',
            hint='Make a token with: python -c "import secrets; print(secrets.token_urlsafe(32))"',
            id=Id.WRONG_VALUE,
        )


def _check_telemetry() -> Iterator[CheckMessage]:
    for name in settings.TELEMETRY:
        if problem := _problem_of_class(plugins.listener_class, name):
            known = ", ".join(f'"{each}"' for each in sorted(plugins.BUILT_IN_LISTENERS))
            yield Error(
                f'RECIPROCAL_OAUTH["TELEMETRY"] has {name!r}, which cannot be used: {problem}',
                hint=f"Use {known} (install the extras [prometheus] or [otel]), or the dotted path "
                f"of a {telemetry.Listener.__module__}.{telemetry.Listener.__name__}.",
                id=Id.TELEMETRY,
            )


def _check_lease() -> Iterator[CheckMessage]:
    lease, least = settings.LEASE_SECONDS, 3 * settings.HTTP_TOTAL_TIMEOUT_SECONDS
    if lease <= least:
        yield Warning(
            f'RECIPROCAL_OAUTH["LEASE_SECONDS"] is {lease:g}, which is too short: a slow delivery '
            "may be done twice.",
            hint=f'Set RECIPROCAL_OAUTH["LEASE_SECONDS"] above {least:g}, which is three times '
            "HTTP_TOTAL_TIMEOUT_SECONDS.",
            id=Id.SHORT_LEASE,
        )


#: The checks of single settings. The key of each check is a tuple of the settings that it reads.
_CHECKS_OF_VALUES: Mapping[tuple[str, ...], Callable[[], Iterable[CheckMessage]]] = {
    ("ENCRYPTION_KEYS",): _check_encryption_keys,
    ("DISPATCHER",): _check_dispatcher,
    ("DIALECTS",): _check_dialects,
    ("MAY_AUTHORIZE",): _check_may_authorize,
    ("REAUTHENTICATE",): _check_reauthentication,
    ("MAIL_EVENTS",): _check_mail_events,
    ("HTTP_ALLOWED_NETWORKS",): _check_networks,
    ("HTTP_CA_BUNDLE",): _check_ca_bundle,
    ("HTTP_PROXY_URL",): _check_proxy_url,
    ("METRICS_TOKEN",): _check_metrics_token,
    ("TELEMETRY",): _check_telemetry,
    ("LEASE_SECONDS", "HTTP_TOTAL_TIMEOUT_SECONDS"): _check_lease,
}


@register(Tags.security, deploy=True)
@needs_settings()
def check_deployment(**kwargs: Any) -> list[CheckMessage]:
    """Warn about settings that are suitable for development, but not for a public site."""
    problems: list[CheckMessage] = []
    if not settings.ENCRYPTION_KEYS:
        problems.append(
            Warning(
                "Stored codes, tokens and client secrets are encrypted with keys derived from "
                "SECRET_KEY. They are lost if SECRET_KEY is changed and the old key is not in "
                "SECRET_KEY_FALLBACKS.",
                hint='Set RECIPROCAL_OAUTH["ENCRYPTION_KEYS"] to a list of Fernet keys. Make one '
                "with: python -c 'from cryptography.fernet import Fernet; "
                "print(Fernet.generate_key().decode())'. If the site is already in use, also put "
                "reciprocal_oauth.secret.derived_key(SECRET_KEY) at the end of the list, until "
                "reciprocal_rotate_keys has been run.",
                id=Id.DERIVED_KEYS,
            )
        )
    if settings.CLIENT_AUTH_FAILURES_PER_MINUTE and _counts_nothing():
        problems.append(
            Warning(
                "The default cache stores nothing: attempts with wrong client secrets are not "
                "limited, and no other limit of reciprocal_oauth works.",
                hint='Set CACHES["default"] to a cache that all processes share. If something else '
                "limits these attempts, set "
                'RECIPROCAL_OAUTH["CLIENT_AUTH_FAILURES_PER_MINUTE"] = 0.',
                id=Id.NO_COUNTING,
            )
        )
    if settings.HTTP_ALLOW_LOOPBACK:
        problems.append(
            Warning(
                "Peers on this machine may be called, even by plain http.",
                hint='Set RECIPROCAL_OAUTH["HTTP_ALLOW_LOOPBACK"] = False; its default is DEBUG.',
                id=Id.LOOPBACK,
            )
        )
    if settings.HTTP_PROXY_URL:
        problems.append(
            Warning(
                "Peers are called through a proxy, which looks up their names. So this site cannot "
                "check the addresses to which these names lead.",
                hint="Make sure that the proxy allows no private addresses (Smokescreen does so by "
                "default; Squid needs a rule), then silence this warning.",
                id=Id.PROXY_CHECKS,
            )
        )
    return problems


def _counts_nothing() -> bool:
    try:
        return isinstance(caches[DEFAULT_CACHE_ALIAS], DummyCache)
    except (InvalidCacheBackendError, ImproperlyConfigured):
        return False  # Django reports a wrong CACHES setting itself.


@register("reciprocal_oauth")
@needs_settings("DISPATCHER")
def check_sweep(**kwargs: Any) -> list[CheckMessage]:
    """Check that Celery beat sends the task ``reciprocal_oauth.sweep`` regularly.

    This concerns only sites with the dispatcher ``celery``. Without the task, a failed delivery is
    not tried again, and a delivery whose message to Celery was lost does not begin.
    """
    if settings.DISPATCHER != "celery" or not importlib.util.find_spec("celery"):
        return []
    from celery import current_app

    scheduled = current_app.conf.beat_schedule.values()
    if any(entry.get("task") == "reciprocal_oauth.sweep" for entry in scheduled):
        return []
    return [
        Warning(
            "Celery's beat does not send reciprocal_oauth.sweep: failed deliveries are never tried "
            "again.",
            hint='Add {"task": "reciprocal_oauth.sweep", "schedule": 5.0} to the beat_schedule of '
            "your Celery app, and import that app in the __init__.py of your project, so that this "
            "check finds it. Silence this warning if the schedule is in a database, or if "
            "reciprocal_deliver also runs.",
            id=Id.NO_SWEEP,
        )
    ]
