"""The webhook of a site for SmartThings. The documentation shows this file."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from oauth2_provider.decorators import protected_resource

from reciprocal_oauth import take_handover


@csrf_exempt
@require_POST
def webhook(request: HttpRequest) -> HttpResponse:
    response = take_handover(request, "smartthings")
    if response is not None:
        return response
    try:
        message = json.loads(request.body)
        kind = message["headers"]["interactionType"]
        token = message["authentication"]["token"]
    except (KeyError, TypeError, ValueError):
        return HttpResponse(status=400)
    # SmartThings sends the access token in the body. Check it as usual.
    request.META["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return discover(request, message) if kind == "discoveryRequest" else HttpResponse(status=400)


@protected_resource(scopes=["playback"])
def discover(request: HttpRequest, message: Any) -> HttpResponse:
    return JsonResponse(
        {
            "headers": {**message["headers"], "interactionType": "discoveryResponse"},
            "requestGrantCallbackAccess": True,
            "devices": devices_of(request.resource_owner),  # type: ignore[attr-defined]
        }
    )


def devices_of(user: Any) -> list[dict[str, str]]:
    return [
        {
            "externalDeviceId": f"lamp-of-{user.username}",
            "friendlyName": "Lamp",
            "deviceHandlerType": "c2c-switch",
        }
    ]
