"""A small party B: an OAuth server that takes reciprocal codes and redeems them.

``python small_b.py config.json`` starts it. Its users answer at once: ``&user=`` in an address says
who is signed in. The configuration is what :func:`tests.conformance.configs.party_config` makes.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from small_http import (
    Client as HttpClient,
)
from small_http import (
    NoResponse,
    Received,
    Refused,
    Request,
    Response,
    basic_header,
    config_of_command_line,
    json_response,
    serve,
)
from small_tokens import RECIPROCAL, AuthorizationServer, Client

#: The longest code that is accepted, in characters.
MAX_CODE = 4096


@dataclass(frozen=True)
class Peer:
    """The other party, and this party's credentials there.

    :ivar scope: what this party asks of it.
    """

    client_id: str
    client_secret: str
    token_endpoint: str
    revocation_endpoint: str
    api: str
    scope: str


@dataclass
class Link:
    """What this party holds of a user at the other party.

    :ivar number: that of the hand-over whose tokens are in use.
    :ivar expires: when the access token ends, in seconds of the clock.
    """

    client_id: str
    user: str
    number: int = 0
    access_token: str = ""
    refresh_token: str = ""
    scope: str = ""
    expires: float = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


@dataclass(frozen=True)
class HandOver:
    """A code that was handed over. It is kept, so that it is redeemed once only."""

    number: int
    code: str = field(repr=False)
    link: Link


class PartyB:
    def __init__(self, config: Mapping[str, object]) -> None:
        self.server = AuthorizationServer(config)
        self.server.grants[RECIPROCAL] = self.take
        self.peer = Peer(**config["peer"])
        self.retry_delays = [float(each) for each in config.get("retry_delays", [1, 5])]
        timeout = float(config.get("timeout", 5))
        self.http = HttpClient(ca=str(config.get("ca", "")), timeout=timeout)
        self.lock = threading.Lock()
        self.handovers: dict[str, HandOver] = {}
        self.links: dict[tuple[str, str], Link] = {}

    # --- The hand-over (draft-ietf-oauth-reciprocal-04, section 2.2.2) ------------------------

    def take(self, client: Client, form: Mapping[str, str]) -> Response:
        """Take a code. It is redeemed after the response."""
        if not client.is_peer:
            raise Refused("unauthorized_client")
        for name in ("code", "client_id", "access_token"):
            if name not in form:
                raise Refused("invalid_request")
        if form["client_id"] != client.id:
            raise Refused("invalid_request")
        token = self.server.access_token(form["access_token"])
        if token is None or token.client_id != client.id or not token.user:
            raise Refused("invalid_grant")
        code = form["code"]
        if len(code) > MAX_CODE or not (code.isascii() and code.isprintable()):
            raise Refused("invalid_request")
        handover = self.accept(client.id, token.user, code)
        if handover is not None:
            threading.Thread(target=self.redeem, args=(handover,), daemon=True).start()
        return json_response({})

    def accept(self, client_id: str, user: str, code: str) -> HandOver | None:
        """Note a code, and return it if it has to be redeemed: the first time.

        :raises Refused: the code came for somebody else before.
        """
        with self.lock:
            known = self.handovers.get(code)
            if known is None:
                link = self.links.setdefault((client_id, user), Link(client_id, user))
                self.handovers[code] = HandOver(len(self.handovers) + 1, code, link)
                return self.handovers[code]
            if (known.link.client_id, known.link.user) != (client_id, user):
                raise Refused("invalid_grant")
            return None

    # --- The redemption (RFC 6749, section 4.1.3) ----------------------------------------------

    def redeem(self, handover: HandOver) -> None:
        """Redeem a code. Try again what can work later."""
        form = {"grant_type": "authorization_code", "code": handover.code}
        wait = 0.0
        for delay in (0.0, *self.retry_delays):
            time.sleep(max(wait, delay))
            if not self.is_known(handover.link):
                return
            received = self.post(self.peer.token_endpoint, form)
            if received is not None and not received.is_temporary:
                self.keep(handover.link, received, handover.number)
                return
            wait = received.retry_after if received is not None else 0.0

    def keep(self, link: Link, received: Received, number: int) -> bool:
        """Keep the tokens of a response, unless those of a later hand-over are here already."""
        members = received.members()
        token = members.get("access_token")
        if str(members.get("token_type", "")).lower() != "bearer":
            return False
        if received.status != 200 or not isinstance(token, str) or not token:
            return False
        with self.lock:
            is_known = self.is_known(link)
            is_newest = number >= link.number
            if is_known and is_newest:
                seconds = members.get("expires_in")
                life = float(seconds) if isinstance(seconds, int | float) else 3600
                link.number, link.access_token = number, token
                link.refresh_token = str(members.get("refresh_token") or link.refresh_token)
                link.scope = str(members.get("scope") or self.peer.scope)
                link.expires = time.time() + life
        if not is_known:
            self.revoke(token)
        return is_known and is_newest

    def is_known(self, link: Link) -> bool:
        """Whether the user has not ended the link."""
        return self.links.get((link.client_id, link.user)) is link

    def post(self, url: str, form: Mapping[str, str]) -> Received | None:
        """Send a request with this party's credentials. Return nothing if no response comes."""
        header = basic_header(self.peer.client_id, self.peer.client_secret)
        try:
            return self.http.post(url, form, Authorization=header)
        except NoResponse:
            return None

    def revoke(self, token: str) -> None:
        """End a token at the other party (RFC 7009, section 2.1)."""
        self.post(self.peer.revocation_endpoint, {"token": token})

    # --- Use of the tokens ----------------------------------------------------------------------

    def use(self, request: Request) -> Response:
        """Call the other party's API for a user, and say how it went."""
        user = request.arguments().get("user", "")
        links = [each for each in self.links.values() if each.user == user and each.access_token]
        if not links:
            return json_response({"linked": False})
        link = max(links, key=lambda each: each.number)
        status = self.call(link)
        return json_response({"linked": True, "status": status, "scope": link.scope})

    def call(self, link: Link) -> int:
        """Call the API. Refresh at most once. Return the status, or 0 if there was no response."""
        used = link.access_token
        is_refreshed = link.expires <= time.time()
        if is_refreshed and not self.refresh(link, used):
            return 401
        status = self.call_api(link)
        if status == 401 and not is_refreshed and self.refresh(link, link.access_token):
            status = self.call_api(link)
        return status

    def call_api(self, link: Link) -> int:
        try:
            return self.http.get(self.peer.api, Authorization=f"Bearer {link.access_token}").status
        except NoResponse:
            return 0

    def refresh(self, link: Link, used: str) -> bool:
        """Get a new access token in place of ``used``, unless another request did so already."""
        with link.lock:
            if link.access_token != used:
                return bool(link.access_token)
            if not link.refresh_token:
                return False
            form = {"grant_type": "refresh_token", "refresh_token": link.refresh_token}
            received = self.post(self.peer.token_endpoint, form)
            if received is None or received.is_temporary:
                return False
            if received.status != 200:
                link.access_token = link.refresh_token = ""
                return False
            return self.keep(link, received, link.number)

    def end(self, request: Request) -> Response:
        """End the links of a user, in both directions."""
        user = request.arguments().get("user", "")
        with self.lock:
            ended = [each for each in self.links.values() if each.user == user]
            for link in ended:
                del self.links[link.client_id, user]
        for client in self.server.clients.values():
            self.server.end(client.id, user)
        for link in ended:
            for token in filter(None, (link.access_token, link.refresh_token)):
                self.revoke(token)
        return json_response({"ended": len(ended)})

    # --- The authorization server ---------------------------------------------------------------

    def authorize(self, request: Request) -> Response:
        """Answer an authorization request as the user who is named would."""
        client, asked = self.server.authorization_request(request)
        if not asked.get("user"):
            raise Refused("login_required", 401)
        reciprocal = self.peer.scope if client.is_peer else ""
        return self.server.authorize(client, asked, asked["user"], reciprocal)

    def metadata(self, request: Request) -> Response:
        return json_response(self.server.metadata(tuple(self.server.grants)))


def main() -> None:
    config = config_of_command_line()
    party = PartyB(config)
    server = party.server
    serve(
        int(str(config["port"])),
        {
            "/authorize": {"GET": party.authorize},
            "/token": {"POST": server.token_endpoint},
            "/revoke": {"POST": server.revocation_endpoint},
            "/api/*": {"GET": server.api},
            "/use": {"GET": party.use},
            "/end": {"GET": party.end},
            "/.well-known/oauth-authorization-server": {"GET": party.metadata},
        },
    )


if __name__ == "__main__":
    main()
