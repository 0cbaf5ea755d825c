"""Decorators that skip a system check if the settings that it needs are missing or wrong."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage

from .setting_types import expected_of

Check = Callable[..., list[CheckMessage]]


def is_sound(*names: str) -> bool:
    """Return whether the settings with these names can be read. Both must be true:
    ``RECIPROCAL_OAUTH`` is a dict, and each of the settings has a value of the right type.

    If they cannot be read, another check reports the mistake:
    :func:`~reciprocal_oauth.checks.settings.check_settings`.
    """
    given = getattr(django_settings, "RECIPROCAL_OAUTH", {})
    return isinstance(given, Mapping) and not any(
        name in given and expected_of(name, given[name]) for name in names
    )


def needs_settings(*names: str) -> Callable[[Check], Check]:
    """Return a decorator for system checks. A decorated check is skipped if one of the settings
    with these names cannot be read (:func:`is_sound`)."""
    return lambda check: _only_if(lambda: is_sound(*names), check)


def needs_urls(check: Check) -> Check:
    """Decorate a check so that it is skipped if the site has no ``ROOT_URLCONF``."""
    return _only_if(lambda: bool(getattr(django_settings, "ROOT_URLCONF", None)), check)


def _only_if(condition: Callable[[], bool], check: Check) -> Check:
    @wraps(check)
    def guarded(**kwargs: Any) -> list[CheckMessage]:
        return check(**kwargs) if condition() else []

    return guarded
