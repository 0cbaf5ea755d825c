"""Permissions of the API: a request needs a person, the right scope, and for some views a session
instead of an access token."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from ..conf import settings
from .problems import Forbidden, MissingScope


def scope_for(method: str) -> str:
    """Return the scope that an access token needs for the HTTP ``method``, or an empty string if
    the settings of this site do not allow access tokens for that method."""
    return settings.API_READ_SCOPE if method in SAFE_METHODS else settings.API_WRITE_SCOPE


class ForAPerson(BasePermission):
    """Require that the request acts for a person, because each link belongs to a person.

    A token that was issued to a client itself (RFC 6749, section 4.4) acts for no person.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return ``True`` if a person is authenticated by a session or by an access token, and
        ``False`` if the request is anonymous.

        :raises Forbidden: the access token is valid, but it was not issued for a person.
        """
        if request.auth is not None and request.user is None:
            raise Forbidden("no_person", _("This access token does not belong to a person."))
        return bool(request.user and request.user.is_authenticated)


class HoldsScope(BasePermission):
    """Require that an access token has the scope for reading or for changing links
    (``API_READ_SCOPE``, ``API_WRITE_SCOPE``).

    Scopes for other parts of this site are not enough. A request with a session needs no scope.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return ``True`` if the request has the scope or needs none.

        :raises MissingScope: the access token lacks the scope (RFC 6750, section 3.1), or this site
            does not allow access tokens for this method.
        """
        token: Any = request.auth
        if token is None:
            return True
        needed = scope_for(request.method or "")
        if not needed or not token.allow_scopes([needed]):
            raise MissingScope(needed)
        return True


class FromASession(BasePermission):
    """Require that the request uses a session and no access token.

    Only the browser that starts a connection can complete it (RFC 9700, section 4.7). So the
    browser itself must send this request.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return ``True`` if the request has no access token.

        :raises Forbidden: the request has an access token.
        """
        if request.auth is not None:
            raise Forbidden(
                "session_required",
                _(
                    "Start a connection in the browser that goes to the other site and comes back. "
                    "Send the session cookie of the person, not an access token."
                ),
            )
        return True
