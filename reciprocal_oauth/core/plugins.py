"""Imports classes and functions that are configured by name: dialects (variants of the protocol
that some peers use), dispatchers (which start deliveries), listeners for metrics and traces, and
the functions in ``MAY_AUTHORIZE`` and ``REAUTHENTICATE``.

Only this module imports code by a name that is configured. It imports only paths that are written
in this module or in the settings, and never a path that is found only in the database.
"""

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import settings

BUILT_IN_DIALECTS: Mapping[str, str] = {
    "ietf": "reciprocal_oauth.dialects.ietf.IETFDialect",
    "google": "reciprocal_oauth.dialects.google.GoogleDialect",
    "yandex": "reciprocal_oauth.dialects.unlink_notice.YandexDialect",
    "sber": "reciprocal_oauth.dialects.unlink_notice.SberDialect",
    "smartthings": "reciprocal_oauth.dialects.smartthings.SmartThingsDialect",
    "alexa": "reciprocal_oauth.dialects.alexa.AlexaDialect",
}
BUILT_IN_DISPATCHERS: Mapping[str, str] = {
    "thread": "reciprocal_oauth.delivery.dispatchers.ThreadDispatcher",
    "eager": "reciprocal_oauth.delivery.dispatchers.EagerDispatcher",
    "none": "reciprocal_oauth.delivery.dispatchers.NoDispatcher",
    "celery": "reciprocal_oauth.contrib.celery.CeleryDispatcher",
    "tasks": "reciprocal_oauth.contrib.django_tasks.TasksDispatcher",
}
BUILT_IN_LISTENERS: Mapping[str, str] = {
    "prometheus": "reciprocal_oauth.contrib.prometheus.PrometheusListener",
    "opentelemetry": "reciprocal_oauth.contrib.opentelemetry.OpenTelemetryListener",
}
#: The dotted paths of the base classes. Every dialect, dispatcher and listener must be derived from
#: its base class. This module has no ``import`` statement for them, because modules in ``core``
#: must not depend on the folders that contain these classes.
_BASES: Mapping[str, str] = {
    "dialect": "reciprocal_oauth.dialects.base.Dialect",
    "dispatcher": "reciprocal_oauth.delivery.dispatchers.Dispatcher",
    "listener": "reciprocal_oauth.core.telemetry.Listener",
}
_DIALECTS = "RECIPROCAL_OAUTH['DIALECTS']"
_DISPATCHER = "RECIPROCAL_OAUTH['DISPATCHER']"
_TELEMETRY = "RECIPROCAL_OAUTH['TELEMETRY']"
_POLICY = "RECIPROCAL_OAUTH['MAY_AUTHORIZE']"
_REAUTHENTICATION = "RECIPROCAL_OAUTH['REAUTHENTICATE']"


def dialects() -> dict[str, str]:
    """Return a dictionary from the name of each dialect to its dotted path. It contains the
    built-in dialects and the dialects in the setting ``DIALECTS``."""
    return {**BUILT_IN_DIALECTS, **settings.DIALECTS}


def dialect_class(name: str) -> type[Any]:
    """Return the class of the dialect with this name.

    :param name: the value in the row of the peer: the name of a dialect, or its dotted path. A path
        that is not in :func:`dialects` is refused, so that nobody can make this site import other
        code by changing the row.
    :raises ImproperlyConfigured: the name is unknown, or the class cannot be imported or used.
    """
    known = dialects()
    path = known.get(name, name if name in known.values() else None)
    if path is None:
        raise ImproperlyConfigured(
            f"There is no dialect “{name}”. Known: {', '.join(sorted(known))}. A dialect of the "
            f"site's own needs a name in {_DIALECTS}."
        )
    return _class_at(path, "dialect", name, _DIALECTS)


def dispatcher_class(name: str) -> type[Any]:
    """Return the class of the dispatcher with this name or dotted path.

    :param name: the value of the setting ``DISPATCHER``.
    :raises ImproperlyConfigured: the name is unknown, or the class cannot be imported or used.
    """
    return _named_class(name, BUILT_IN_DISPATCHERS, "dispatcher", _DISPATCHER)


def listener_class(name: str) -> type[Any]:
    """Return the class of the listener for metrics or traces with this name or dotted path.

    :param name: an entry of the setting ``TELEMETRY``.
    :raises ImproperlyConfigured: the name is unknown, or the class cannot be imported or used.
    """
    return _named_class(name, BUILT_IN_LISTENERS, "listener", _TELEMETRY)


def function_at(path: str, setting: str = _POLICY) -> Callable[..., Any]:
    """Return the function at a dotted path.

    :param path: the value of the setting ``MAY_AUTHORIZE``, or of ``setting``.
    :raises ImproperlyConfigured: the object cannot be imported, or is not a function.
    """
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"{path} cannot be imported ({setting}): {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"{path} is not a function ({setting}).")
    return cast(Callable[..., Any], found)


def reauthentication(name: str) -> Callable[..., Any]:
    """Return the function that asks a person for the password again.

    :param name: the value of the setting ``REAUTHENTICATE``: ``allauth``, or a dotted path.
    :raises ImproperlyConfigured: the function cannot be imported.
    """
    path = "reciprocal_oauth.contrib.allauth.reauthenticate" if name == "allauth" else name
    return function_at(path, _REAUTHENTICATION)


def _named_class(name: str, built_in: Mapping[str, str], kind: str, setting: str) -> type[Any]:
    """Return the class with a name in ``built_in``, or with the dotted path ``name``."""
    path = built_in.get(name, name)
    if "." not in path:
        raise ImproperlyConfigured(
            f"There is no {kind} “{name}”. Known: {', '.join(sorted(built_in))}; or give the "
            f"dotted path of a class ({setting})."
        )
    return _class_at(path, kind, name, setting)


def _class_at(path: str, kind: str, name: str, setting: str) -> type[Any]:
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"The {kind} “{name}” cannot be imported from {path} ({setting}): {error}"
        ) from error
    if problem := _problem_of(found, _BASES[kind]):
        raise ImproperlyConfigured(f"The {kind} “{name}” at {path} {problem} ({setting}).")
    return cast(type[Any], found)


def _problem_of(found: object, base: str) -> str:
    """Return the second half of an error message if ``found`` cannot be used; otherwise ``""``.

    :param found: the object that was imported.
    :param base: the dotted path of the class from which it must be derived.
    """
    if not isinstance(found, type):
        return "is not a class"
    if not issubclass(found, import_string(base)):
        return f"is not derived from {base}"
    missing = getattr(found, "__abstractmethods__", ())
    return f"does not implement: {', '.join(sorted(missing))}" if missing else ""
