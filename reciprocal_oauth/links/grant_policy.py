"""The rules of the site about which user may give access to which peer.

Many sites apply such rules in their authorize view. But a reciprocal grant gives a peer access
without that view. So this app calls a function of the site each time that a peer would get access.
The setting ``RECIPROCAL_OAUTH["MAY_AUTHORIZE"]`` names this function::

    def may_authorize(user, application, scopes, request=None) -> bool: ...
"""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest

from ..conf import settings
from ..core import plugins
from ..core.scopes import split
from ..models import AuthorizationRequest, Link


class ForbiddenBySite(Exception):
    """The rules of the site do not allow this user to give access to this peer."""


def has_rules() -> bool:
    """Return whether the site has set ``MAY_AUTHORIZE``, and so has rules of its own."""
    return bool(settings.MAY_AUTHORIZE)


def allows(
    user: Any, application: Any, scopes: str | Iterable[str], request: HttpRequest | None = None
) -> bool:
    """Return whether the site allows ``user`` to give these scopes to the DOT application of a
    peer. A site without rules of its own allows everything.

    :param request: the HTTP request in which the user gives the access; ``None`` if there is no
        such request.
    """
    if not has_rules():
        return True
    asked = split(scopes) if isinstance(scopes, str) else list(scopes)
    return bool(
        plugins.function_at(settings.MAY_AUTHORIZE)(user, application, asked, request=request)
    )


def allows_link(
    link: Link | AuthorizationRequest,
    scopes: str | Iterable[str],
    request: HttpRequest | None = None,
) -> bool:
    """Return whether the site allows the user of ``link`` to give these scopes to the peer of
    ``link``. A site without rules of its own allows everything."""
    if not has_rules():
        return True  # Return early, to save the queries for the user and the application.
    return allows(link.user, link.peer.application, scopes, request)
