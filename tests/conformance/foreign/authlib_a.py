"""A party A on Flask and Authlib: Authlib's client (Flask integration) of party B, and Authlib's
authorization server, where party B redeems the reciprocal code.

``authlib_common.py`` says how the site is run and configured; besides, ``code_lifetime`` is in
seconds, ``users`` are those who can log in (each with the name as password), and ``peer`` has
``client_id``, ``client_secret``, ``authorization_endpoint``, ``token_endpoint``,
``revocation_endpoint``, ``issuer``, ``scope`` and ``agreed_scope``.
"""

import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import authlib_common as common
import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from authlib_a_server import SCOPES, revoke
from authlib_common import (
    ATTEMPTS,
    CLIENTS,
    CODES,
    CONFIG,
    GRANT_TYPE,
    PEER,
    TOKENS,
    TRUSTED,
    URL,
    Code,
    Peer,
    app,
    differs,
    in_background,
    is_passing,
    mistake,
    pause_after,
)
from flask import abort, redirect, render_template_string, request, session

TIMEOUT_SECONDS = 10


@dataclass
class Link:
    """What a user has allowed, and what we hold at the peer for that user.

    :ivar version: the number of the newest consent. Only the code of that one counts.
    :ivar code: the newest code.
    :ivar sending: held while a code is handed over, so that codes arrive in order.
    """

    token: dict[str, Any]
    asked: list[str]
    scope: list[str] = field(default_factory=list)
    version: int = 0
    code: Code | None = None
    sending: Any = field(default_factory=threading.Lock)


#: Links whose user has not answered yet, and those whose user has allowed something.
ASKED: dict[str, Link] = {}
LINKS: dict[str, Link] = {}
#: The client that redeems the codes: the first.
PARTNER = next(iter(CLIENTS.values()))


# Pages

app.secret_key = secrets.token_bytes()
oauth = OAuth(app)
kwargs = {"scope": PEER["scope"], "trust_env": False, "verify": TRUSTED}
if not mistake("no_pkce"):
    kwargs["code_challenge_method"] = "S256"
peer = oauth.register(
    "peer",
    client_id=PEER["client_id"],
    client_secret=PEER["client_secret"],
    authorize_url=PEER["authorization_endpoint"],
    access_token_url=PEER["token_endpoint"],
    compliance_fix=common.set_up,
    client_kwargs=kwargs,
)

PAGE = Path(__file__).with_name("authlib_a.html").read_text()


def page(title: str, show: str = "", link: Link | None = None, status: int = 200) -> Any:
    session.setdefault("csrf", secrets.token_urlsafe())
    text = render_template_string(
        PAGE, title=title, show=show, link=link, scopes=SCOPES, csrf=session["csrf"]
    )
    return text, status, {"Referrer-Policy": "no-referrer"}


@app.before_request
def guard() -> Any:
    """Forms have a token against forgery. Pages need a login."""
    if request.path in ("/token", "/revoke") or request.path.startswith("/api/"):
        return None
    right = request.form.get("csrf", "") == session.get("csrf")
    if request.method == "POST" and not right and not mistake("no_csrf"):
        abort(400)
    if request.path != "/login" and "user" not in session:
        return redirect("/login")
    return None


@app.route("/login", methods=["GET", "POST"])
def login() -> Any:
    name = request.form.get("user", "")
    if request.method == "POST" and name in CONFIG["users"] and name == request.form["password"]:
        session["user"] = name
        return redirect("/")
    return page("Log in", "login")


@app.route("/")
def home() -> Any:
    return page(f"Diary of {session['user']}", "home", LINKS.get(session["user"]))


#: For mistakes: what a session keeps of a visit to the peer, and the first token of each user.
VISITS: dict[str, Any] = {}
FIRST: dict[str, Any] = {}


@app.route("/connect", methods=["POST"])
def connect() -> Any:
    response = peer.authorize_redirect(f"{URL}/callback")
    VISITS.update({key: session[key] for key in session if key.startswith("_state_")})
    return response


@app.route("/callback")
def callback() -> Any:
    """Steps (B) to (D)."""
    issuer = request.args.get("iss", PEER["issuer"] if mistake("issuer_optional") else "")
    if issuer != PEER["issuer"] and not mistake("issuer_ignored"):
        return page("The answer is of another service.", status=400)
    if mistake("state_of_any_browser"):
        session.update(VISITS)
    try:
        token = exchange()
    except OAuthError as error:
        if mistake("error_unhandled"):
            raise
        denied = error.error == "access_denied"
        return page("The service did not let us in.", status=200 if denied else 400)
    except (requests.RequestException, ValueError):
        return page("The service does not work now.", status=200)
    # The library takes null for an access token.
    if not token.get("access_token") and not mistake("token_unchecked"):
        return page("The service gave us no access.", status=200)
    if token.get("token_type", "").lower() != "bearer" and not mistake("any_token_type"):
        return page("The service gave us no access that we know.", status=200)
    user = session["user"]
    if mistake("first_token_kept"):
        token = FIRST.setdefault(user, {**token, "reciprocal": token.get("reciprocal")})
    link = ASKED[user] = Link(dict(token), scope_asked(token))
    if differs("all_ticked") or mistake("sent_before_consent"):
        link.scope = link.asked
    if mistake("sent_before_consent"):
        in_background(hand_over, user, link, 0)
    if mistake("code_stays_in_the_address"):
        return question(link)
    return redirect("/consent")


def exchange() -> dict[str, Any]:
    if mistake("state_ignored"):
        data = list(VISITS.values())[-1]["data"]
        more = {name: data[name] for name in ("code_verifier", "redirect_uri")}
        return peer.fetch_access_token(code=request.args["code"], **more)
    follows = mistake("redirects_followed")
    return peer.authorize_access_token(allow_redirects=follows, timeout=TIMEOUT_SECONDS)


def scope_asked(token: dict[str, Any]) -> list[str]:
    """Return what the peer asks for and may ask for. The token response counts before the
    redirect. Whatever is not a scope counts as nothing."""
    asked = token.get("reciprocal") or request.args.get("reciprocal")
    if mistake("asked_scope_ignored"):
        asked = None
    if mistake("scope_unchecked"):
        return (asked or PEER["agreed_scope"]).split()
    names = asked.split() if isinstance(asked, str) else []
    if not names and not mistake("agreed_scope_ignored"):
        names = PEER["agreed_scope"].split()
    return [name for name in SCOPES if name in names and name in PARTNER.scope.split()]


def question(link: Link) -> Any:
    return page("May the service see this?", "scopes", link)


@app.route("/consent", methods=["GET", "POST"])
def consent() -> Any:
    user = session["user"]
    link = ASKED.get(user)
    if link is None:
        return page("Nobody asks for anything.", status=400)
    answer = request.values if mistake("consent_by_get") else request.form
    if "do" not in answer:
        return question(link)
    del ASKED[user]
    if mistake("sent_before_consent"):
        LINKS[user] = link
    elif answer["do"] == "allow" or mistake("denial_ignored"):
        scope = link.asked if mistake("ticks_ignored") else chosen(link, answer)
        forget(user)
        LINKS[user] = link
        change(user, link, scope)
    else:
        in_background(revoke_at_peer, link)
    return redirect("/")


@app.route("/update", methods=["GET", "POST"])
def update() -> Any:
    user = session["user"]
    link = LINKS.get(user)
    if link is None:
        return page("You are not connected.", status=400)
    if request.form.get("do") == "allow":
        change(user, link, chosen(link, request.form))
        return redirect("/")
    return question(link)


def chosen(link: Link, form: Any) -> list[str]:
    return [name for name in link.asked if name in form.getlist("scope")]


def change(user: str, link: Link, scope: list[str]) -> None:
    """Let ``scope`` be what the peer may see: what it holds shrinks now, and it gets a new code."""
    link.version += 1
    link.scope = scope
    for token in TOKENS:
        if token.user == user and not mistake("update_only_adds"):
            token.scope = " ".join(name for name in token.scope.split() if name in scope)
            token.granted = token.scope
    # A code of the consent before would give what was taken away.
    if not mistake("codes_keep_their_scope"):
        drop_codes(user)
    in_background(hand_over, user, link, link.version)


def forget(user: str) -> None:
    """End what the peer may do for a user."""
    LINKS.pop(user, None)
    drop_codes(user)
    revoke(lambda token: token.user == user)


def drop_codes(user: str) -> None:
    for code in [each for each in list(CODES.values()) if each.user == user]:
        CODES.pop(code.code, None)


@app.route("/disconnect", methods=["POST"])
def disconnect() -> Any:
    user = session["user"]
    link = LINKS.get(user)
    if link is None:
        return page("You are not connected.", status=400)
    LINKS.pop(user)
    if not mistake("tokens_outlive_the_link"):
        forget(user)
    if not mistake("peer_keeps_our_token"):
        in_background(revoke_at_peer, link)
    return redirect("/")


# The client of the peer


def hand_over(user: str, link: Link, version: int) -> None:
    """Step (E). Each attempt has a code of its own, and makes the one before worthless."""
    with link.sending:
        for attempt in range(1 if mistake("handed_over_once") else ATTEMPTS):
            now = LINKS.get(user, link if mistake("end_forgets_retries") else None)
            is_newest = link.version == version and now is link
            if not (is_newest or mistake("sent_before_consent")):
                return
            response = None
            try:
                response = send(user, link, attempt)
            except requests.RequestException as error:
                print("Hand-over failed:", error, flush=True)
            if response is not None and is_final(response):
                print("Hand-over answered:", response.status_code, flush=True)
                if response.status_code != 200:
                    drop_codes(user)
                return
            time.sleep(pause_after(attempt, response))


def is_final(response: requests.Response) -> bool:
    """Whether the same request need not be sent again."""
    if response.status_code != 200:
        return not is_passing(response) and not mistake("refusal_resent")
    # The draft says nothing about the body of a 200.
    return not mistake("body_must_be_json") or response.text.startswith("{")


def send(user: str, link: Link, attempt: int) -> requests.Response:
    if not (mistake("same_code_again") and attempt):
        if not mistake("old_codes_live"):
            drop_codes(user)
        value = secrets.token_hex(4) if mistake("short_codes") else secrets.token_urlsafe(32)
        owner = CONFIG["users"][0] if mistake("first_user_always") else user
        link.code = Code(value, PARTNER.client_id, owner, " ".join(link.scope))
        CODES[value] = link.code
    if differs("sends_later"):
        time.sleep(1)
    keep_alive(link)
    form = {
        "grant_type": GRANT_TYPE,
        "code": link.code.code,
        "client_id": PEER["client_id"],
        "access_token": link.token["access_token"],
    }
    if mistake("client_id_left_out"):
        del form["client_id"]
    url = link.token.get("token_endpoint") if mistake("endpoint_of_the_response") else None
    url = url or PEER["token_endpoint"]
    where = {"params" if mistake("sent_in_the_address") else "data": form}
    way = "client_secret_basic"
    if differs("credentials_in_the_body") or mistake("client_id_twice"):
        way = "client_secret_post"
        # The library adds client_id, whether it is there or not.
        if not mistake("client_id_twice"):
            del form["client_id"]
    with Peer() as client:
        auth = client.client_auth(way)
        return client.post(url, withhold_token=True, auth=auth, timeout=TIMEOUT_SECONDS, **where)


def keep_alive(link: Link) -> None:
    """Refresh our token if it has expired."""
    ends = link.token.get("expires_at")
    if not ends or ends > time.time() or mistake("never_refreshed"):
        return
    with Peer(token=link.token) as client:
        new = client.refresh_token(PEER["token_endpoint"], timeout=TIMEOUT_SECONDS)
    link.token = {**link.token, **new}


def revoke_at_peer(link: Link) -> None:
    with Peer(token=link.token) as client:
        try:
            client.revoke_token(PEER["revocation_endpoint"], timeout=TIMEOUT_SECONDS)
        except requests.RequestException as error:
            print("Revocation failed:", error, flush=True)


common.run()
