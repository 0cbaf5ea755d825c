"""Whether DOT and oauthlib still call what this app puts in place of theirs.

A method that a release no longer calls, or calls by another name, does nothing, and nobody sees it.
"""

import inspect
import logging
from collections.abc import Iterable, Iterator
from types import CodeType
from typing import Any

from oauth2_provider import urls, views
from oauthlib.openid import RequestValidator

from ..compat import oauth2_settings
from .validator import ReciprocalValidatorMixin

logger = logging.getLogger("reciprocal_oauth.provider")

#: Methods of DOT's views that ours override, which the view must call itself.
_OF_VIEWS: tuple[tuple[str, str], ...] = (
    ("AuthorizationView", "create_authorization_response"),
    ("IntrospectTokenView", "get_token_response"),
    ("TokenView", "create_token_response"),
    ("TokenView", "get_oauthlib_core"),
    ("TokenView", "get_server_class"),
)


def unreached() -> list[str]:
    """What this app relies on, and the installed DOT and oauthlib do not have, or do not call."""
    return [*_of_validator(), *_of_views(), *_of_routes()]


def report() -> None:
    """Say in the log what a system check says, for processes that run none."""
    for name in unreached():
        logger.critical(
            "The installed django-oauth-toolkit or oauthlib does not call %s, on which "
            "reciprocal_oauth relies",
            name,
        )


def _of_validator() -> Iterator[str]:
    validator = oauth2_settings.OAUTH2_VALIDATOR_CLASS
    if not issubclass(validator, ReciprocalValidatorMixin):
        yield "OAUTH2_VALIDATOR_CLASS"
        return
    below = [each for each in validator.__mro__ if not issubclass(each, ReciprocalValidatorMixin)]
    for name, ours in vars(ReciprocalValidatorMixin).items():
        if not inspect.isfunction(ours) or name.startswith("__"):
            continue
        # What oauthlib documents it calls; what DOT has for itself, DOT must.
        is_there = any(name in vars(each) for each in below)
        public = hasattr(RequestValidator, name)
        if not is_there or not (public or is_called(below, name)):
            yield f"OAuth2Validator.{name}"


def _of_views() -> Iterator[str]:
    for view, name in _OF_VIEWS:
        if not is_called(getattr(views, view).__mro__, name):
            yield f"{view}.{name}"


def _of_routes() -> Iterator[str]:
    from . import routes  # Whose views report what is missing here.

    mounted = {getattr(each.callback, "view_class", None) for each in urls.urlpatterns}
    for view in routes.OURS:
        if view not in mounted:
            yield f"{view.__name__} by a route"


def is_called(classes: Iterable[type], name: str) -> bool:
    """Whether a method of ``classes``, other than the one of that name, mentions ``name``."""
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
