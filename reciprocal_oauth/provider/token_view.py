"""DOT's token endpoint, which also takes hand-overs."""

import logging
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from oauth2_provider.views import TokenView as DOTTokenView

from ..conf import settings
from ..core import protocol
from ..core.database import log_exception, outside_transactions
from ..dialects import Dialect
from ..dialects.form import UNREADABLE, has_odd_credentials
from ..dialects.ietf import HEADERS, IETFDialect
from ..exceptions import HandoverRefused
from ..party_b.grant_type import PARSED
from ..redaction.error_reports import holding_secrets
from . import bodies, failure_limit, hooks
from .composition import composed_server

logger = logging.getLogger("reciprocal_oauth.provider")

#: Seconds after which a peer may try again when our database is down.
RETRY_AFTER_SECONDS = 30


# The frames of DOT and oauthlib below hold codes, tokens and secrets as plain variables.
@method_decorator(holding_secrets, name="dispatch")
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
            hooks.report()
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            bodies.check_type(request)
            _check_readable(request)
            with failure_limit.counting_failures(request):
                if self.dialect.recognise(request):
                    return self._take_handover(request)
                return super().post(request, *args, **kwargs)
        except HandoverRefused as refused:
            logger.info("A token request was refused: %s", refused)
            return self.dialect.error(refused)
        except ObjectDoesNotExist as error:
            # A replay of the code, or the deletion of its user, came at this very moment: DOT looks
            # once more for what it has just saved or read.
            return self._refuse_gone(error)
        except (DatabaseError, InterfaceError) as error:
            # Never 200 before the row is committed: the client has to come again.
            log_exception(logger, "A token request could not be answered")
            return self.dialect.error(
                HandoverRefused(
                    protocol.TEMPORARILY_UNAVAILABLE,
                    type(error).__name__,
                    status=503,
                    retry_after=RETRY_AFTER_SECONDS,
                )
            )

    def _refuse_gone(self, error: ObjectDoesNotExist) -> HttpResponse:
        refused = HandoverRefused(protocol.INVALID_GRANT, f"gone meanwhile: {error}")
        logger.warning("A token request was refused: %s", refused, exc_info=error)
        return self.dialect.error(refused)

    def create_token_response(self, request: HttpRequest) -> tuple[Any, Any, Any, int]:
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
        if not settings.ACCEPT_HANDOVERS:
            raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, "hand-overs are off")
        self.dialect.parse(request)
        # The grant type takes nothing whose shape was not checked. No header has such a name.
        request.META[PARSED] = True
        return self.authorization_flow_token_response(request)


def _check_readable(request: HttpRequest) -> None:
    """Refuse what DOT and oauthlib cannot read at all.

    :raises HandoverRefused: ``invalid_request``, or ``invalid_client`` for the credentials.
    """
    try:
        parameters = [*request.POST.lists(), *request.GET.lists()]
    except UNREADABLE as error:
        raise _unreadable(f"the body or the query cannot be read: {type(error).__name__}") from None
    query = request.META.get("QUERY_STRING", "")
    for position, character in enumerate(query):
        if character == "%" and not _is_hex(query[position + 1 : position + 3]):
            raise _unreadable("the query string is not percent-encoded")
    if any("\x00" in value for _name, values in parameters for value in values):
        raise _unreadable("a parameter contains NUL")
    if has_odd_credentials(request):
        raise HandoverRefused(
            protocol.INVALID_CLIENT, "the credentials cannot be looked up", status=401
        )
    try:
        urlsplit(request.META.get("HTTP_ORIGIN", ""))
    except ValueError:
        raise _unreadable("the Origin header is no URL") from None


def _unreadable(why: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_REQUEST, why)


def _is_hex(text: str) -> bool:
    return len(text) == 2 and all(character in "0123456789abcdefABCDEF" for character in text)
