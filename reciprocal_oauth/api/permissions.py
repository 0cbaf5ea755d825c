"""What a request is allowed to do, depending on how it is authenticated."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from ..conf import settings
from .problems import Forbidden, MissingScope


def scope_for(method: str) -> str:
    """The scope that an access token needs for ``method``; empty if no token is allowed."""
    return settings.API_READ_SCOPE if method in SAFE_METHODS else settings.API_WRITE_SCOPE


class ForAPerson(BasePermission):
    """Require a person: links belong to people, so a token that belongs to a client only (RFC 6749,
    section 4.4) cannot read them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return whether the request is made for a person.

        :raises Forbidden: the access token belongs to no person.
        """
        if request.auth is not None and request.user is None:
            raise Forbidden("no_person", _("This access token does not belong to a person."))
        return bool(request.user and request.user.is_authenticated)


class HoldsScope(BasePermission):
    """Require the scope of the API to read or to change links, for a request with an access token.
    The scopes of a peer for other parts of this site are not enough."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return ``True``, or raise.

        :raises MissingScope: the access token lacks the scope (RFC 6750, section 3.1), or this site
            does not allow access tokens here.
        """
        token: Any = request.auth
        if token is None:
            return True
        needed = scope_for(request.method or "")
        if not needed or not token.allow_scopes([needed]):
            raise MissingScope(needed)
        return True


class FromASession(BasePermission):
    """Require a session: the response of the peer is only accepted in the browser session that
    started the flow (RFC 9700, section 4.7), and an access token has no session."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return ``True``, or raise.

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
