"""Finds out which person an API request acts for, from its access token (RFC 6750).

Requests with a session use the ``SessionAuthentication`` of Django REST framework.
"""

import copy
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_id_token_model
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class BearerAuthentication(OAuth2Authentication):
    """Authenticate a request by the access token in its ``Authorization`` header (RFC 6750, section
    2.1).

    Ignore tokens elsewhere in the request, because servers write URLs with their queries to logs
    (RFC 9700, section 4.3.2). Refuse a request with an invalid token, even if it also has a
    session, because the session can have more rights than the token.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the person and the token, or ``None`` if the request has no bearer token.

        The person is ``None`` if the token was issued to a client itself and not for a person.

        :raises AuthenticationFailed: the token is unknown, expired or revoked, is an ID token, or
            belongs to an inactive user (RFC 6750, section 3.1).
        """
        scheme, _space, _token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        bare = _without_parameters(request)
        found = super().authenticate(bare)
        # Check here what DOT does not check: DOT accepts an ID token (even if it has expired) as an
        # access token, and accepts a token of an inactive user.
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
    """Return a copy of the request without its query and form data.

    oauthlib would also look for a token in the query and the form, and would raise an error if it
    cannot decode the query.
    """
    bare = copy.copy(request._request)
    bare.META = {**bare.META, "QUERY_STRING": ""}
    bare.GET = QueryDict()
    bare.POST = QueryDict()
    return bare
