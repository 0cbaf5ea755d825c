"""Dialects and dispatchers by name: built-in names and dotted paths, resolved explicitly."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import settings

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


def dialects() -> dict[str, str]:
    """Every dialect that has a name: built in, then from ``RECIPROCAL_OAUTH["DIALECTS"]``."""
    return {**BUILT_IN_DIALECTS, **settings.DIALECTS}


def dialect_class(name: str) -> type[Any]:
    """The dialect called ``name``, or at that dotted path.

    :raises ImproperlyConfigured: there is none.
    """
    return _resolve("dialect", name, dialects(), "RECIPROCAL_OAUTH['DIALECTS']")


def dispatcher_class(name: str) -> type[Any]:
    """The dispatcher called ``name``, or at that dotted path.

    :raises ImproperlyConfigured: there is none.
    """
    return _resolve("dispatcher", name, BUILT_IN_DISPATCHERS, "RECIPROCAL_OAUTH['DISPATCHER']")


def _resolve(kind: str, name: str, known: Mapping[str, str], setting: str) -> type[Any]:
    path = known.get(name, name)
    if "." not in path:
        raise ImproperlyConfigured(
            f"There is no {kind} “{name}”. Known: {', '.join(sorted(known))}; or give the dotted "
            f"path of a class ({setting})."
        )
    try:
        found = import_string(path)
    except ImportError as error:
        raise ImproperlyConfigured(
            f"The {kind} “{name}” cannot be imported from {path} ({setting}): {error}"
        ) from error
    if not isinstance(found, type):
        raise ImproperlyConfigured(f"The {kind} “{name}” at {path} is not a class ({setting}).")
    return found
