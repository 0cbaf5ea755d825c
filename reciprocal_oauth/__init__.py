"""Reciprocal OAuth for Django: link a user's accounts at two sites, so that each site can call the
API of the other site for this user.

The package implements draft-ietf-oauth-reciprocal-04 on top of django-oauth-toolkit (DOT). It can
be imported before ``django.setup()``, because the import loads no models.
"""

from typing import TYPE_CHECKING, Any

from ._version import __version__

__all__ = [
    "__version__",
    "get_link",
    "get_links",
    "get_session",
    "get_session_for",
    "take_handover",
]

if TYPE_CHECKING:
    from .provider.own_address import take_handover
    from .session import get_link, get_links, get_session, get_session_for


def __getattr__(name: str) -> Any:
    # Import the functions when they are first used, because they need models, and models cannot be
    # imported before Django has loaded the apps.
    if name == "take_handover":
        from .provider.own_address import take_handover

        return take_handover
    if name in __all__:
        from . import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
