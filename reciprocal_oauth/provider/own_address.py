"""The address of one peer alone, for vendors that do not use the token endpoint of this site.

Some vendors send all their messages to one URL of the site, so the site needs a view of its own
there. Such a view calls :func:`take_handover` first. :class:`HandoverView` is for all others.
"""

import logging
import time
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ObjectDoesNotExist
from django.db import DatabaseError, InterfaceError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from oauthlib.common import Request

from ..compat import login_not_required
from ..conf import settings
from ..core import protocol
from ..core.database import log_exception, outside_transactions, require_no_transaction
from ..core.throttle import Throttle
from ..dialects import dialect_of
from ..dialects.base import Dialect, Endpoint, Handover, Notice, Report, Trust
from ..dialects.form import basic_client_id, has_odd_credentials
from ..exceptions import Cause, HandoverRefused
from ..models import Peer
from ..party_b.take import log_refusal, site_accepts, take
from ..redaction.error_reports import hide_form, holding_secrets
from . import bodies, failure_limit
from .token_revocation import end_link_of
from .token_view import RETRY_AFTER_SECONDS, TokenView

logger = logging.getLogger("reciprocal_oauth.provider")

#: How many reports of one peer are logged in a minute. Anybody can send a report.
_REPORTS = Throttle("peer-reports", limit=10)


@sensitive_variables()
def take_handover(request: HttpRequest, slug: str) -> HttpResponse | None:
    """Take a message of the peer ``slug`` that concerns the link: a hand-over, or a notice that a
    link has ended. Call this function first in a view that also gets other messages of the vendor.
    Mark the view with ``csrf_exempt`` and, with ``ATOMIC_REQUESTS``, with
    ``transaction.non_atomic_requests``.

    :returns: the response to the message; ``None`` if the message is something else, or if there is
        no such peer. In this case the body of ``request`` is still readable.
    :raises TransactionManagementError: the caller has a transaction open.
    :raises ImproperlyConfigured: there is no dialect with the name in ``Peer.dialect``.
    """
    require_no_transaction("A hand-over cannot be taken")
    peer = _find(slug)
    if request.method != "POST" or peer is None:
        return None
    if request.content_type == "multipart/form-data":
        return None  # No vendor uses it. Reading it could write files of the site's own message.
    return _respond(request, peer, only_own=True)


@method_decorator([csrf_exempt, login_not_required], name="dispatch")
@method_decorator(holding_secrets, name="dispatch")
@method_decorator(outside_transactions, name="dispatch")
class HandoverView(View):
    """The address ``connections/handover/<slug>/``. A message that is neither a hand-over nor a
    notice gets the response that the dialect of the peer defines for it."""

    http_method_names = ("post", "options")

    def http_method_not_allowed(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Refuse another method than POST, with a response in JSON (RFC 9110, section 15.5.6)."""
        body = {"error": protocol.INVALID_REQUEST}
        return JsonResponse(
            body, status=405, headers={"Cache-Control": "no-store", "Allow": "POST, OPTIONS"}
        )

    def post(self, request: HttpRequest, slug: str) -> HttpResponse:
        """Take a message of the peer ``slug``. If there is no dialect with the name in
        ``Peer.dialect``, respond with status 503 and no body.

        :raises Http404: there is no such peer, or peers of its kind send nothing to this address.
        """
        peer = _find(slug)
        try:
            if peer is None or not dialect_of(peer).has_own_address():
                raise Http404
        except ImproperlyConfigured as error:
            logger.error("Peer %s can hand over nothing: %s", slug, error)
            return HttpResponse(status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
        response = _respond(request, peer, only_own=False)
        assert response is not None  # noqa: S101  For the type checker.
        return response


def _find(slug: str) -> Peer | None:
    if "\x00" in slug:
        return None  # PostgreSQL refuses NUL in a text.
    return Peer.objects.select_related("application").filter(slug=slug).first()


@sensitive_variables()
def _respond(request: HttpRequest, peer: Peer, *, only_own: bool) -> HttpResponse | None:
    """Return the response to a message of ``peer``.

    :param only_own: whether to return ``None`` for a message that is neither a hand-over nor a
        notice; otherwise such a message is refused.
    """
    started_at = time.monotonic()
    dialect = dialect_of(peer)
    try:
        bodies.refuse_files(request)
        with failure_limit.counting_failures(request):
            notice = dialect.notice(request)
            if notice is not None:
                hide_form(request)
                _take_notice(notice, peer)
                return dialect.acknowledge(request)
            is_ours = dialect.endpoint is Endpoint.OWN
            if only_own and not (is_ours and dialect.recognise(request)):
                return None
            hide_form(request)
            if not is_ours:
                raise HandoverRefused(
                    protocol.INVALID_REQUEST, "no message for this address", cause=Cause.GRANT
                )
            _take(request, peer, dialect, started_at)
            return dialect.success(request)
    except (HandoverRefused, ObjectDoesNotExist, DatabaseError, InterfaceError) as error:
        refused = _refusal_for(error)
    log_refusal(refused, peer.application)
    return dialect.error(refused, request)


def _refusal_for(error: Exception) -> HandoverRefused:
    if isinstance(error, HandoverRefused):
        return error
    if isinstance(error, ObjectDoesNotExist):
        # At the same time, another request has deleted something that this request has read.
        return HandoverRefused(protocol.INVALID_GRANT, f"deleted meanwhile: {error}")
    log_exception(logger, "A hand-over could not be answered")
    return HandoverRefused(
        protocol.TEMPORARILY_UNAVAILABLE,
        type(error).__name__,
        status=503,
        retry_after=RETRY_AFTER_SECONDS,
    )


def _take_notice(notice: Notice, peer: Peer) -> None:
    """Carry out a notice. An unknown token changes nothing, and the response is the same.

    :raises HandoverRefused: the peer is disabled, or too many unknown tokens came.
    """
    if not peer.enabled:
        raise HandoverRefused(protocol.UNAUTHORIZED_CLIENT, "the peer is disabled")
    if isinstance(notice, Report):
        if _REPORTS.count(str(peer.pk)):
            logger.warning("Peer %s reports: %s", peer.slug, notice.text)
        return
    # A vendor can send many notices with tokens that are no longer known here, all from one
    # address. So their limit is higher, and separate from the one for hand-overs.
    failure_limit.require_few_failures(peer, "notice")
    if not end_link_of(notice.access_token, peer.application):
        failure_limit.count_failure_of(peer, "notice")


def _take(request: HttpRequest, peer: Peer, dialect: Dialect, started_at: float) -> None:
    """Take a hand-over.

    :raises HandoverRefused: the hand-over is refused.
    """
    if not settings.ACCEPT_HANDOVERS:
        raise HandoverRefused(
            protocol.UNSUPPORTED_GRANT_TYPE, "hand-overs are off", cause=Cause.OFF
        )
    handover = dialect.parse(request)
    for_oauthlib = _oauthlib_request(request)
    validator = TokenView.get_oauthlib_core().server.request_validator
    has_authenticated = handover.trust is Trust.CLIENT
    if has_authenticated:
        _authenticate(request, for_oauthlib, validator, peer)
    else:
        failure_limit.require_few_failures(peer)
    for_oauthlib.client = peer.application
    _check_client_ids(handover, peer)
    try:
        take(
            peer.application,
            handover,
            accepts=lambda token: site_accepts(validator, token, for_oauthlib),
            started_at=started_at,
            # Everybody can send some access token, and would fill the traces of this site.
            trace=request.META.get("HTTP_TRACEPARENT", "") if has_authenticated else "",
        )
    except HandoverRefused as refused:
        if refused.cause is Cause.TOKEN_UNKNOWN:
            failure_limit.count_failure_of(peer)
        raise


def _oauthlib_request(request: HttpRequest) -> Request:
    headers = {name: value for name, value in request.META.items() if isinstance(value, str)}
    # Leave out the query: oauthlib would take client credentials from it, and raises ValueError for
    # a query that is not form-encoded.
    uri, _, _query = request.build_absolute_uri().partition("?")
    return Request(uri, "POST", None, headers)


def _authenticate(request: HttpRequest, for_oauthlib: Request, validator: Any, peer: Peer) -> None:
    """Check that the request contains the credentials of the peer at this site, as HTTP Basic (RFC
    6749, section 2.3.1).

    :raises HandoverRefused: ``invalid_client`` with status 401.
    """
    # Compare the client ID first. DOT may fetch a client ID that is a URL from the network.
    if has_odd_credentials(request) or basic_client_id(request) != peer.application.client_id:
        raise _unauthenticated("the client is not the one of this peer")
    if not validator.authenticate_client(for_oauthlib):
        raise _unauthenticated("client authentication failed")
    client = for_oauthlib.client
    if client.pk != peer.application_id or client.client_type != client.CLIENT_CONFIDENTIAL:
        raise _unauthenticated("the client is public or not the one of this peer")


def _check_client_ids(handover: Handover, peer: Peer) -> None:
    """Check the client IDs that the request contains.

    :raises HandoverRefused: ``invalid_client`` with status 401.
    """
    if handover.client_id not in (None, peer.application.client_id):
        raise _unauthenticated("client_id is not the one of this peer here")
    if handover.our_client_id not in (None, peer.client_id):
        raise _unauthenticated("the client ID of this site is another one")


def _unauthenticated(why: str) -> HandoverRefused:
    return HandoverRefused(protocol.INVALID_CLIENT, why, status=401)
