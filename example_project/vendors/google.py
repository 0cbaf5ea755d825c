"""The stand-in for Google: links the account of a person at the music service, signs in with it,
and ends the link.

Sources: the pages "Linked Account Sign-In", "OAuth-based account linking" and
"action.devices.DISCONNECT" of Google, read in November 2026. It is a stand-in: Google itself has
more rules.
"""

import time
import uuid
from collections.abc import Mapping

from jwcrypto.jwk import JWK
from jwcrypto.jwt import JWT

from .http import Request, Response, Routes, page
from .vendor import Unexpected, Vendor, main

ACCESS_SECONDS = 3599
GRANT_TYPE = "urn:ietf:params:oauth:grant-type:reciprocal"
#: The issuer in the ID tokens of Google. The tokens of the stand-in name it too, so that the site
#: is configured as it is for Google. They are signed with a key that is made here.
ISSUER = "https://accounts.google.com"
#: The id of the person's account at Google. It is made up.
SUBJECT = "100000000000000000001"


class Google(Vendor):
    """Google Account Linking, and the part of it that signs people in with a linked account."""

    name = "Google"
    callback_path = "/r/standin-project"
    uses_pkce = True

    def buttons(self) -> Mapping[str, str]:
        return {"/refresh": "Refresh the access token", "/unlink": f"Unlink {self.order.site}"}

    def vendor_routes(self) -> Routes:
        return {
            ("POST", "/token"): self.token,
            ("POST", "/refresh"): self.refresh_now,
            ("POST", "/unlink"): self.unlink,
        }

    # What Google sends to the site

    def linked(self) -> None:
        form = {
            "code": self.grants.new_code(),
            "grant_type": GRANT_TYPE,
            "client_id": self.order.client_id,
            "client_secret": self.order.client_secret,
            "access_token": self.access_token,
        }
        self.tell("sends its code to the token endpoint of the site (reciprocal grant)")
        status, answer = self.post(self.order.token_endpoint, form=form)
        if (status, answer) != (200, {}):
            raise Unexpected(f"The token endpoint says HTTP {status} {answer.get('error', '')}.")
        self.tell("is told that the code is redeemed")

    def refresh_now(self, request: Request) -> Response:
        """Refresh the access token of Google at the site."""
        self.refresh_at_site()
        message = {"requestId": str(uuid.uuid4()), "inputs": [{"intent": "action.devices.SYNC"}]}
        status, answer = self.post(self.order.webhook, json=message, bearer=self.access_token)
        devices = answer.get("payload", {}).get("devices")
        if status != 200 or not devices:
            raise Unexpected(f"The fulfilment URL says HTTP {status}, and names no devices.")
        return self.done(f"finds the device with the new token (SYNC): {devices[0]['id']}")

    def unlink(self, request: Request) -> Response:
        """The person unlinks the site at Google. Google tells the fulfilment URL."""
        message = {
            "requestId": str(uuid.uuid4()),
            "inputs": [{"intent": "action.devices.DISCONNECT"}],
        }
        self.tell("says that the person has unlinked the site (DISCONNECT)")
        status, answer = self.post(self.order.webhook, json=message, bearer=self.access_token)
        if (status, answer) != (200, {}):
            raise Unexpected(f"The fulfilment URL says HTTP {status}.")
        self.grants.end()
        return page("Done", f"{self.order.site} is unlinked.")

    # What Google offers to the site

    def token(self, request: Request) -> Response:
        """The token endpoint of Google. The response to a code contains an ID token."""
        form = request.form
        if not self.knows(*request.credentials):
            return Response({"error": "invalid_client"}, 401)
        if form.get("grant_type") == "authorization_code":
            grant = self.grants.redeem(form.get("code", ""))
        elif form.get("grant_type") == "refresh_token":
            grant = self.grants.refresh(form.get("refresh_token", ""))
        else:
            return Response({"error": "unsupported_grant_type"}, 400)
        if grant is None:
            return Response({"error": "invalid_grant"}, 400)
        tokens = {
            "access_token": grant.access_token,
            "expires_in": ACCESS_SECONDS,
            "token_type": "Bearer",
            "scope": "openid",
        }
        if form["grant_type"] == "authorization_code":
            tokens |= {"refresh_token": grant.refresh_token, "id_token": self._id_token()}
            self.tell("exchanges the code of the site for tokens, with a signed ID token")
        return Response(tokens)

    def _id_token(self) -> str:
        """Return an ID token that names the account of the person (OpenID Connect Core 1.0, section
        2)."""
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": self.order.issued_id,
            "sub": SUBJECT,
            "iat": now,
            "exp": now + ACCESS_SECONDS,
        }
        key = JWK.generate(kty="RSA", size=2048, kid="stand-in")
        token = JWT(header={"alg": "RS256", "kid": "stand-in"}, claims=claims)
        token.make_signed_token(key)
        return str(token.serialize())


if __name__ == "__main__":
    main(Google)
