"""The addresses to which SmartThings and Google send their messages.

A vendor sends all its messages to one address. Some of them are about the link of the person: a
code, or the news that the person has ended the link. ``take_handover`` takes these. All others are
about the devices of the person, and the site responds itself. Here, each person has one device: the
player.
"""

import json
from typing import Any

from django.db.transaction import non_atomic_requests
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST
from oauth2_provider.oauth2_backends import get_oauthlib_core

from reciprocal_oauth import take_handover

PLAYER = "player"


@csrf_exempt
@non_atomic_requests
@require_POST
def smartthings(request: HttpRequest) -> HttpResponse:
    """The webhook of the SmartThings connector of this site."""
    response = take_handover(request, "smartthings")
    if response is not None:
        return response
    message = _json(request)
    headers = _object(message, "headers")
    user = _user_of(request, "smartthings", _object(message, "authentication").get("token"))
    if user is None:
        # DOT does not say whether the token has expired or is unknown. After this error,
        # SmartThings can refresh its token.
        error = {"errorEnum": "TOKEN-EXPIRED", "detail": "The token is not valid."}
        return _smartthings(headers, globalError=error)
    match headers.get("interactionType"):
        case "discoveryRequest":
            # With this member, SmartThings sends its code next ("grantCallbackAccess").
            return _smartthings(headers, requestGrantCallbackAccess=True, devices=[_device()])
        case "stateRefreshRequest":
            return _smartthings(headers, deviceState=[state_of(user)])
        case _:
            error = {"errorEnum": "INVALID-INTERACTION-TYPE", "detail": "Not implemented"}
            return _smartthings(headers, globalError=error)


@csrf_exempt
@non_atomic_requests
@require_POST
def google(request: HttpRequest) -> HttpResponse:
    """The fulfilment URL of the smart home integration with Google."""
    response = take_handover(request, "google")
    if response is not None:
        return response
    message = _json(request)
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    user = _user_of(request, "google", token if scheme.lower() == "bearer" else None)
    if user is None:
        return HttpResponse(
            status=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
        )
    inputs = message.get("inputs")
    listed = inputs if isinstance(inputs, list) else []
    intents = [each.get("intent") for each in listed if isinstance(each, dict)]
    if intents != ["action.devices.SYNC"]:
        payload: dict[str, Any] = {"errorCode": "notSupported"}
    else:
        player = {
            "id": PLAYER,
            "type": "action.devices.types.SPEAKER",
            "traits": ["action.devices.traits.MediaState"],
            "name": {"name": "Music player"},
            "willReportState": False,
        }
        payload = {"agentUserId": str(user.pk), "devices": [player]}
    return JsonResponse({"requestId": message.get("requestId"), "payload": payload})


def state_of(user: Any) -> dict[str, Any]:
    """Return what the player of ``user`` does, in the form of SmartThings."""
    value = "on" if user.plays.exists() else "off"
    capability = {"component": "main", "capability": "st.switch", "attribute": "switch"}
    return {"externalDeviceId": PLAYER, "states": [{**capability, "value": value}]}


def _device() -> dict[str, Any]:
    return {
        "externalDeviceId": PLAYER,
        "friendlyName": "Music player",
        "deviceHandlerType": "c2c-switch",
        "manufacturerInfo": {"manufacturerName": "Music", "modelName": "Example"},
    }


def _smartthings(headers: dict[str, Any], **members: Any) -> JsonResponse:
    kind = str(headers.get("interactionType", "")).replace("Request", "Response")
    answer = {"schema": "st-schema", "version": "1.0", "interactionType": kind}
    return JsonResponse(
        {"headers": {**answer, "requestId": headers.get("requestId")}, **members},
        headers={"Cache-Control": "no-store"},
    )


@sensitive_variables()
def _user_of(request: HttpRequest, slug: str, token: object) -> Any:
    """Return the user of an access token that this site has issued to the peer ``slug``; ``None``
    if the token is not valid or has not the scope ``playback``."""
    if not isinstance(token, str):
        return None
    # SmartThings sends the token in the body. DOT reads it from this header.
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    is_valid, found = get_oauthlib_core().verify_request(request, scopes=["playback"])
    if not is_valid or found.client is None:
        return None
    peer = getattr(found.client, "reciprocal_peer", None)
    return found.user if peer is not None and peer.slug == slug else None


def _json(request: HttpRequest) -> dict[str, Any]:
    try:
        value = json.loads(request.body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _object(members: dict[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name)
    return value if isinstance(value, dict) else {}
