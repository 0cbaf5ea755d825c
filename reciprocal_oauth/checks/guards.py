"""Conditions under which a check is skipped."""

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage

from .setting_types import expected_of

Check = Callable[..., list[CheckMessage]]


def is_sound(*names: str) -> bool:
    """Whether ``RECIPROCAL_OAUTH`` is a dict, and each of these settings has a value of the right
    type. If not, :func:`~reciprocal_oauth.checks.settings.check_settings` reports it."""
    given = getattr(django_settings, "RECIPROCAL_OAUTH", {})
    return isinstance(given, Mapping) and not any(
        name in given and expected_of(name, given[name]) for name in names
    )


def needs_settings(*names: str) -> Callable[[Check], Check]:
    """Skip the decorated check unless these settings are sound (:func:`is_sound`)."""
    return lambda check: _only_if(lambda: is_sound(*names), check)


def needs_urls(check: Check) -> Check:
    """Skip the decorated check if the site has no ``ROOT_URLCONF``."""
    return _only_if(lambda: bool(getattr(django_settings, "ROOT_URLCONF", None)), check)


def _only_if(condition: Callable[[], bool], check: Check) -> Check:
    @wraps(check)
    def guarded(**kwargs: Any) -> list[CheckMessage]:
        return check(**kwargs) if condition() else []

    return guarded
