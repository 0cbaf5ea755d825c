"""Whom a request is made for: the person of an access token (RFC 6750), or of the session."""

import copy
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from oauth2_provider.contrib.rest_framework import OAuth2Authentication
from oauth2_provider.models import get_id_token_model
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request


class BearerAuthentication(OAuth2Authentication):
    """An access token in the ``Authorization`` header, and nowhere else: a query ends up in logs
    (RFC 9700, section 4.3.2).

    A token that is not good is never passed over in favour of a session, whose rights may be more.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """The person, ``None`` where the token stands for nobody, and the token.

        :raises AuthenticationFailed: a token is there, but it is not good.
        """
        scheme, _space, _token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        bare = _without_parameters(request)
        found = super().authenticate(bare)
        # DOT takes an ID token for an access token, whatever its age, and does not ask whether the
        # person has been locked out.
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
    """The request without query and form: oauthlib looks for a token there too, and fails over a
    query that it cannot decode."""
    bare = copy.copy(request._request)
    bare.META = {**bare.META, "QUERY_STRING": ""}
    bare.GET = QueryDict()
    bare.POST = QueryDict()
    return bare
