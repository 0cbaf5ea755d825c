"""The tester as a client of the subject's token endpoint, in both roles."""

import base64
import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus

from . import made_up
from .bench import Bench
from .config import Client
from .verdicts import NotGiven, Unclear
from .wire.client import FORM, Pairs, Request, Response, basic, form
from .wire.exchanges import Headers

#: Ways to authenticate, in the order in which the tester tries them. The second one is wrong
#: (RFC 6749, section 2.3.1, wants form-encoding); servers that want it fail B-AUTH-1.
AUTHENTICATIONS: Final = ("basic", "basic-raw", "body")

#: The errors of a token endpoint (RFC 6749, section 5.2).
KNOWN_ERRORS: Final = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)


def odd_basic_headers(client_id: str) -> dict[str, str]:
    """Return values of the header Authorization that authenticate nobody, by what is odd about
    them (RFC 7617, section 2)."""

    def encoded(credentials: bytes) -> str:
        return "Basic " + base64.b64encode(credentials).decode()

    own = quote_plus(client_id)
    return {
        "No Base64": "Basic %%%",
        "No colon": encoded(own.encode()),
        "A bad percent sign": encoded(f"{own}:%zz".encode()),
        "Bytes that are not UTF-8": encoded(b"\xff\xfe:\xff"),
        "The name constructor": encoded(b"constructor:constructor"),
    }


class ClientOfSubject(Bench):
    """Knows how the subject wants the tester to authenticate."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        #: The way that works. The first control finds it out.
        self.authentication = "body" if self.config.tester.auth == "body" else "basic"
        #: The ways that the subject refused before, with its response.
        self.refused_authentications: dict[str, Response] = {}
        self._knows_second = False

    def second_client(self) -> Client:
        """Return the second client, once it is known that the subject knows it: what a client must
        not do is refused to an unknown one, too.

        :raises NotGiven: there is none.
        :raises Unclear: the subject does not know it.
        """
        second = self.config.tester.second
        if second is None:
            raise NotGiven("tester.at_subject.second")
        if not self._knows_second and self.config.subject.token_endpoint:
            pairs = [("grant_type", "authorization_code"), ("code", made_up.value("code-"))]
            response = self.send(self.token_request(pairs, second))
            if response.status == 401 or response.member("error") == "invalid_client":
                raise Unclear(
                    f"The second client got {response}. Are the values in "
                    "tester.at_subject.second right?"
                )
            self._knows_second = True
        return second

    def token_request(self, pairs: Pairs, client: Client, way: str = "") -> Request:
        """Return an ordinary request to party B's token endpoint."""
        pairs, headers = list(pairs), [("Content-Type", FORM)]
        authentication, more = self.credentials(client, way)
        names = {name for name, _ in pairs}
        pairs += [pair for pair in more if pair[0] not in names]
        endpoint = self.endpoint("token_endpoint")
        return Request("POST", endpoint, headers + authentication, form(pairs))

    def credentials(self, client: Client, way: str = "") -> tuple[Headers, list[tuple[str, str]]]:
        """Return the headers and the parameters with which a client authenticates."""
        way = way or self.authentication
        self.redaction.learn(client.client_secret, "client_secret")
        if way == "body":
            return [], [("client_id", client.client_id), ("client_secret", client.client_secret)]
        header = basic(client.client_id, client.client_secret, is_raw=way == "basic-raw")
        self.redaction.learn(header.removeprefix("Basic "), "credentials")
        return [("Authorization", header)], []

    def endpoint(self, name: str) -> str:
        """Return an endpoint of party B.

        :raises NotGiven: the configuration does not have it.
        """
        url = str(getattr(self.config.subject, name))
        if not url:
            raise NotGiven(f"subject.{name}")
        return url


def read_metadata(send: Callable[[Request], Response], issuer: str) -> dict[str, Any] | None:
    """Return the metadata of an authorization server, or ``None`` if it has none."""
    scheme, _, rest = issuer.partition("://")
    host, slash, path = rest.partition("/")
    path = (slash + path).rstrip("/")
    base = f"{scheme}://{host}"
    for url in (
        f"{base}/.well-known/oauth-authorization-server{path}",
        f"{base}{path}/.well-known/openid-configuration",
        f"{base}{path}/.well-known/oauth-authorization-server",
    ):
        response = send(Request("GET", url))
        try:
            document = json.loads(response.body) if response.status == 200 else None
        except (ValueError, RecursionError):
            continue
        if isinstance(document, dict):
            return document
    return None
