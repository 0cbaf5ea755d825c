"""Reciprocal OAuth for Django: link a user's accounts at two sites, in both directions at once.

It implements draft-ietf-oauth-reciprocal-04 on top of django-oauth-toolkit (DOT). The package
imports no models, so it can be imported before ``django.setup()``.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__

__all__ = ["__version__", "get_link", "get_links", "get_session", "get_session_for"]

if TYPE_CHECKING:
    from .session import get_link, get_links, get_session, get_session_for


def __getattr__(name: str) -> Any:
    # These functions need models, which Django loads after this package.
    if name in __all__:
        from . import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
