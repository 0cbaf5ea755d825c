"""What all stand-ins do: they link the account of a person at the music service, as an OAuth client
of it, and they keep a journal of what they sent and received."""

import base64
import hashlib
import json
import secrets
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import requests

from ..servers import end_with_parent
from .grants import Grants
from .http import Request, Response, Routes, page, redirect, serve

TIMEOUT_SECONDS = 10


class Unexpected(Exception):
    """The site has sent another response than the vendor expects."""


@dataclass(frozen=True)
class Order:
    """What the demo tells a stand-in when it starts it.

    :ivar port: the port of the stand-in.
    :ivar site: the name of the site.
    :ivar authorization_endpoint, token_endpoint: the endpoints of the site.
    :ivar client_id, client_secret: the registration of the vendor at the site.
    :ivar issued_id, issued_secret: the registration of the site at the vendor.
    :ivar scope: the scope that the vendor requests at the site.
    :ivar webhook: the address of the site to which the vendor sends its messages.
    :ivar skill_id: the id of the Alexa skill of the site; ``""`` for other vendors.
    """

    port: int
    site: str
    authorization_endpoint: str
    token_endpoint: str
    client_id: str
    client_secret: str
    issued_id: str
    issued_secret: str
    scope: str
    webhook: str
    skill_id: str = ""


class Vendor(ABC):
    """Base class of the stand-ins.

    :ivar access_token: the access token that the site issued to the vendor; ``""`` if there is
        none.
    :ivar refresh_token: the refresh token that the site issued to the vendor.
    :ivar grants: the access that the vendor gave to the site.
    """

    name: str
    #: The path of the redirect URI of the vendor.
    callback_path: str
    #: Whether the vendor uses PKCE when it links an account (RFC 7636).
    uses_pkce = False

    def __init__(self, order: Order) -> None:
        self.order = order
        self.url = f"http://127.0.0.1:{order.port}"
        self.access_token = self.refresh_token = ""
        self.grants = Grants()
        self._journal: list[dict[str, str]] = []
        self._states: dict[str, str] = {}
        self._http = requests.Session()
        self._http.trust_env = False

    @abstractmethod
    def buttons(self) -> Mapping[str, str]:
        """Return the paths and the texts of the buttons on the page of the stand-in, besides the
        button that links the account."""

    @abstractmethod
    def vendor_routes(self) -> Routes:
        """Return the views of this vendor."""

    @abstractmethod
    def linked(self) -> None:
        """Do what the vendor does after it has linked an account.

        :raises Unexpected: the site sends another response than the vendor expects.
        """

    def run(self) -> None:
        """Serve requests until the process ends."""
        serve(
            self.order.port,
            {
                ("GET", "/"): self.home,
                ("GET", "/journal"): lambda request: Response(self._journal),
                ("POST", "/link"): self.link,
                ("GET", self.callback_path): self.callback,
                **self.vendor_routes(),
            },
        )

    # The journal

    def tell(self, text: str) -> None:
        """Write a line to the journal. It must contain no code, token or secret."""
        self._journal.append({"at": datetime.now(UTC).isoformat(), "text": text})

    # Pages

    def home(self, request: Request) -> Response:
        """The page of the stand-in."""
        return page(
            f"{self.name} (stand-in)",
            f"This is a stand-in for a demonstration, and no software of {self.name}.",
            buttons={"/link": f"Link {self.order.site}", **self.buttons()},
        )

    def done(self, text: str) -> Response:
        """Write ``text`` to the journal, and return a page that says it."""
        self.tell(text)
        return page("Done", text)

    # Linking the account (RFC 6749, section 4.1)

    def link(self, request: Request) -> Response:
        """Send the person to the authorization endpoint of the site."""
        state, verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(48)
        self._states[state] = verifier
        parameters = {
            "response_type": "code",
            "client_id": self.order.client_id,
            "redirect_uri": self.url + self.callback_path,
            "scope": self.order.scope,
            "state": state,
        }
        if self.uses_pkce:
            digest = hashlib.sha256(verifier.encode()).digest()
            parameters |= {
                "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
                "code_challenge_method": "S256",
            }
        self.tell(f"sends the person to {self.order.site} to link the account")
        return redirect(f"{self.order.authorization_endpoint}?{urlencode(parameters)}")

    def callback(self, request: Request) -> Response:
        """The person comes back from the site with a code. Redeem it, and then do what the vendor
        does next."""
        verifier = self._states.pop(request.query.get("state", ""), None)
        if verifier is None or "code" not in request.query:
            return page("Not linked", "The site sent no code for this person.")
        self.redeem_at_site(request.query["code"], self.url + self.callback_path, verifier)
        self.tell(f"redeems the code of {self.order.site} for tokens: the account is linked")
        self.linked()
        return page("Linked", f"{self.order.site} is linked with {self.name}.")

    def redeem_at_site(self, code: str, redirect_uri: str, verifier: str = "") -> None:
        """Redeem a code of the site, and keep the tokens (RFC 6749, section 4.1.3)."""
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if self.uses_pkce and verifier:
            fields["code_verifier"] = verifier
        self._keep(self._token_request(fields))

    def refresh_at_site(self) -> None:
        """Get new tokens at the site, and keep them (RFC 6749, section 6)."""
        before = self.access_token
        fields = {"grant_type": "refresh_token", "refresh_token": self.refresh_token}
        self._keep(self._token_request(fields))
        if self.access_token == before:
            raise Unexpected("The site has sent the same access token again.")
        self.tell(f"refreshes its access token at {self.order.site}")

    def _token_request(self, fields: Mapping[str, str]) -> dict[str, Any]:
        credentials = {
            "client_id": self.order.client_id,
            "client_secret": self.order.client_secret,
        }
        status, answer = self.post(self.order.token_endpoint, form={**fields, **credentials})
        if status != 200 or not answer.get("refresh_token"):
            raise Unexpected(f"The token endpoint says HTTP {status} {answer.get('error', '')}")
        return answer

    def _keep(self, tokens: Mapping[str, str]) -> None:
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]

    # Requests to the site

    def post(
        self,
        url: str,
        *,
        form: Mapping[str, str] | None = None,
        json: Any = None,
        bearer: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """Send a POST request to the site. Return the status and the JSON object in the response,
        which is empty if the response contains none."""
        response = self._http.post(
            url,
            data=form,
            json=json,
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            timeout=TIMEOUT_SECONDS,
            allow_redirects=False,
        )
        try:
            answer = response.json()
        except ValueError:
            answer = {}
        return response.status_code, answer if isinstance(answer, dict) else {}

    # The registration of the site at the vendor

    def knows(self, client_id: object, secret: object) -> bool:
        """Return whether these are the credentials that the vendor has issued to the site."""
        return (client_id, secret) == (self.order.issued_id, self.order.issued_secret)


def main(kind: type[Vendor]) -> None:
    """Run the stand-in ``kind``. Standard input contains its :class:`Order` as JSON."""
    end_with_parent()
    kind(Order(**json.load(sys.stdin))).run()
