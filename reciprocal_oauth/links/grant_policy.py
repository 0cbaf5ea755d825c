"""The site's own rules on who may give access to which peer.

Many sites apply such rules in their authorize view, but a reciprocal grant does not pass through
that view. So this app calls a function of the site each time a peer would get access.
``RECIPROCAL_OAUTH["MAY_AUTHORIZE"]`` names it::

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
    """Whether the site has rules of its own."""
    return bool(settings.MAY_AUTHORIZE)


def allows(
    user: Any, application: Any, scopes: str | Iterable[str], request: HttpRequest | None = None
) -> bool:
    """Whether the site allows ``user`` to give these scopes to ``application``, which belongs to a
    peer. A site without rules of its own allows everything.

    :param request: the request of the person, if the person decides at this moment.
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
    """Whether the site allows the user of ``link`` to give these scopes to its peer."""
    if not has_rules():
        return True  # Without the queries for the user and the application.
    return allows(link.user, link.peer.application, scopes, request)
