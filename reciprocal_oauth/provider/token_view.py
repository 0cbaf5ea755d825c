"""DOT's token endpoint (RFC 6749, section 3.2), which also accepts reciprocal codes from peers.

draft-ietf-oauth-reciprocal-04, section 2.2.2.
"""

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
from ..exceptions import Cause, HandoverRefused
from ..party_b.grant_type import EXCHANGE, Exchange, dialect_of_client
from ..party_b.take import count_refusal
from ..redaction.error_reports import holding_secrets
from . import bodies, client_keys, code_redemption, failure_limit, hooks
from .composition import composed_server

logger = logging.getLogger("reciprocal_oauth.provider")

#: The value of ``Retry-After``, in seconds, in the response to a token request that failed because
#: of the database.
RETRY_AFTER_SECONDS = 30


# DOT and oauthlib have codes, tokens and secrets in local variables. holding_secrets hides these
# variables in error reports.
@method_decorator(holding_secrets, name="dispatch")
# With ATOMIC_REQUESTS, Django commits after the view has returned its response, so the view could
# return status 200 although the commit then fails. outside_transactions switches ATOMIC_REQUESTS
# off for this view. The view itself then notices a failed commit, and responds with status 503.
@method_decorator(outside_transactions, name="dispatch")
class TokenView(DOTTokenView):
    """DOT's token view with the reciprocal grant.

    Every response is JSON (RFC 6749, sections 5.1 and 5.2). oauthlib and DOT would respond to some
    malformed requests with HTML or with status 500, so this view refuses such requests before it
    calls DOT.
    """

    dialect: Dialect = IETFDialect()

    @classmethod
    def get_server_class(cls) -> type:
        """Return the site's oauthlib server class, with the reciprocal grant added (RFC 6749,
        section 4.5)."""
        return composed_server(super().get_server_class())

    @classmethod
    def get_oauthlib_core(cls) -> Any:
        """Return the ``OAuthLibCore`` object of this view class, with which DOT passes requests to
        oauthlib.

        The first call also logs an error for each method that this app overrides, but that the
        installed DOT or oauthlib does not call.
        """
        # DOT stores the object in a class attribute, and subclasses inherit this attribute. If
        # DOT's own token view has already stored its object, this view would use that object, which
        # does not have the reciprocal grant. So store another object as an attribute of this class.
        if "_oauthlib_core" not in vars(cls):
            hooks.log_uncalled_hooks()
            cls._oauthlib_core = cls.get_oauthlib_backend_class()(cls.get_server())
        return super().get_oauthlib_core()

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Respond to a token request, or to a hand-over (a request with which a peer sends a
        reciprocal code)."""
        try:
            bodies.refuse_files(request)
            _check_readable(request)
            client_keys.refuse_repeated(request)
            code_redemption.mark_repeated(request)
            with failure_limit.counting_failures(request):
                if self.dialect.recognise(request):
                    return self._take_handover(request)
                return super().post(request, *args, **kwargs)
        except HandoverRefused as refused:
            logger.info("A token request was refused: %s", refused)
            return self.dialect.error(refused, request)
        except ObjectDoesNotExist as error:
            # At the same time, another request has deleted something that this request has read
            # from the database: for example the code, because the other request redeemed it, or the
            # user.
            return self._refuse_deleted(error, request)
        except (DatabaseError, InterfaceError) as error:
            # The transaction was not committed. So the new tokens (or, for a hand-over, the
            # reciprocal code) are not saved, and the client has to send the request again.
            log_exception(logger, "A token request could not be answered")
            return self.dialect.error(
                HandoverRefused(
                    protocol.TEMPORARILY_UNAVAILABLE,
                    type(error).__name__,
                    status=503,
                    retry_after=RETRY_AFTER_SECONDS,
                ),
                request,
            )

    def _refuse_deleted(self, error: ObjectDoesNotExist, request: HttpRequest) -> HttpResponse:
        refused = HandoverRefused(protocol.INVALID_GRANT, f"deleted meanwhile: {error}")
        logger.warning("A token request was refused: %s", refused, exc_info=error)
        return self.dialect.error(refused, request)

    def create_token_response(self, request: HttpRequest) -> tuple[Any, Any, Any, int]:
        """Return DOT's token response. It is always JSON, and must not be cached (RFC 6749, section
        5.1)."""
        url, headers, body, status = super().create_token_response(request)
        # Add the header Content-Type. If oauthlib raises an error, DOT does not set this header,
        # and Django would send the response as HTML.
        return url, {**HEADERS, **headers}, body, status

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Refuse a method that this endpoint does not support, such as GET, with a response in JSON
        (RFC 6749, section 3.2; RFC 9110, section 15.5.6)."""
        refused = HandoverRefused(protocol.INVALID_REQUEST, f"method {request.method}", status=405)
        response = self.dialect.error(refused, request)
        response["Allow"] = ", ".join(self._allowed_methods())
        return response

    def _take_handover(self, request: HttpRequest) -> HttpResponse:
        """Check the parameters of a hand-over (a request with which a peer sends a reciprocal
        code). Then let the class ``ReciprocalGrant`` store the code, and return its response.

        :raises HandoverRefused: a parameter is missing or wrong.
        """
        try:
            if not settings.ACCEPT_HANDOVERS:
                raise HandoverRefused(
                    protocol.UNSUPPORTED_GRANT_TYPE, "hand-overs are off", cause=Cause.OFF
                )
            handover = self.dialect.parse(request)
        except HandoverRefused as refused:
            if refused.cause is Cause.SHAPE:
                count_refusal(refused, None)
                raise  # A malformed request causes no database query.
            logger.info("A token request was refused: %s", refused)
            count_refusal(refused, None)
            dialect = dialect_of_client(request.POST.get("client_id"), self.dialect)
            return dialect.error(refused, request)
        # Tell the class ReciprocalGrant that the parameters were checked. A client cannot set this
        # key with an HTTP header, because the keys of headers in request.META begin with "HTTP_".
        request.META[EXCHANGE] = Exchange(request, handover, self.dialect)
        return self.authorization_flow_token_response(request)


def _check_readable(request: HttpRequest) -> None:
    """Refuse a request that DOT or oauthlib cannot read.

    :raises HandoverRefused: ``invalid_client`` if the credentials cannot be read;
        ``invalid_request`` if another part of the request cannot be read (RFC 6749, section 5.2).
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
