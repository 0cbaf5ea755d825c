"""What all messages of SmartThings Schema have in common: the headers, and the errors.

Source: github.com/SmartThingsCommunity/st-schema-nodejs, version 1.5.1, commit 85ff97d0, read in
November 2026. The page "Interaction Types" of developer.smartthings.com describes the messages.
"""

import re
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from ..client import token_endpoint
from ..client.http import PeerResponse
from ..client.token_endpoint import TokenResponse
from ..core import protocol
from ..exceptions import Cause, PeerRefused
from ..models import Peer
from . import json_body

_SCHEMA: Mapping[str, str] = {"schema": "st-schema", "version": "1.0"}
_ECHOED = re.compile(r"[\x20-\x7e]{1,100}")
#: The forms of an ``errorEnum`` and of an ``interactionType`` that this site writes to its log.
#: SmartThings also sends numbers as ``errorEnum``.
_CODE = re.compile(r"[A-Z-]{1,40}|[A-Za-z]{1,30}|[0-9]{1,6}")

#: The ``errorEnum`` for each cause with which this site refuses a message.
_ENUMS: Mapping[Cause, str] = {
    Cause.SHAPE: "BAD-REQUEST",
    Cause.CLIENT: "INVALID-CLIENT",
    Cause.TOKEN_UNKNOWN: "INVALID-TOKEN",
    Cause.TOKEN_EXPIRED: "TOKEN-EXPIRED",
    Cause.CODE: "INVALID-CODE",
}
#: The ``errorEnum`` after the person has removed the connector.
INTEGRATION_DELETED = "INTEGRATION-DELETED"
_DEAD = ("INVALID-CODE", "INVALID-TOKEN", "TOKEN-EXPIRED", INTEGRATION_DELETED)
#: The status and the error code of RFC 6749, section 5.2, for each error of SmartThings.
_REFUSALS: Mapping[str, tuple[int, str]] = {
    **dict.fromkeys(_DEAD, (400, protocol.INVALID_GRANT)),
    **dict.fromkeys(("INVALID-CLIENT", "INVALID-CLIENT-SECRET"), (401, protocol.INVALID_CLIENT)),
    **dict.fromkeys(("BAD-REQUEST", "INVALID-INTERACTION-TYPE"), (400, protocol.INVALID_REQUEST)),
    "UNSUPPORTED-GRANT-TYPE": (400, protocol.UNSUPPORTED_GRANT_TYPE),
}
#: The members of a token response (RFC 6749, section 5.1), by their names in SmartThings Schema.
_NAMES: Mapping[str, str] = {
    "tokenType": "token_type",
    "accessToken": "access_token",
    "refreshToken": "refresh_token",
    "expiresIn": "expires_in",
}


def type_of(message: Mapping[str, Any]) -> object:
    """Return the ``interactionType`` of a message, whatever it is; ``None`` if it is missing."""
    headers = message.get("headers")
    return headers.get("interactionType") if isinstance(headers, dict) else None


def headers_of(interaction_type: str) -> dict[str, str]:
    """Return the headers of a new message of this site."""
    return {**_SCHEMA, "interactionType": interaction_type, "requestId": str(uuid.uuid4())}


def reply(request: HttpRequest, status: int = 200, **members: Any) -> HttpResponse:
    """Return the response to a message: ``members``, and the headers of the message. Values that
    are no text, or longer than 100 characters, are left out."""
    sent = json_body.peek(request).get("headers")
    sent = sent if isinstance(sent, dict) else {}
    echo = {
        name: sent[name]
        for name in ("interactionType", "requestId")
        if isinstance(sent.get(name), str) and _ECHOED.fullmatch(sent[name])
    }
    return JsonResponse(
        {"headers": {**_SCHEMA, **echo}, **members},
        status=status,
        headers={"Cache-Control": "no-store"},
    )


def refuse(request: HttpRequest, cause: Cause, otherwise: str) -> HttpResponse:
    """Return the response to a message that is refused.

    :param otherwise: the ``errorEnum`` if there is none for ``cause``.
    """
    enum = _ENUMS.get(cause, otherwise)
    # The detail can have 100 characters at most. It says no more than the enum does.
    detail = enum.replace("-", " ").capitalize()
    return reply(request, globalError={"errorEnum": enum, "detail": detail})


def enum_in(message: Mapping[str, Any]) -> object:
    """Return the ``errorEnum`` of the ``globalError`` in a message; ``None`` if there is none."""
    error = message.get("globalError")
    return error.get("errorEnum") if isinstance(error, dict) else None


def code(value: object) -> str:
    """Return ``value`` for the log if it looks like a code or a number; otherwise ``"?"``."""
    text = str(value) if isinstance(value, str | int) else ""
    return text if _CODE.fullmatch(text) else "?"


def error_in(response: PeerResponse) -> str | None:
    """Return the ``errorEnum`` in a response of SmartThings, ``"?"`` if it has another form; and
    ``None`` if the response contains no ``globalError``. The status can be 200 in each case."""
    message = {} if response.problem else token_endpoint.members_of(response.body)
    return None if message.get("globalError") is None else code(enum_in(message))


def refusal(response: PeerResponse) -> PeerRefused:
    """Return the exception for a response of SmartThings that is no success, or that contains a
    ``globalError``, perhaps with status 200.

    An unknown error may pass: a final one would end the access of all users.
    """
    found, enum = token_endpoint.refusal(response), error_in(response)
    if enum is not None:
        unknown = max(response.status, 400), protocol.SERVER_ERROR
        status, error = _REFUSALS.get(enum, unknown)
    elif found.refuses_credentials and not found.error:
        # Do not take a 401 that names no error as a refusal of the credentials of this site. A bad
        # code could then pause the peer, and whoever has an access token can send a bad code.
        status, error = found.status, protocol.INVALID_REQUEST
    else:
        return found
    log = f"HTTP {response.status} {enum or 'without a readable error'}"
    return PeerRefused(log, status=status, error=error, retry_after=found.retry_after)


def tokens_in(response: PeerResponse, peer: Peer, sent_at: datetime) -> TokenResponse:
    """Return the tokens in a response to ``accessTokenRequest`` or ``refreshAccessTokens``.

    :param sent_at: when this site sent the request.
    :raises PeerRefused: see :func:`refusal`.
    :raises BadResponse: the response contains no usable tokens.
    """
    message = token_endpoint.members_of(response.body) if response.is_success else {}
    granted = message.get("callbackAuthentication")
    granted = granted if isinstance(granted, dict) else {}
    is_error = granted.get("accessToken") is None and error_in(response) is not None
    if is_error or not response.is_success:
        raise refusal(response)
    return token_endpoint.tokens_in(
        {name: granted[its] for its, name in _NAMES.items() if its in granted}, peer, sent_at
    )
