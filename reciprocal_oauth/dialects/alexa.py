"""The dialect ``alexa``: skills of Amazon Alexa, which hand over codes of Login with Amazon (LWA).

There are two forms of hand-over. A smart home skill sends the directive ``AcceptGrant``, which the
AWS Lambda of the skill forwards with the credentials of Alexa at this site (HTTP Basic)::

    {"directive": {
        "header": {"namespace": "Alexa.Authorization", "name": "AcceptGrant", ...},
        "payload": {"grant": {"type": "OAuth2.AuthorizationCode", "code": "..."},
                    "grantee": {"type": "BearerToken", "token": "..."}}}}

Other skills send a form to the ``reciprocalAccessTokenUrl`` of the skill::

    Authorization: Bearer ...

    grant_type=reciprocal_authorization_code&code=...&client_id=...

Alexa shows the person a failure unless the code is redeemed, so this site redeems it first.

Sources, read in November 2026: developer.amazon.com, "Alexa.Authorization Interface" and "Account
Linking Schemas"; alexa-samples/alexa-oauth-sample. Not verified: how Alexa reads the error
responses to the form.
"""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse

from ..core import protocol
from ..exceptions import Cause, HandoverRefused
from ..secret import Secret
from . import json_body
from .alexa_enablement import HOSTS, EnablementMixin
from .base import Endpoint, Handover, Trust
from .bearer import CHALLENGE, bearer_token
from .form import FORM_TYPE, check_form, names_grant, single
from .ietf import IETFDialect

#: The header in which the Lambda names its region, which is the region of the person.
REGION_HEADER = "X-Alexa-Region"
GRANT_TYPE = "reciprocal_authorization_code"
_NAMESPACE = "Alexa.Authorization"
_NO_STORE = {"Cache-Control": "no-store"}
_BASIC = {"WWW-Authenticate": 'Basic realm="handover"'}
_FAILED = {"type": "ACCEPT_GRANT_FAILED", "message": "The grant was not accepted."}
_MAX_CORRELATION = 4096  # Characters.

#: The status and the error code for a form, by cause. Others get 500, as in the sample of Amazon.
_FORM_ERRORS: Mapping[Cause, tuple[int, str]] = {
    Cause.SHAPE: (400, protocol.INVALID_REQUEST),
    Cause.GRANT: (400, protocol.UNSUPPORTED_GRANT_TYPE),
    Cause.CLIENT: (401, protocol.INVALID_CLIENT),
    Cause.TOKEN_UNKNOWN: (401, protocol.INVALID_TOKEN),
    Cause.TOKEN_EXPIRED: (401, protocol.INVALID_TOKEN),
}


class AlexaDialect(EnablementMixin, IETFDialect):
    """The dialect of Amazon Alexa. It redeems codes and refreshes tokens as in RFC 6749."""

    endpoint = Endpoint.OWN
    redeems_first = True
    revokes_replaced_tokens = False
    grace_seconds = 120
    optional_fields = frozenset({"authorization_endpoint"})
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "stage": ("live", "development"),
        "region": tuple(HOSTS),
    }

    def recognise(self, request: HttpRequest) -> bool:
        """Return whether the request is the directive ``AcceptGrant`` or the form."""
        if _is_form(request):
            return names_grant(request, GRANT_TYPE)
        directive = json_body.peek(request).get("directive")
        header = directive.get("header") if isinstance(directive, dict) else None
        return isinstance(header, dict) and _is_accept_grant(header)

    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over in the directive or the form. ``data`` contains ``origin``, which
        is ``directive`` or ``form``, and ``region`` if the Lambda names it."""
        return _parse_form(request) if _is_form(request) else _parse_directive(request)

    def success(self, request: HttpRequest) -> HttpResponse:
        """Return an ``AcceptGrant.Response`` event; for the form, an empty JSON object."""
        if _is_form(request):
            return JsonResponse({}, headers=_NO_STORE)
        return _event(request, "AcceptGrant.Response", {})

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return an ``ErrorResponse`` event with status 200, or status 401 if the Lambda does not
        authenticate; for the form, an error object."""
        if _is_form(request):
            status, code = _FORM_ERRORS.get(refused.cause, (500, protocol.SERVER_ERROR))
            bearer = {protocol.INVALID_TOKEN: CHALLENGE, protocol.INVALID_CLIENT: "Bearer"}
            challenge = {"WWW-Authenticate": bearer[code]} if status == 401 else {}
        elif refused.cause is Cause.CLIENT:
            status, code, challenge = 401, protocol.INVALID_CLIENT, _BASIC
        else:
            return _event(request, "ErrorResponse", _FAILED)
        return JsonResponse({"error": code}, status=status, headers={**_NO_STORE, **challenge})


def _is_form(request: HttpRequest) -> bool:
    return request.content_type == FORM_TYPE


def _is_accept_grant(header: Mapping[str, Any]) -> bool:
    return (header.get("namespace"), header.get("name")) == (_NAMESPACE, "AcceptGrant")


def _parse_form(request: HttpRequest) -> Handover:
    check_form(request)
    if single(request, "grant_type") != GRANT_TYPE:
        raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, "grant_type is another grant")
    code, client_id = Secret(single(request, "code")), single(request, "client_id")
    return Handover(
        code, bearer_token(request), client_id, trust=Trust.BEARER, data={"origin": "form"}
    )


def _parse_directive(request: HttpRequest) -> Handover:
    directive = json_body.mapping(json_body.read(request), "directive")
    header = json_body.mapping(directive, "header")
    if not _is_accept_grant(header):
        raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, "it is another directive")
    payload = json_body.mapping(directive, "payload")
    grant, grantee = json_body.mapping(payload, "grant"), json_body.mapping(payload, "grantee")
    if grant.get("type") != "OAuth2.AuthorizationCode" or grantee.get("type") != "BearerToken":
        raise HandoverRefused(protocol.UNSUPPORTED_GRANT_TYPE, "another type of grant or grantee")
    code = json_body.secret(grant, "code", protocol.MAX_CODE_LENGTH)
    token, data = json_body.secret(grantee, "token"), {"origin": "directive"}
    if (region := request.headers.get(REGION_HEADER)) is not None:
        if region not in HOSTS:
            raise json_body.malformed(f"{REGION_HEADER} is not one of {', '.join(HOSTS)}")
        data["region"] = region
    return Handover(code, token, trust=Trust.CLIENT, data=data)


def _event(request: HttpRequest, name: str, payload: Mapping[str, Any]) -> HttpResponse:
    header = {"namespace": _NAMESPACE, "name": name, "payloadVersion": "3"}
    header["messageId"] = str(uuid.uuid4())
    with suppress(HandoverRefused):  # The correlation token is missing or unusable.
        directive = json_body.mapping(json_body.peek(request), "directive")
        sent = json_body.mapping(directive, "header")
        header["correlationToken"] = json_body.text(sent, "correlationToken", _MAX_CORRELATION)
    return JsonResponse({"event": {"header": header, "payload": payload}}, headers=_NO_STORE)
