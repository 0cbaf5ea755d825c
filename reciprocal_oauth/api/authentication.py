"""Authenticate the person of a request by an access token (RFC 6750) or by the session."""

import copy
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_id_token_model
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class BearerAuthentication(OAuth2Authentication):
    """Accept an access token in the ``Authorization`` header only (RFC 6750, section 2.1). A token
    in a query would be written to logs (RFC 9700, section 4.3.2).

    An invalid token is always an error. The request never falls back to the session, which may have
    more rights than the token.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the person and the token. The person is ``None`` if the token belongs to a client
        only; the result is ``None`` without a token.

        :raises AuthenticationFailed: the token is unknown, expired or revoked, is an ID token, or
            belongs to an inactive user.
        """
        scheme, _space, _token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        bare = _without_parameters(request)
        found = super().authenticate(bare)
        # DOT accepts an ID token as an access token, even an expired one, and does not check
        # whether the user is active.
        if (
            found is None
            or isinstance(found[1], get_id_token_model())
            or (found[0] is not None and not found[0].is_active)
        ):
            request.oauth2_error = getattr(bare, "oauth2_error", {})  # type: ignore[attr-defined]
            raise AuthenticationFailed(
                _("The access token is unknown, expired or revoked."), code="invalid_token"
            )
        return found


def _without_parameters(request: Request) -> Any:
    """Copy the request without its query and form. oauthlib also looks for a token there, and
    raises an error for a query that it cannot decode."""
    bare = copy.copy(request._request)
    bare.META = {**bare.META, "QUERY_STRING": ""}
    bare.GET = QueryDict()
    bare.POST = QueryDict()
    return bare
