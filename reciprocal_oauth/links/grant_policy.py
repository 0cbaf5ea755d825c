"""The site's own rules on who may let which peer in.

Many sites decide that in their authorize view, which a reciprocal grant never passes. So they are
asked wherever a peer gets access: ``RECIPROCAL_OAUTH["MAY_AUTHORIZE"]`` names a function::

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
    """The site does not allow that the peer is given access for this user."""


def has_rules() -> bool:
    return bool(settings.MAY_AUTHORIZE)


def allows(
    user: Any, application: Any, scopes: str | Iterable[str], request: HttpRequest | None = None
) -> bool:
    """Whether the site lets ``user`` give ``application``, a peer's, these scopes. A site without
    rules of its own allows everything, and costs no query.

    :param request: the person's, where one is there to decide.
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
    """Whether the site lets the user of ``link``, or of a visit, give its peer these scopes."""
    if not has_rules():
        return True
    return allows(link.user, link.peer.application, scopes, request)
