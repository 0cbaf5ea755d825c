"""What a request may do, by how it has authenticated."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from ..conf import settings
from .problems import Forbidden, MissingScope


def scope_for(method: str) -> str:
    """The scope that an access token needs for a request with ``method``; empty: none will do."""
    return settings.API_READ_SCOPE if method in SAFE_METHODS else settings.API_WRITE_SCOPE


class ForAPerson(BasePermission):
    """Links belong to people: the token of a client that acts for itself reads none of them."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is not None and request.user is None:
            raise Forbidden("no_person", _("This access token does not stand for a person."))
        return bool(request.user and request.user.is_authenticated)


class HoldsScope(BasePermission):
    """An access token needs the scope of its own that reads, or changes, links. What a peer was
    given for its other calls is not enough."""

    def has_permission(self, request: Request, view: Any) -> bool:
        token: Any = request.auth
        if token is None:
            return True
        needed = scope_for(request.method or "")
        if not needed or not token.allow_scopes([needed]):
            raise MissingScope(needed)
        return True


class FromASession(BasePermission):
    """The answer of the peer is taken only in the browser session that began the visit (RFC 9700,
    section 4.7), and a token has none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        if request.auth is not None:
            raise Forbidden(
                "session_required",
                _(
                    "A connection is begun in the browser that goes to the other site and comes "
                    "back: with the session cookie of the person, not with an access token."
                ),
            )
        return True
