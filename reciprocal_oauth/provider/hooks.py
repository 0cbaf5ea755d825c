"""Checks that the installed DOT and oauthlib still call the methods that this app overrides.

If a new release of DOT or oauthlib renames such a method or no longer calls it, the override of
this app has no effect, and no error occurs. This module finds such methods.
"""

import inspect
import logging
from collections.abc import Iterable, Iterator
from itertools import chain
from types import CodeType
from typing import Any

from oauth2_provider import urls, views
from oauthlib.openid import RequestValidator

from ..compat import oauth2_settings
from .client_authentication import ClientAuthenticationMixin
from .validator import ReciprocalValidatorMixin

logger = logging.getLogger("reciprocal_oauth.provider")

#: Methods of DOT's views that this app overrides. Each pair contains the name of the view and the
#: name of the method. An override has an effect only if DOT calls the method.
_CALLED_BY_VIEWS: tuple[tuple[str, str], ...] = (
    ("AuthorizationView", "create_authorization_response"),
    ("IntrospectTokenView", "get_token_response"),
    ("TokenView", "create_token_response"),
    ("TokenView", "get_oauthlib_core"),
    ("TokenView", "get_server_class"),
)


def uncalled_hooks() -> list[str]:
    """Return the names of methods and views of DOT that this app overrides, but that the installed
    DOT and oauthlib do not use. Such an override has no effect."""
    return [*_uncalled_validator_methods(), *_uncalled_view_methods(), *_unmounted_views()]


def log_uncalled_hooks() -> None:
    """Log each name that :func:`uncalled_hooks` returns. This is for processes that do not run
    Django's system checks."""
    for name in uncalled_hooks():
        logger.critical(
            "The installed django-oauth-toolkit or oauthlib does not call %s, on which "
            "reciprocal_oauth relies",
            name,
        )


def _uncalled_validator_methods() -> Iterator[str]:
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS
    if not issubclass(validator, ReciprocalValidatorMixin):
        yield "OAUTH2_VALIDATOR_CLASS"
        return
    mixins = ReciprocalValidatorMixin, ClientAuthenticationMixin
    below = [each for each in validator.__mro__ if not issubclass(each, mixins)]
    for name, ours in chain.from_iterable(vars(mixin).items() for mixin in mixins):
        if not inspect.isfunction(ours) or name.startswith("__"):
            continue
        # A class after the mixin in the method resolution order must define the method, and
        # something must call it. oauthlib calls every method that its class RequestValidator
        # defines. For all other methods, search the code of these classes for a call.
        is_there = any(name in vars(each) for each in below)
        public = hasattr(RequestValidator, name)
        if not is_there or not (public or is_called(below, name)):
            yield f"OAuth2Validator.{name}"


def _uncalled_view_methods() -> Iterator[str]:
    for view, name in _CALLED_BY_VIEWS:
        if not is_called(getattr(views, view).__mro__, name):
            yield f"{view}.{name}"


def _unmounted_views() -> Iterator[str]:
    from . import routes  # Not at the top: routes imports token_view, which imports this module.

    mounted = {getattr(each.callback, "view_class", None) for each in urls.urlpatterns}
    for view in routes.OUR_VIEWS:
        if view not in mounted:
            yield f"{view.__name__} by a route"


def is_called(classes: Iterable[type], name: str) -> bool:
    """Return whether a method of ``classes`` probably calls the method ``name``: its code contains
    this name. The method ``name`` itself does not count."""
    return any(
        name in _names(code)
        for each in classes
        for attribute, value in vars(each).items()
        if attribute != name and (code := _code_of(value)) is not None
    )


def _code_of(value: Any) -> CodeType | None:
    function = inspect.unwrap(getattr(value, "__func__", value))
    return getattr(function, "__code__", None)


def _names(code: CodeType) -> set[str]:
    inner = (each for each in code.co_consts if isinstance(each, CodeType))
    return set(code.co_names).union(*map(_names, inner))
