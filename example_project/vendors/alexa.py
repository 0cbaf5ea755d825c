"""The stand-in for Alexa: enables the skill of the music service, and takes its events. It also
stands in for Login with Amazon (LWA), and it runs the "Lambda", the function of the skill that
forwards the directives of Alexa to the site.

Sources: alexa/alexa-smarthome, commit a75702aa; alexa-samples/alexa-oauth-sample, commit fc1e34e4;
the pages "Alexa.Authorization Interface", "Event Gateway" and "App-to-App Account Linking" of
Amazon, read in November 2026. It is a stand-in: the directives of devices, for example, do not
exist here.
"""

import secrets
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..alexa_lambda.handler import lambda_handler
from .http import Request, Response, Routes, page, redirect
from .vendor import Unexpected, Vendor, main

ACCESS_SECONDS = 3600


class Alexa(Vendor):
    """Alexa, its event gateway, its API for skills, and Login with Amazon."""

    name = "Alexa"
    callback_path = "/api/skill/link/STANDIN"
    # The console of Alexa has a switch for PKCE.
    uses_pkce = True

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.is_enabled = False
        #: The authorization requests of the site that the person has not answered yet.
        self._asked: dict[str, Mapping[str, str]] = {}

    def buttons(self) -> Mapping[str, str]:
        return {
            "/reciprocal": "Send another code, as a form",
            "/expire": "Let the tokens of the site expire",
            "/disable": "Disable the skill",
        }

    def vendor_routes(self) -> Routes:
        return {
            ("POST", "/reciprocal"): self.send_form,
            ("POST", "/expire"): self.expire_now,
            ("POST", "/disable"): self.disable,
            ("GET", "/ap/oa"): self.authorize,
            ("POST", "/ap/oa/[A-Za-z0-9_-]+"): self.allow,
            ("POST", "/auth/o2/token"): self.token,
            ("POST", "/v3/events"): self.events,
            ("GET", "/v1/alexaApiEndpoint"): self.region,
            ("POST", "/v1/users/~current/skills/[^/]+/enablement"): self.enable,
        }

    # What Alexa sends to the site

    def linked(self) -> None:
        """Send ``AcceptGrant``, because the skill has the permission to send events."""
        self.is_enabled = True
        directive = {
            "header": {
                "namespace": "Alexa.Authorization",
                "name": "AcceptGrant",
                "payloadVersion": "3",
                "messageId": str(uuid.uuid4()),
            },
            "payload": {
                "grant": {"type": "OAuth2.AuthorizationCode", "code": self.grants.new_code()},
                "grantee": {"type": "BearerToken", "token": self.access_token},
            },
        }
        self.tell("calls the Lambda of the skill with its code (AcceptGrant)")
        answer = lambda_handler({"directive": directive}, None)
        name = answer["event"]["header"]["name"]
        if name != "AcceptGrant.Response":
            raise Unexpected(f"The Lambda answers {name} {answer['event']['payload']}.")
        self.tell(f"gets {name} from the Lambda")

    def send_form(self, request: Request) -> Response:
        """Send a code to the ``reciprocalAccessTokenUrl`` of the skill. Its proof is the access
        token of the site; there is no client secret."""
        form = {
            "grant_type": "reciprocal_authorization_code",
            "code": self.grants.new_code(),
            "client_id": self.order.client_id,
        }
        self.tell("hands over another code, as a form (reciprocalAccessTokenUrl)")
        status, answer = self.post(self.order.webhook, form=form, bearer=self.access_token)
        if status != 200:
            raise Unexpected(f"The address says HTTP {status} {answer.get('error', '')}.")
        return self.done("is told that the site has taken the code")

    def disable(self, request: Request) -> Response:
        """The person disables the skill. Alexa tells the site nothing, until the site sends an
        event."""
        self.is_enabled = False
        self.access_token = self.refresh_token = ""
        return self.done("disables the skill, and forgets the tokens of the site")

    # Login with Amazon

    def authorize(self, request: Request) -> Response:
        """The authorization page of Login with Amazon, for a person who starts at the site."""
        asked = request.query
        if asked.get("client_id") != self.order.issued_id or asked.get("response_type") != "code":
            return Response({"error": "invalid_request"}, 400)
        key = secrets.token_urlsafe(8)
        self._asked[key] = asked
        self.tell(f"asks the person to allow: {asked.get('scope')}")
        return page(
            "Login with Amazon (stand-in)",
            f"{self.order.site} asks for: {asked.get('scope')}",
            buttons={f"/ap/oa/{key}": "Allow"},
        )

    def allow(self, request: Request) -> Response:
        """Send the person back to the site with a code."""
        asked = self._asked.pop(request.path.rpartition("/")[2], None)
        if asked is None:
            return Response({"error": "invalid_request"}, 400)
        code = self.grants.new_code(
            redirect_uri=asked["redirect_uri"], challenge=asked.get("code_challenge", "")
        )
        back = {"code": code, "state": asked.get("state", ""), "scope": asked.get("scope", "")}
        return redirect(f"{asked['redirect_uri']}?{urlencode(back)}")

    def token(self, request: Request) -> Response:
        """The token endpoint of Login with Amazon."""
        form = request.form
        if not self.knows(*request.credentials):
            return Response({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            grant = self.grants.redeem(
                form.get("code", ""),
                redirect_uri=form.get("redirect_uri", ""),
                verifier=form.get("code_verifier", ""),
            )
            text = "exchanges the code of the site for tokens (Login with Amazon)"
        elif form.get("grant_type") == "refresh_token":
            grant = self.grants.refresh(form.get("refresh_token", ""))
            text = "gives the site a new access token (Login with Amazon)"
        else:
            return Response({"error": "unsupported_grant_type"}, 400)
        if grant is None:
            return Response({"error": "invalid_grant"}, 400)
        self.tell(text)
        return Response(
            {
                "access_token": grant.access_token,
                "refresh_token": grant.refresh_token,
                "token_type": "bearer",
                "expires_in": ACCESS_SECONDS,
            }
        )

    # The event gateway, and the API for skills

    def events(self, request: Request) -> Response:
        """The event gateway, to which the site reports the state of devices."""
        if self.grants.of(request.bearer) is None:
            self.tell("refuses an event, because its token has expired")
            return _exception("INVALID_ACCESS_TOKEN_EXCEPTION", 401)
        if not self.is_enabled:
            self.tell("refuses an event, because the person has disabled the skill")
            return _exception("SKILL_DISABLED_EXCEPTION", 403)
        event = request.json.get("event", {})
        scope = event.get("endpoint", {}).get("scope", {})
        if scope.get("token") != request.bearer:
            return _exception("INVALID_REQUEST_EXCEPTION", 400)
        self.tell(f"takes an event of the site: {event['header']['name']}")
        return Response({}, 202)

    def region(self, request: Request) -> Response:
        """Name the host of the API in the region of the person's account. This stand-in has one."""
        return Response({"endpoints": [self.url.partition("://")[2]]})

    def enable(self, request: Request) -> Response:
        """Enable the skill for a person who has started at the site, with a code of the site
        ("App-to-App Account Linking")."""
        asked = request.json.get("accountLinkRequest", {})
        if self.grants.of(request.bearer) is None:
            return Response({"message": "Unauthorized"}, 401)
        if self.order.skill_id not in request.path.split("/") or asked.get("type") != "AUTH_CODE":
            return Response({"message": "Bad request"}, 400)
        self.tell("is asked to enable the skill, with a code of the site")
        self.redeem_at_site(asked["authCode"], asked["redirectUri"])
        self.tell("redeems the code of the site, with its redirect URI: the skill is enabled")
        self.linked()
        return Response(
            {
                "skill": {"stage": request.json.get("stage"), "id": self.order.skill_id},
                "accountLink": {"status": "LINKED"},
                "status": "ENABLED",
            },
            201,
        )

    def expire_now(self, request: Request) -> Response:
        """Let the access tokens of the site expire now instead of after an hour."""
        self.grants.expire()
        return self.done("lets the access token of the site expire")


def _exception(code: str, status: int) -> Response:
    payload = {"code": code, "description": "stand-in"}
    header = {"namespace": "System", "name": "Exception", "messageId": str(uuid.uuid4())}
    return Response({"header": header, "payload": payload}, status)


if __name__ == "__main__":
    main(Alexa)
