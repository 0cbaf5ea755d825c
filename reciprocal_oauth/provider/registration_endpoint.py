"""The two endpoints at which another site registers here, as the client of a pairing.

They take and return the messages of RFC 7591, section 3, and RFC 7592, section 2. They are not
DOT's endpoints for dynamic client registration: those cannot say whether a registration was made
already, and an application that they make can get every scope of the site until a peer owns it.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables

from ..compat import login_not_required
from ..core import protocol
from ..core.database import log_exception, outside_transactions
from ..dialects.form import UNREADABLE
from ..exceptions import RegistrationRefused
from ..pairing import answering, configuration, messages
from ..redaction.error_reports import holding_secrets
from . import failure_limit
from .token_view import RETRY_AFTER_SECONDS

logger = logging.getLogger("reciprocal_oauth.provider")

_HEADERS: Mapping[str, str] = {"Cache-Control": "no-store", "Pragma": "no-cache"}


@method_decorator([csrf_exempt, login_not_required], name="dispatch")
@method_decorator(holding_secrets, name="dispatch")
@method_decorator(outside_transactions, name="dispatch")
class _Endpoint(View):
    """A view for programs: each response is JSON, and a refused request gets an error of RFC 7591,
    section 3.2.2."""

    @sensitive_variables()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Respond to a request. Limit how many wrong tokens one address can send."""
        response: HttpResponseBase
        try:
            with failure_limit.counting_failures(request):
                try:
                    response = super().dispatch(request, *args, **kwargs)
                except RegistrationRefused as refused:
                    if refused.status == 401:
                        # Only now, so that nobody who guesses stops those that have a good token.
                        # Behind a proxy that is not set up, all have the same address. Nobody can
                        # guess a token of 256 bits.
                        failure_limit.require_few_unknown_codes()
                        failure_limit.count_unknown_code()
                    raise
        except RegistrationRefused as refused:
            logger.warning("A registration was refused: %s", refused)
            response = _refusal(refused)
        except failure_limit.TooManyFailures as refused:
            logger.warning("A registration was refused: %s", refused)
            response = _refusal(_unavailable(str(refused), 429, refused.retry_after or 60))
        except (DatabaseError, InterfaceError) as error:
            log_exception(logger, "A registration could not be answered")
            response = _refusal(_unavailable(type(error).__name__, 503, RETRY_AFTER_SECONDS))
        return response

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Refuse another method, with a response in JSON (RFC 9110, section 15.5.6)."""
        response = _json({"error": protocol.INVALID_REQUEST}, 405)
        response["Allow"] = ", ".join(name.upper() for name in self.http_method_names)
        return response


class RegistrationView(_Endpoint):
    """The address at which another site registers here, with a token that this site has issued (RFC
    7591, section 3)."""

    http_method_names = ("post",)

    @sensitive_variables()
    def post(self, request: HttpRequest) -> HttpResponse:
        """Register the other site, and respond with status 201.

        :raises RegistrationRefused: the token is not good, or a value is wrong.
        """
        token = _bearer(request)
        text = answering.answer(token, _body(request))
        return HttpResponse(text, status=201, content_type="application/json", headers=_HEADERS)


class ClientConfigurationView(_Endpoint):
    """The client configuration endpoint of a paired site (RFC 7592, section 2)."""

    http_method_names = ("get", "put", "delete")

    @sensitive_variables()
    def get(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Respond with the registration, without secrets (RFC 7592, section 2.1).

        :raises RegistrationRefused: the token is not good.
        """
        return _json(configuration.read(client_id, _bearer(request)))

    @sensitive_variables()
    def put(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """Update the registration, and respond with a new registration access token and, if the
        other site asks for it, with a new client secret (RFC 7592, section 2.2).

        :raises RegistrationRefused: the token is not good, or a value cannot be changed.
        """
        token = _bearer(request)
        return _json(configuration.update(client_id, token, _body(request)))

    @sensitive_variables()
    def delete(self, request: HttpRequest, client_id: str) -> HttpResponse:
        """End the pairing, and respond with status 204 (RFC 7592, section 2.3).

        :raises RegistrationRefused: the token is not good.
        """
        configuration.delete(client_id, _bearer(request))
        return HttpResponse(status=204, headers=_HEADERS)


@sensitive_variables()
def _bearer(request: HttpRequest) -> str:
    """Return the token in the ``Authorization`` header (RFC 6750, section 2.1).

    :raises RegistrationRefused: there is none.
    """
    scheme, _space, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or not token.isascii():
        raise messages.unauthorized("there is no bearer token")
    return token


@sensitive_variables()
def _body(request: HttpRequest) -> bytes:
    """Return the request body.

    :raises RegistrationRefused: it is too long, or not JSON.
    """
    if request.content_type != "application/json":
        raise messages.invalid("The Content-Type must be application/json.")
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length > messages.MAX_BODY_BYTES:
            raise messages.invalid(
                f"The body must not have more than {messages.MAX_BODY_BYTES} bytes."
            )
        return request.body
    except UNREADABLE:
        raise messages.invalid("The body is too long or cannot be read.") from None


def _unavailable(log: str, status: int, retry_after: int) -> RegistrationRefused:
    return RegistrationRefused(
        protocol.TEMPORARILY_UNAVAILABLE, log, status=status, retry_after=retry_after
    )


def _refusal(refused: RegistrationRefused) -> HttpResponse:
    body = {"error": refused.error}
    if refused.description:
        body["error_description"] = refused.description
    response = _json(body, refused.status)
    if refused.status == 401:
        response["WWW-Authenticate"] = f'Bearer error="{refused.error}"'
    if refused.retry_after is not None:
        response["Retry-After"] = str(refused.retry_after)
    return response


def _json(members: Mapping[str, Any], status: int = 200) -> HttpResponse:
    text = json.dumps(members)
    return HttpResponse(text, status=status, content_type="application/json", headers=_HEADERS)
