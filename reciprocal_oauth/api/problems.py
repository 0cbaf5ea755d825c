"""Errors of the API as problem details (RFC 9457, section 3), all in the same form.

::

    HTTP/1.1 409 Conflict
    Content-Type: application/problem+json

    {"type": "about:blank", "title": "Conflict", "status": 409,
     "code": "not_offered", "detail": "These scopes cannot be chosen: history."}

``code`` names the error; ``errors`` lists the fields that are wrong.
"""

from collections.abc import Iterator
from typing import Any

from django.db import DatabaseError
from django.http import Http404
from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ErrorDetail, NotFound, ValidationError
from rest_framework.response import Response
from rest_framework.settings import api_settings
from rest_framework.views import exception_handler

from ..core.database import wants_another_try

MEDIA_TYPE = "application/problem+json"


class Forbidden(APIException):
    """403, with its own ``code``."""

    status_code = status.HTTP_403_FORBIDDEN

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail, code)


class MissingScope(Forbidden):
    """403: the token lacks the scope that the request needs (RFC 6750, section 3.1)."""

    def __init__(self, scope: str) -> None:
        if not scope:
            super().__init__("no_tokens", _("This site does not allow access tokens here."))
            return
        super().__init__(
            "insufficient_scope",
            _("The access token lacks the scope “%(scope)s”.") % {"scope": scope},
        )
        self.auth_header = f'Bearer error="insufficient_scope", scope="{scope}"'


class Conflict(APIException):
    """409: the current state of the link does not allow the request."""

    status_code = status.HTTP_409_CONFLICT

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail, code)


class BodyTooLarge(APIException):
    """413: the body is larger than this API reads."""

    status_code = 413  # The name of this status differs between releases of REST framework.
    default_detail = _("The body is too large.")
    default_code = "too_large"


class Busy(APIException):
    """503: the database was too busy, even after several attempts."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = _(
        "This site received too many requests at once, so your request was not carried out. Wait "
        "a minute, then check your connections and try again."
    )
    default_code = "busy"
    #: Seconds in the header ``Retry-After``.
    wait = 5


def as_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """The response to ``error``; ``None`` if the error is a fault of the server (500)."""
    if isinstance(error, Http404):
        # Django's own text contains the name of the model, in English.
        error = NotFound(_("There is no such thing, or it is not yours."))
    elif isinstance(error, DatabaseError) and wants_another_try(error):
        error = Busy()
    response = exception_handler(error, context)
    if response is not None:
        response.data = _problem(error, response)
        response.content_type = MEDIA_TYPE
    return response


def _problem(error: Exception, response: Response) -> dict[str, Any]:
    problem = {
        "type": "about:blank",
        "title": response.reason_phrase,
        "status": response.status_code,
        "code": "invalid",
        "detail": str(_("The request is not valid.")),
    }
    if isinstance(error, ValidationError):
        return {**problem, "errors": list(_errors_in(error.detail))}
    # REST framework has already turned Django's PermissionDenied into its own.
    detail = response.data["detail"]
    return {**problem, "code": detail.code, "detail": str(detail)}


def _errors_in(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield the errors in a nested ``detail``, each with the path to its field."""
    if isinstance(detail, ErrorDetail):
        yield {"field": field, "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, dict):
        for name, inner in detail.items():
            is_of_all = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _errors_in(inner, field if is_of_all else f"{field}.{name}".strip("."))
    else:
        for inner in detail:
            yield from _errors_in(inner, field)
