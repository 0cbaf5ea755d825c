"""The stand-in for SmartThings: links the Schema connector of the music service.

Sources: SmartThingsCommunity/st-schema-nodejs 1.5.1, and the page "Interaction types" of
SmartThings, read in November 2026. It is a stand-in: SmartThings itself checks more.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from .http import Request, Response, Routes, page
from .vendor import Unexpected, Vendor, main

ACCESS_SECONDS = 24 * 3600


class SmartThings(Vendor):
    """The cloud of SmartThings. All its messages to the site go to one address, the webhook of the
    connector."""

    name = "SmartThings"
    callback_path = "/oauth/callback"

    def buttons(self) -> Mapping[str, str]:
        return {
            "/refresh": "Refresh the access token",
            "/expire": "Let the tokens of the site expire",
            "/remove": f"Remove {self.order.site}",
        }

    def vendor_routes(self) -> Routes:
        return {
            ("POST", "/oauth/token"): self.token,
            ("POST", "/device/events"): self.events,
            ("POST", "/refresh"): self.refresh_now,
            ("POST", "/expire"): self.expire_now,
            ("POST", "/remove"): self.remove,
        }

    # Messages to the webhook of the connector

    def linked(self) -> None:
        found = self._interaction("discoveryRequest")
        devices = [each["friendlyName"] for each in found["devices"]]
        self.tell(f"asks which devices there are: {', '.join(devices)}")
        if found.get("requestGrantCallbackAccess") is not True:
            raise Unexpected("The connector does not ask for access.")
        self.tell("hands over its code (grantCallbackAccess)")
        self._interaction(
            "grantCallbackAccess",
            callbackAuthentication={
                "grantType": "authorization_code",
                "scope": "callback-access",
                "code": self.grants.new_code(),
                "clientId": self.order.issued_id,
            },
            callbackUrls={
                "oauthToken": f"{self.url}/oauth/token",
                "stateCallback": f"{self.url}/device/events",
            },
        )
        self.tell("is told that the site has taken the code")

    def refresh_now(self, request: Request) -> Response:
        """Refresh the access token of SmartThings at the site, and ask for the state with it."""
        self.refresh_at_site()
        self._interaction("stateRefreshRequest", devices=[{"externalDeviceId": "player"}])
        return self.done("asks for the state of the player with the new token")

    def remove(self, request: Request) -> Response:
        """The person removes the connector in the app."""
        self.tell("says that the person has removed the connector (integrationDeleted)")
        self._interaction("integrationDeleted")
        self.grants.end()
        return page("Done", f"{self.order.site} is removed.")

    def _interaction(self, kind: str, **members: Any) -> dict[str, Any]:
        headers = _headers(kind)
        message = {
            "headers": headers,
            "authentication": {"tokenType": "Bearer", "token": self.access_token},
            **members,
        }
        status, answer = self.post(self.order.webhook, json=message)
        if status != 200 or "globalError" in answer:
            error = answer.get("globalError", {}).get("errorEnum", "")
            raise Unexpected(f"The webhook says HTTP {status} {error} to {kind}.")
        if answer.get("headers", {}).get("requestId") != headers["requestId"]:
            raise Unexpected(f"The response to {kind} does not repeat the requestId.")
        return answer

    # What SmartThings offers to the site

    def token(self, request: Request) -> Response:
        """The address at which the site redeems the code and refreshes its tokens."""
        headers, asked = (
            request.json.get(name, {}) for name in ("headers", "callbackAuthentication")
        )
        request_id = headers.get("requestId")
        if headers.get("schema") != "st-schema" or not request_id:
            return _error("BAD-REQUEST", 400)
        if not self.knows(asked.get("clientId"), asked.get("clientSecret")):
            return _error("INVALID-CLIENT", 401)
        kind = (headers.get("interactionType"), asked.get("grantType"))
        if kind == ("accessTokenRequest", "authorization_code"):
            grant = self.grants.redeem(asked.get("code", ""))
            text = "exchanges the code of the site for tokens (accessTokenRequest)"
        elif kind == ("refreshAccessTokens", "refresh_token"):
            grant = self.grants.refresh(asked.get("refreshToken", ""))
            text = "gives the site a new access token (refreshAccessTokens)"
        else:
            return _error("UNSUPPORTED-GRANT-TYPE", 400)
        if grant is None:
            return _error("INVALID-CODE" if "code" in asked else "INVALID-TOKEN", 400)
        self.tell(text)
        return Response(
            {
                "headers": _headers("accessTokenResponse", request_id),
                "callbackAuthentication": {
                    "tokenType": "Bearer",
                    "accessToken": grant.access_token,
                    "refreshToken": grant.refresh_token,
                    "expiresIn": ACCESS_SECONDS,
                },
            }
        )

    def events(self, request: Request) -> Response:
        """The address at which the site reports the state of devices."""
        message = request.json
        headers = message.get("headers", {})
        if headers.get("interactionType") != "stateCallback" or not headers.get("requestId"):
            return _error("BAD-REQUEST", 400)
        if self.grants.of(message.get("authentication", {}).get("token", "")) is None:
            self.tell("refuses a stateCallback, because its token has expired")
            return _error("TOKEN-EXPIRED", 401)
        states = [
            f"{state['attribute']} {state['value']}"
            for device in message["deviceState"]
            for state in device["states"]
        ]
        self.tell(f"is told what the player does (stateCallback): {', '.join(states)}")
        return Response({})

    def expire_now(self, request: Request) -> Response:
        """Let the access tokens of the site expire now instead of after a day."""
        self.grants.expire()
        return self.done("lets the access token of the site expire")


def _headers(kind: str, request_id: str = "") -> dict[str, str]:
    return {
        "schema": "st-schema",
        "version": "1.0",
        "interactionType": kind,
        "requestId": request_id or str(uuid.uuid4()),
    }


def _error(error: str, status: int) -> Response:
    return Response({"globalError": {"errorEnum": error, "detail": "stand-in"}}, status)


if __name__ == "__main__":
    main(SmartThings)
