"""Turns every error of the API into problem details (RFC 9457, section 3). For example::

    HTTP/1.1 409 Conflict
    Content-Type: application/problem+json

    {"type": "about:blank", "title": "Conflict", "status": 409,
     "code": "not_offered", "detail": "These scopes cannot be chosen: history."}

``code`` names the error for programs. If fields of the request are wrong, ``errors`` lists them.
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
    """An error with status 403 (RFC 9110, section 15.5.4). ``code`` names the reason."""

    status_code = status.HTTP_403_FORBIDDEN

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail, code)


class MissingScope(Forbidden):
    """An error with status 403: the access token lacks the scope that the request needs (RFC 6750,
    section 3.1). If ``scope`` is empty, this site does not allow access tokens for the request."""

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
    """An error with status 409 (RFC 9110, section 15.5.10): the link is not in the right state."""

    status_code = status.HTTP_409_CONFLICT

    def __init__(self, code: str, detail: Any) -> None:
        super().__init__(detail, code)


class BodyTooLarge(APIException):
    """An error with status 413: the request body is too large (RFC 9110, section 15.5.14)."""

    status_code = 413  # The name of the constant depends on the release of REST framework.
    default_detail = _("The body is too large.")
    default_code = "too_large"


class Busy(APIException):
    """An error with status 503 (RFC 9110, section 15.6.4): all attempts found the database busy."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE
    default_detail = _(
        "This site received too many requests at once, so your request was not carried out. Wait "
        "a minute, then check your connections and try again."
    )
    default_code = "busy"
    #: The seconds that REST framework sends in ``Retry-After`` (RFC 9110, section 10.2.3).
    wait = 5


def as_problem(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the response with the problem details of ``error``. If the error is unexpected, return
    ``None``, so that Django responds with status 500."""
    if isinstance(error, Http404):
        # Replace Django's text, which contains the name of a model and is always in English.
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
    # Read the detail from the response, because ``error`` can be Django's PermissionDenied, which
    # has no ``detail``. The response contains the detail that REST framework has added.
    detail = response.data["detail"]
    return {**problem, "code": detail.code, "detail": str(detail)}


def _errors_in(detail: Any, field: str = "") -> Iterator[dict[str, str]]:
    """Yield each error in ``detail`` with the path to its field.

    :param detail: the detail of a ``ValidationError``: nested dicts and lists.
    :param field: the path to the field that ``detail`` belongs to, such as ``scopes.0``.
    """
    if isinstance(detail, ErrorDetail):
        yield {"field": field, "code": str(detail.code), "detail": str(detail)}
    elif isinstance(detail, dict):
        for name, inner in detail.items():
            is_of_all = name == api_settings.NON_FIELD_ERRORS_KEY
            yield from _errors_in(inner, field if is_of_all else f"{field}.{name}".strip("."))
    else:
        for inner in detail:
            yield from _errors_in(inner, field)
