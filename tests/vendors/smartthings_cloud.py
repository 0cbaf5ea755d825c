"""SmartThings on loopback, and the messages that it sends to the webhook of a site."""

import json
from typing import Any, ClassVar

from django.test import Client

from reciprocal_oauth.dialects.smartthings import SmartThingsDialect

from ..fakes import FakePeer, Received, Reply, Script

REQUEST_ID = "8C58E0CD-386F-4BBB-80B9-B28A7FF8040F"
CODE = "eyJhbGciOiJIUzM4NCJ9.x"
ADDRESS = "/connections/handover/smartthings/"


class LoopbackDialect(SmartThingsDialect):
    """Knows the addresses of the fake cloud in place of those of SmartThings."""


class PatientDialect(LoopbackDialect):
    """Responds before the code is redeemed, as the documentation shows."""

    redeems_first = False


#: Values of the setting ``DIALECTS``.
DIALECTS: dict[str, str] = {"smartthings": f"{__name__}.LoopbackDialect"}
PATIENT: dict[str, str] = {"smartthings": f"{__name__}.PatientDialect"}


class Cloud(FakePeer):
    """Redeems each code and each refresh token, in two regions.

    :ivar interactions: what the site has sent, in order.
    """

    REGIONS: ClassVar[tuple[str, ...]] = ("us", "eu")

    def __init__(self) -> None:
        super().__init__()
        self._tokens = 0
        for region in self.REGIONS:
            self.answers[f"/{region}/oauth/token"] = self.issue
            self.answers[f"/{region}/device/events"] = Reply(200, b"")
        LoopbackDialect.addresses = {
            "oauthToken": frozenset(f"{self.url}/{each}/oauth/token" for each in self.REGIONS),
            "stateCallback": frozenset(f"{self.url}/{each}/device/events" for each in self.REGIONS),
        }

    def callback_urls(self, region: str = "us") -> dict[str, str]:
        return {
            "oauthToken": f"{self.url}/{region}/oauth/token",
            "stateCallback": f"{self.url}/{region}/device/events",
        }

    def issue(self, request: Received) -> Reply:
        self._tokens += 1
        return tokens(f"at-{self._tokens}", f"rt-{self._tokens}", json.loads(request.body))

    def answer_tokens(self, script: Script | list[Script]) -> None:
        for region in self.REGIONS:
            self.answers[f"/{region}/oauth/token"] = script

    @property
    def interactions(self) -> list[tuple[str, dict[str, Any]]]:
        return [(each.path, json.loads(each.body)) for each in self.requests]


def tokens(access: str, refresh: str, request: dict[str, Any] | None = None) -> Reply:
    """A response to ``accessTokenRequest`` or ``refreshAccessTokens``."""
    return Reply.json(
        200,
        headers={
            "schema": "st-schema",
            "version": "1.0",
            "interactionType": "accessTokenResponse",
            "requestId": (request or {"headers": {"requestId": "r"}})["headers"]["requestId"],
        },
        callbackAuthentication={
            "tokenType": "Bearer",
            "accessToken": access,
            "refreshToken": refresh,
            "expiresIn": 86400,
        },
    )


def global_error(enum: object, status: int = 200) -> Reply:
    return Reply.json(status, globalError={"errorEnum": enum, "detail": "canary-of-the-cloud"})


def headers(interaction_type: str, request_id: str = REQUEST_ID) -> dict[str, str]:
    return {
        "schema": "st-schema",
        "version": "1.0",
        "interactionType": interaction_type,
        "requestId": request_id,
    }


def grant(token: str, urls: dict[str, str], client_id: str = "pdq") -> dict[str, Any]:
    """``grantCallbackAccess`` as in the tests of st-schema-nodejs."""
    return {
        "headers": headers("grantCallbackAccess"),
        "authentication": {"tokenType": "Bearer", "token": token},
        "callbackAuthentication": {
            "grantType": "authorization_code",
            "scope": "callback-access",
            "code": CODE,
            "clientId": client_id,
        },
        "callbackUrls": urls,
    }


def deleted(token: str) -> dict[str, Any]:
    """``integrationDeleted`` as in the tests of st-schema-nodejs."""
    return {
        "headers": headers("integrationDeleted", "B30F2993-0BE4-464B-9506-1FF686072FA1"),
        "authentication": {"tokenType": "Bearer", "token": token},
    }


def post(message: object, path: str = ADDRESS, content_type: str = "application/json") -> Any:
    """Post a message, or bytes as they are, as SmartThings does."""
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    return Client().generic("POST", path, body, content_type=content_type)
