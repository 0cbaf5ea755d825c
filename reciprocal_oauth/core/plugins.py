"""Dialects and dispatchers by name. Only this module imports code by a name, and only by one that
stands in the code or in the settings, never by one that a row of the database holds."""

from collections.abc import Callable, Mapping
from typing import Any, cast

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import settings

BUILT_IN_DIALECTS: Mapping[str, str] = {
    "ietf": "reciprocal_oauth.dialects.ietf.IETFDialect",
}
BUILT_IN_DISPATCHERS: Mapping[str, str] = {
    "thread": "reciprocal_oauth.delivery.dispatchers.ThreadDispatcher",
    "eager": "reciprocal_oauth.delivery.dispatchers.EagerDispatcher",
    "none": "reciprocal_oauth.delivery.dispatchers.NoDispatcher",
    "celery": "reciprocal_oauth.contrib.celery.CeleryDispatcher",
    "tasks": "reciprocal_oauth.contrib.django_tasks.TasksDispatcher",
}
#: What each kind has to be derived from. By path: this module stands below them.
_BASES: Mapping[str, str] = {
    "dialect": "reciprocal_oauth.dialects.base.Dialect",
    "dispatcher": "reciprocal_oauth.delivery.dispatchers.Dispatcher",
}
_DIALECTS = "RECIPROCAL_OAUTH['DIALECTS']"
_DISPATCHER = "RECIPROCAL_OAUTH['DISPATCHER']"
_POLICY = "RECIPROCAL_OAUTH['MAY_AUTHORIZE']"


def dialects() -> dict[str, str]:
    """Every dialect that has a name: built in, then from ``RECIPROCAL_OAUTH["DIALECTS"]``."""
    return {**BUILT_IN_DIALECTS, **settings.DIALECTS}


def dialect_class(name: str) -> type[Any]:
    """The dialect called ``name``, or at the dotted path ``name``, if a name stands for that path.

    A peer's row holds ``name``, and whoever may change the row must not have code imported by it:
    only what stands here or in the settings is imported.

    :raises ImproperlyConfigured: there is none, or what is there is no dialect.
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
    """The dispatcher called ``name``, or at that dotted path. The name comes from the settings.

    :raises ImproperlyConfigured: there is none, or what is there is no dispatcher.
    """
    path = BUILT_IN_DISPATCHERS.get(name, name)
    if "." not in path:
        raise ImproperlyConfigured(
            f"There is no dispatcher “{name}”. Known: {', '.join(sorted(BUILT_IN_DISPATCHERS))}; "
            f"or give the dotted path of a class ({_DISPATCHER})."
        )
    return _class_at(path, "dispatcher", name, _DISPATCHER)


def function_at(path: str) -> Callable[..., Any]:
    """The function of the site's own that ``RECIPROCAL_OAUTH["MAY_AUTHORIZE"]`` names.

    :raises ImproperlyConfigured: there is none.
    """
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(f"{path} cannot be imported ({_POLICY}): {error}") from error
    if not callable(found):
        raise ImproperlyConfigured(f"{path} is not a function ({_POLICY}).")
    return cast(Callable[..., Any], found)


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
    """Why ``found`` is no class that can be used for the one at the path ``base``; else ``""``."""
    if not isinstance(found, type):
        return "is not a class"
    if not issubclass(found, import_string(base)):
        return f"is not derived from {base}"
    missing = getattr(found, "__abstractmethods__", ())
    return f"does not implement: {', '.join(sorted(missing))}" if missing else ""
