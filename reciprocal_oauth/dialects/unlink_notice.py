"""The dialects ``yandex`` and ``sber``, for vendors that send no codes. They only call the site,
and tell it that a person has ended the link there.

Both vendors send the notice to a path below the URL that the site has entered in their console. The
site passes such a request to :func:`reciprocal_oauth.take_handover`.

Sources, read in November 2026: yandex.ru/dev/dialogs/smart-home/doc/en/reference/unlink and
developers.sber.ru/docs/en/smarthome/c2c/webhook-post-unlink.

Not implemented: the notice that Yandex sends to a function in its own cloud (JSON with
``request_type``), and the request with which the site tells Sber that it has ended the link.
"""

import re
from abc import abstractmethod
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse

from ..client.token_endpoint import TokenResponse
from ..core import protocol
from ..exceptions import AddressRefused, Cause, HandoverRefused
from ..models import Peer, Reason
from ..models.results import Failed, HandoverResult, RevocationResult
from ..secret import Secret
from .base import Dialect, Endpoint, Handover, Notice, UnlinkNotice
from .bearer import CHALLENGE, bearer_token

_REQUEST_ID = re.compile(r"[A-Za-z0-9._~:/+=-]{1,200}")
_NOTHING_SENT = "This kind of peer has no endpoint for this site, so nothing was sent."


class UnlinkNoticeDialect(Dialect):
    """The base class of the dialects of vendors that only send unlink notices."""

    #: The end of the path to which the vendor sends the notice.
    path: ClassVar[str]

    endpoint = Endpoint.OWN
    sends_codes = False
    takes_assertions = False
    sends_code_challenge = False
    optional_fields = frozenset(
        {"authorization_endpoint", "token_endpoint", "client_id", "client_secret"}
    )

    @classmethod
    def can_start(cls, peer: Any) -> bool:
        """Return False: a person links the accounts in an app of the vendor."""
        return False

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        """Return False: the vendor gets its access in the authorization code grant."""
        return False

    def recognise(self, request: HttpRequest) -> bool:
        """Return False: the vendor sends no codes."""
        return False

    def parse(self, request: HttpRequest) -> Handover:
        """Refuse the request.

        :raises HandoverRefused: always.
        """
        raise HandoverRefused(
            protocol.INVALID_REQUEST, "this kind of peer sends no codes", cause=Cause.GRANT
        )

    def success(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a notice. This dialect accepts no hand-over."""
        return self.acknowledge(request)

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return a response with the status of the refusal. If the peer is disabled, the status is
        503."""
        status = 503 if refused.cause is Cause.OFF else refused.status
        response = JsonResponse(
            self.error_members(status, request),
            status=status,
            headers={"Cache-Control": "no-store"},
        )
        if status == 401:
            response["WWW-Authenticate"] = CHALLENGE
        if refused.retry_after is not None:
            response["Retry-After"] = str(refused.retry_after)
        return response

    @abstractmethod
    def error_members(self, status: int, request: HttpRequest) -> dict[str, Any]:
        """Return the members of the JSON object in an error response with this status."""

    def notice(self, request: HttpRequest) -> Notice | None:
        """Return the notice, if the request is a POST to the path for notices. The access token is
        in the ``Authorization`` header.

        :raises HandoverRefused: the request has no access token.
        """
        if request.method != "POST" or not request.path.rstrip("/").endswith(self.path):
            return None
        return UnlinkNotice(bearer_token(request))

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Send nothing, because the vendor accepts no codes."""
        return Failed(_NOTHING_SENT, Reason.NO_REVERSE)

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """Send nothing, and raise ``AddressRefused``: the vendor issues no tokens."""
        raise AddressRefused(_NOTHING_SENT)

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Send nothing, and raise ``AddressRefused``: the vendor issues no tokens."""
        raise AddressRefused(_NOTHING_SENT)

    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Send nothing, because the vendor issues no tokens."""
        return Failed(_NOTHING_SENT, Reason.TOKEN_REFUSED)


class YandexDialect(UnlinkNoticeDialect):
    """The dialect of Yandex Smart Home. Each response repeats the header ``X-Request-Id``."""

    path = "/v1.0/user/unlink"

    def acknowledge(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a notice, with the ID of the request."""
        return JsonResponse(_request_id(request), headers={"Cache-Control": "no-store"})

    def error_members(self, status: int, request: HttpRequest) -> dict[str, Any]:
        """Return the ID of the request. Yandex documents no form of an error."""
        return _request_id(request)


class SberDialect(UnlinkNoticeDialect):
    """The dialect of Sber Smart Home, for an integration of the kind Cloud-to-Cloud."""

    path = "/v1/unlink"

    def error_members(self, status: int, request: HttpRequest) -> dict[str, Any]:
        """Return a "common error". Both messages are those of the examples of Sber."""
        message = "Invalid argument" if status < 500 else "System error"
        return {"code": status, "message": message, "details": []}


def _request_id(request: HttpRequest) -> dict[str, Any]:
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    return {"request_id": given} if _REQUEST_ID.fullmatch(given) else {}
