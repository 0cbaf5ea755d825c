"""A small party A: an OAuth client of party B that hands its own codes over to it.

``python small_a.py config.json`` starts it. It has pages with forms, and people sign in. The
configuration is what :func:`tests.conformance.configs.party_config` makes.
"""

import hmac
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from small_http import Client as HttpClient
from small_http import (
    NoResponse,
    Received,
    Request,
    Response,
    basic_header,
    config_of_command_line,
    json_response,
    redirect,
    serve,
)
from small_pages import BadForm, access_page, authorize_page, consent_page, home_page, login_page
from small_pages import message_page as message
from small_tokens import RECIPROCAL, AuthorizationServer, challenge_of, scopes_of


@dataclass(frozen=True)
class Peer:
    """The other party, and this party's credentials there.

    :ivar id_here: the client ID that it has at this party.
    :ivar agreed_scope: what it gets if it asks for nothing.
    """

    id_here: str
    issuer: str
    client_id: str
    client_secret: str
    authorization_endpoint: str
    token_endpoint: str
    revocation_endpoint: str
    scope: str
    agreed_scope: str


@dataclass(frozen=True)
class Visit:
    """An authorization request whose answer is awaited."""

    verifier: str = field(repr=False)


@dataclass
class Session:
    """One browser in which somebody is signed in.

    :ivar csrf: what its forms hold, so that nobody else can send them.
    :ivar visits: by their ``state``.
    """

    user: str
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    visits: dict[str, Visit] = field(default_factory=dict)


@dataclass
class Link:
    """What this party and a user have with the other party.

    :ivar token: this party's access token there.
    :ivar refresh_token: what refreshes it, or an empty text.
    :ivar expires: when the access token ends, in seconds of the clock.
    :ivar question: the scopes that the user is asked to allow, or ``None`` when nothing is asked.
    :ivar number: how many times the user has decided. A later decision ends earlier hand-overs.
    """

    user: str
    token: str = field(repr=False)
    question: frozenset[str] | None
    number: int = 0
    refresh_token: str = field(default="", repr=False)
    expires: float = float("inf")

    def keep(self, members: Mapping[str, object]) -> bool:
        """Keep the tokens of a response, if it has an access token that can be used."""
        token = members.get("access_token")
        is_bearer = str(members.get("token_type", "")).lower() == "bearer"
        if not isinstance(token, str) or not token or not is_bearer:
            return False
        self.token = token
        self.refresh_token = str(members.get("refresh_token") or self.refresh_token)
        seconds = members.get("expires_in")
        if isinstance(seconds, int):
            self.expires = time.time() + seconds
        return True


class PartyA:
    def __init__(self, config: Mapping[str, object]) -> None:
        self.server = AuthorizationServer(config)
        self.peer = Peer(**config["peer"])
        self.client_here = self.server.clients[self.peer.id_here]
        self.redirect_uri = str(config["redirect_uri"])
        self.passwords = dict(config["users"])
        self.retry_delays = [float(each) for each in config.get("retry_delays", [1, 5])]
        timeout = float(config.get("timeout", 5))
        self.http = HttpClient(ca=str(config.get("ca", "")), timeout=timeout)
        self.lock = threading.RLock()
        self.sessions: dict[str, Session] = {}
        self.links: dict[str, Link] = {}

    # --- People ---------------------------------------------------------------------------------

    def session(self, request: Request) -> Session | None:
        return self.sessions.get(request.cookie("session"))

    def sent_form(self, request: Request) -> tuple[Session, dict[str, str]]:
        """Return the session and the form, if the form is from a page of this session.

        :raises BadForm: it is not: another site has made it.
        """
        session = self.session(request)
        form = request.form(several=("scope",))
        if session is None or not hmac.compare_digest(form.get("csrf", ""), session.csrf):
            raise BadForm
        return session, form

    def show_login(self, request: Request) -> Response:
        return login_page(request.arguments().get("next", "/"))

    def log_in(self, request: Request) -> Response:
        form = request.form()
        user, password = form.get("user", ""), form.get("password", "")
        right = self.passwords.get(user, secrets.token_urlsafe())
        if not hmac.compare_digest(password.encode(), str(right).encode()):
            return message("The password is wrong.", 403)
        key = secrets.token_urlsafe(32)
        self.sessions[key] = Session(user)
        target = form.get("next", "/")
        is_here = target.startswith("/") and not target.startswith("//")
        response = redirect(target if is_here else "/")
        response.headers["Set-Cookie"] = f"session={key}; HttpOnly; Path=/; SameSite=Lax"
        return response

    def show_home(self, request: Request) -> Response:
        session = self.session(request)
        if session is None:
            return redirect("/login", next="/")
        return home_page(session.user, session.csrf, is_linked=session.user in self.links)

    # --- The authorization code flow towards party B (RFC 6749, section 4.1) --------------------

    def start_link(self, request: Request) -> Response:
        """Send the browser to party B."""
        session, _ = self.sent_form(request)
        state, visit = secrets.token_urlsafe(32), Visit(secrets.token_urlsafe(48))
        session.visits[state] = visit
        return redirect(
            self.peer.authorization_endpoint,
            response_type="code",
            client_id=self.peer.client_id,
            redirect_uri=self.redirect_uri,
            scope=self.peer.scope,
            state=state,
            code_challenge=challenge_of(visit.verifier),
            code_challenge_method="S256",
        )

    def callback(self, request: Request) -> Response:
        """Take the answer of party B, and ask the user for consent."""
        answer, session = request.arguments(), self.session(request)
        visit = session.visits.pop(answer.get("state", ""), None) if session else None
        if session is None or visit is None:
            return message("This answer belongs to no visit of yours.", 400)
        if answer.get("iss") != self.peer.issuer:
            return message("Another site has sent this answer.", 400)
        if "error" in answer or "code" not in answer:
            return message("The other site did not let you in.")
        received = self.post(
            self.peer.token_endpoint,
            {
                "grant_type": "authorization_code",
                "code": answer["code"],
                "redirect_uri": self.redirect_uri,
                "code_verifier": visit.verifier,
            },
        )
        members = received.members() if received is not None and received.status == 200 else {}
        asked = members.get("reciprocal", answer.get("reciprocal", ""))
        link = Link(session.user, "", self.question(asked))
        if not link.keep(members):
            return message("The other site did not answer as it should.", 400)
        self.links[session.user] = link
        return redirect("/consent")

    def question(self, asked: object) -> frozenset[str]:
        """Return what the user is asked to allow: what party B asks, and may have
        (draft-ietf-oauth-reciprocal-04, section 2.1)."""
        agreed = scopes_of(self.peer.agreed_scope)
        wanted = scopes_of(asked) if isinstance(asked, str) else frozenset()
        return wanted & self.client_here.scopes or agreed

    # --- Consent (draft-ietf-oauth-reciprocal-04, section 2.2.1) --------------------------------

    def show_consent(self, request: Request) -> Response:
        session = self.session(request)
        link = self.links.get(session.user) if session else None
        if session is None or link is None or link.question is None:
            return redirect("/")
        return consent_page(session.csrf, sorted(link.question))

    def answer_consent(self, request: Request) -> Response:
        session, form = self.sent_form(request)
        link = self.links.get(session.user)
        if link is None or link.question is None:
            return message("There is no question.", 409)
        allowed = scopes_of(form.get("scope", "")) & link.question
        link.question = None
        if form.get("decision") == "allow" and allowed:
            self.decide(link, allowed)
        return redirect("/")

    def show_access(self, request: Request) -> Response:
        session = self.session(request)
        if session is None or session.user not in self.links:
            return redirect("/")
        has = self.server.allowed.get((self.client_here.id, session.user), frozenset())
        return access_page(session.csrf, sorted(self.client_here.scopes), has)

    def change_access(self, request: Request) -> Response:
        """Add or take away scopes (draft-ietf-oauth-reciprocal-04, section 3)."""
        session, form = self.sent_form(request)
        link = self.links.get(session.user)
        if link is None:
            return message("There is no link.", 409)
        self.decide(link, scopes_of(form.get("scope", "")) & self.client_here.scopes)
        return redirect("/")

    def decide(self, link: Link, scopes: frozenset[str]) -> None:
        """Let party B have these scopes from now on, and hand a code over to it."""
        with self.lock:
            link.number += 1
            number = link.number
            self.server.allow(self.client_here.id, link.user, scopes)
            self.server.kill_codes(self.client_here.id, link.user)
        if scopes:
            arguments = (link, number, scopes)
            threading.Thread(target=self.hand_over, args=arguments, daemon=True).start()

    def disconnect(self, request: Request) -> Response:
        """End the link, in both directions."""
        session, _ = self.sent_form(request)
        with self.lock:
            link = self.links.pop(session.user, None)
            self.server.end(self.client_here.id, session.user)
        if link is not None:
            self.post(self.peer.revocation_endpoint, {"token": link.token})
        return redirect("/")

    # --- The hand-over (draft-ietf-oauth-reciprocal-04, section 2.2.2) --------------------------

    def hand_over(self, link: Link, number: int, scopes: frozenset[str]) -> None:
        """Hand a code over. What fails for a while is tried again, with another code: party B may
        have got the first one."""
        wait = 0.0
        for delay in (0.0, *self.retry_delays):
            time.sleep(max(wait, delay))
            self.refresh(link)
            code = self.new_code(link, number, scopes)
            if not code:
                return
            received = self.post(
                self.peer.token_endpoint,
                {
                    "grant_type": RECIPROCAL,
                    "code": code,
                    "client_id": self.peer.client_id,
                    "access_token": link.token,
                },
            )
            if received is not None and not received.is_temporary:
                return
            wait = received.retry_after if received is not None else 0.0

    def refresh(self, link: Link) -> None:
        """Get a new access token, if the one that the link has is over (RFC 6749, section 6)."""
        if link.expires > time.time() or not link.refresh_token:
            return
        form = {"grant_type": "refresh_token", "refresh_token": link.refresh_token}
        received = self.post(self.peer.token_endpoint, form)
        if received is not None and received.status == 200:
            link.keep(received.members())

    def new_code(self, link: Link, number: int, scopes: frozenset[str]) -> str:
        """Return a code in place of the one before, or an empty text if the user has decided
        otherwise since."""
        with self.lock:
            if self.links.get(link.user) is not link or link.number != number:
                return ""
            self.server.kill_codes(self.client_here.id, link.user)
            return self.server.new_code(self.client_here, link.user, scopes)

    def post(self, url: str, form: Mapping[str, str]) -> Received | None:
        """Send a request with this party's credentials. Return nothing if no response comes."""
        header = basic_header(self.peer.client_id, self.peer.client_secret)
        try:
            return self.http.post(url, form, Authorization=header)
        except NoResponse:
            return None

    # --- The authorization server ---------------------------------------------------------------

    def show_authorize(self, request: Request) -> Response:
        client, asked = self.server.authorization_request(request)
        session = self.session(request)
        if session is None:
            return redirect("/login", next=f"{request.path}?{request.query}")
        return authorize_page(session.csrf, client.id, asked)

    def answer_authorize(self, request: Request) -> Response:
        """Send the browser back with a code, after its user allowed it. The address is still that
        of the authorization request."""
        client, asked = self.server.authorization_request(request)
        session, _ = self.sent_form(request)
        return self.server.authorize(client, asked, session.user)

    def metadata(self, request: Request) -> Response:
        return json_response(self.server.metadata(("authorization_code", "refresh_token")))


def main() -> None:
    config = config_of_command_line()
    party = PartyA(config)
    server = party.server
    del server.grants["client_credentials"]
    serve(
        int(str(config["port"])),
        {
            "/": {"GET": party.show_home},
            "/login": {"GET": party.show_login, "POST": party.log_in},
            "/link": {"POST": party.start_link},
            "/callback": {"GET": party.callback},
            "/consent": {"GET": party.show_consent, "POST": party.answer_consent},
            "/access": {"GET": party.show_access, "POST": party.change_access},
            "/disconnect": {"POST": party.disconnect},
            "/authorize": {"GET": party.show_authorize, "POST": party.answer_authorize},
            "/token": {"POST": server.token_endpoint},
            "/revoke": {"POST": server.revocation_endpoint},
            "/api/*": {"GET": server.api},
            "/.well-known/oauth-authorization-server": {"GET": party.metadata},
        },
    )


if __name__ == "__main__":
    main()
