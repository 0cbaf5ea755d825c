"""DOT's token endpoint, which also takes hand-overs."""

import logging
from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from oauth2_provider.views import TokenView as DOTTokenView

from .. import protocol
from ..conf import settings
from ..dialects import Dialect
from ..dialects.form import UNREADABLE
from ..dialects.ietf import HEADERS, IETFDialect
from ..exceptions import HandoverRefused
from ..transactions import outside_transactions
from . import client_secrets
from .composition import composed_server

logger = logging.getLogger("reciprocal_oauth.provider")

#: Seconds after which a peer may try again when our database is down.
RETRY_AFTER_SECONDS = 30


# The frames of DOT and oauthlib below hold codes, tokens and secrets as plain variables.
@method_decorator(sensitive_variables(), name="dispatch")
@method_decorator(sensitive_post_parameters(), name="dispatch")
# A commit that fails must be answered with 503: with ATOMIC_REQUESTS it would fail after the view.
@method_decorator(outside_transactions, name="dispatch")
class TokenView(DOTTokenView):
    """Everything that DOT's view does, and the reciprocal grant.

    oauthlib and DOT answer some malformed requests with HTML or 500, so the shape is checked here,
    before them; the answer is always JSON.
    """

    dialect: Dialect = IETFDialect()

    @classmethod
    def get_server_class(cls) -> type:
        return composed_server(super().get_server_class())

    @classmethod
    def get_oauthlib_core(cls) -> Any:
        # DOT caches it on the class and looks with hasattr(): where DOT's own token view has
        # answered a request in this process, ours would find the core of that one.
        if "_oauthlib_core" not in vars(cls):
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        problem = _unreadable(request)
        if problem:
            logger.info("A token request was refused: %s", problem)
            return self.dialect.error(HandoverRefused(protocol.INVALID_REQUEST, problem))
        try:
            with client_secrets.limited(request):
                if self.dialect.recognise(request):
                    return self._take_handover(request)
                return super().post(request, *args, **kwargs)
        except client_secrets.TooManyFailures as refused:
            logger.warning("A token request was refused: %s", refused)
            return self.dialect.error(refused)

    def create_token_response(self, request: HttpRequest) -> tuple[Any, Any, Any, int]:
        # DOT has by now marked the password and the client's secret alone.
        request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
        url, headers, body, status = super().create_token_response(request)
        # DOT leaves the type out where oauthlib raises: it would go out as HTML.
        return url, {**HEADERS, **headers}, body, status

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        refused = HandoverRefused(protocol.INVALID_REQUEST, f"method {request.method}", status=405)
        response = self.dialect.error(refused)
        response["Allow"] = ", ".join(self._allowed_methods())
        return response

    def _take_handover(self, request: HttpRequest) -> HttpResponse:
        try:
            if not settings.ACCEPT_HANDOVERS:
                raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, "hand-overs are off")
            self.dialect.parse(request)
            return self.authorization_flow_token_response(request)
        except HandoverRefused as refused:
            logger.info("A hand-over was refused: %s", refused)
            return self.dialect.error(refused)
        except (DatabaseError, InterfaceError) as error:
            # Never 200 before the row is committed: the peer has to come again.
            logger.exception("A hand-over could not be stored")
            return self.dialect.error(
                HandoverRefused(
                    protocol.TEMPORARILY_UNAVAILABLE,
                    type(error).__name__,
                    status=503,
                    retry_after=RETRY_AFTER_SECONDS,
                )
            )


def _unreadable(request: HttpRequest) -> str | None:
    """What keeps DOT and oauthlib from reading a token request at all; ``None``: nothing."""
    try:
        parameters = [*request.POST.lists(), *request.GET.lists()]
    except UNREADABLE as error:
        return f"the body or the query string cannot be read: {type(error).__name__}"
    query = request.META.get("QUERY_STRING", "")
    for position, character in enumerate(query):
        if character == "%" and not _is_hex(query[position + 1 : position + 3]):
            return "the query string is not percent-encoded"
    if any("\x00" in value for _name, values in parameters for value in values):
        return "a parameter contains NUL"
    return None


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(character in "0123456789abcdefABCDEF" for character in text)
