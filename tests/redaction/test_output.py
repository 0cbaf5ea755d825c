"""No answer of ours and no command says more of a secret than the one that it is there to give."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import AuthorizationRequest, InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.secret import Secret

from ..conftest import OUR_SECRET, PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply
from ..party_a.visits import begin
from ..provider.conftest import make_application, reciprocal_code

__all__ = ["make_application", "reciprocal_code"]

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.threat("X2")]

CODE = "c4nary.code-of-party-a"
UNKNOWN = "c4nary.unknown"
ACCESS_THERE, REFRESH_THERE = "c4nary.access-there", "c4nary.refresh-there"
CREDENTIALS = basic("music-here", PEER_SECRET)
GRANT = {"grant_type": "authorization_code"}
REFRESH = {"grant_type": "refresh_token"}


@pytest.fixture
def secrets(
    browser: Client,
    token_of_a: Any,
    link_as_a: Link,
    hand_over: Callable[..., Any],
    reciprocal_code: Callable[..., str],
) -> dict[str, str]:
    """Everything that must stay secret, each in a row that holds it."""
    link_as_a.access_token, link_as_a.refresh_token = Secret(ACCESS_THERE), Secret(REFRESH_THERE)
    link_as_a.save()
    minted = reciprocal_code(link=link_as_a)
    lifecycle.queue_revocation(Link.objects.get(pk=link_as_a.pk))
    assert hand_over(code=CODE, access_token=token_of_a.raw).status_code == 200
    visit = begin(browser)
    verifier = AuthorizationRequest.objects.get().code_verifier.reveal()
    assert InboxItem.objects.get().code.reveal() == CODE
    assert OutboxItem.objects.filter(state="pending").get().token.reveal() == REFRESH_THERE
    return {
        "our secret there": OUR_SECRET,
        "its secret here": PEER_SECRET,
        "its credentials": CREDENTIALS["Authorization"].split()[1],
        "code that we minted": minted,
        "code that it handed over": CODE,
        "its access token": token_of_a.raw,
        "its refresh token": token_of_a.raw_refresh,
        "our access token there": ACCESS_THERE,
        "our refresh token there": REFRESH_THERE,
        "state": visit.asked["state"],
        "verifier": verifier,
        "unknown": UNKNOWN,
    }


def found_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [name for name, secret in secrets.items() if secret in text]


def told(response: Any) -> str:
    """Everything that the answer says."""
    return f"{response.headers}\n{response.cookies}\n{response.content.decode()}"


def introspect(token: str, **headers: str) -> Any:
    return post_form(Client(), {"token": token}, headers or CREDENTIALS, "/o/introspect/")


def revoke(token: str, headers: dict[str, str] = CREDENTIALS) -> Any:
    return post_form(Client(), {"token": token}, headers, "/o/revoke_token/")


def api(token: str) -> Any:
    return Client().get("/api/playback/", headers={"Authorization": f"Bearer {token}"})


WRONG = basic("music-here", UNKNOWN)

#: What is asked of our endpoints, and the status of the answer.
Ask = Callable[[Callable[..., Any], dict[str, str]], Any]
ANSWERS: dict[str, tuple[int, Ask]] = {
    "hand-over again": (
        200,
        lambda hand_over, s: hand_over(code=CODE, access_token=s["its access token"]),
    ),
    "hand-over, token unknown": (
        400,
        lambda hand_over, s: hand_over(code=CODE, access_token=UNKNOWN),
    ),
    "hand-over, wrong secret": (
        401,
        lambda hand_over, s: hand_over(access_token=s["its access token"], headers=WRONG),
    ),
    "hand-over, two ways to authenticate": (
        400,
        lambda hand_over, s: hand_over(
            code=CODE, access_token=s["its access token"], client_secret=PEER_SECRET
        ),
    ),
    "hand-over, no code": (
        400,
        lambda hand_over, s: hand_over(code=None, access_token=s["its access token"]),
    ),
    "hand-over, NUL": (
        400,
        lambda hand_over, s: hand_over(code=f"{CODE}\x00", access_token=s["its access token"]),
    ),
    "redemption": (
        200,
        lambda _, s: post_form(Client(), {**GRANT, "code": s["code that we minted"]}, CREDENTIALS),
    ),
    "redemption with a verifier": (
        400,
        lambda _, s: post_form(
            Client(),
            {**GRANT, "code": s["code that we minted"], "code_verifier": UNKNOWN * 4},
            CREDENTIALS,
        ),
    ),
    "redemption, code unknown": (
        400,
        lambda _, s: post_form(Client(), {**GRANT, "code": UNKNOWN}, CREDENTIALS),
    ),
    "redemption, wrong secret": (
        401,
        lambda _, s: post_form(Client(), {**GRANT, "code": s["code that we minted"]}, WRONG),
    ),
    "refresh": (
        200,
        lambda _, s: post_form(
            Client(), {**REFRESH, "refresh_token": s["its refresh token"]}, CREDENTIALS
        ),
    ),
    "refresh, more than it may": (
        400,
        lambda _, s: post_form(
            Client(),
            {**REFRESH, "refresh_token": s["its refresh token"], "scope": UNKNOWN},
            CREDENTIALS,
        ),
    ),
    "refresh, unknown": (
        400,
        lambda _, s: post_form(Client(), {**REFRESH, "refresh_token": UNKNOWN}, CREDENTIALS),
    ),
    "no such grant": (400, lambda _, s: post_form(Client(), {"grant_type": UNKNOWN}, CREDENTIALS)),
    "introspection": (200, lambda _, s: introspect(s["its access token"])),
    "introspection, refresh token": (200, lambda _, s: introspect(s["its refresh token"])),
    "introspection, unknown": (200, lambda _, s: introspect(UNKNOWN)),
    "introspection, wrong secret": (403, lambda _, s: introspect(s["its access token"], **WRONG)),
    "revocation": (200, lambda _, s: revoke(s["its refresh token"])),
    "revocation, unknown": (200, lambda _, s: revoke(UNKNOWN)),
    "revocation, wrong secret": (401, lambda _, s: revoke(s["its refresh token"], WRONG)),
    "resource": (200, lambda _, s: api(s["its access token"])),
    "resource, unknown": (401, lambda _, s: api(UNKNOWN)),
    "metadata": (200, lambda _, s: Client().get("/.well-known/oauth-authorization-server")),
    "metadata of the routes": (
        200,
        lambda _, s: Client().get("/o/.well-known/oauth-authorization-server"),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_holds_no_secret_that_was_known_before(
    name: str, secrets: dict[str, str], hand_over: Callable[..., Any]
) -> None:
    """Only what is minted for the client that asks is given."""
    status, ask = ANSWERS[name]

    response = ask(hand_over, secrets)

    assert response.status_code == status, response.content
    assert found_in(told(response), secrets) == []


COMMANDS = [
    ("reciprocal_links",),
    ("reciprocal_links", "--all", "--events"),
    ("reciprocal_links", "--json"),
    ("reciprocal_links", "--all", "--events", "--json"),
    ("reciprocal_peer", "list"),
    ("reciprocal_peer", "list", "--json"),
    ("reciprocal_peer", "show", "music"),
    ("reciprocal_peer", "show", "music", "--json"),
    ("reciprocal_peer", "add", "music", "--client-secret", OUR_SECRET),
    ("reciprocal_peer", "add", "music", "--client-secret", OUR_SECRET, "--json"),
    ("reciprocal_deliver", "--once"),
    ("reciprocal_deliver", "--once", "--json"),
]


def _echo(received: Received) -> Reply:
    """An error that says everything that was sent."""
    headers = received.headers.get("Authorization", "")
    return Reply.json(400, error="invalid_grant", error_description=f"{headers} {received.body}")


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("verbosity", [1, 3])
def test_no_command_prints_a_secret(
    arguments: tuple[str, ...],
    verbosity: int,
    secrets: dict[str, str],
    fake_peer: FakePeer,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Nor what a peer, which was sent some of them, says of it in the history of the link."""
    fake_peer.answers["/token/"] = fake_peer.answers["/revoke/"] = _echo
    call_command("reciprocal_deliver", stdout=io.StringIO())
    assert fake_peer.requests
    peer = Peer.objects.get()
    peer.client_secret = Secret(OUR_SECRET)
    peer.save()
    secrets["our credentials there"] = basic("us-at-music", OUR_SECRET)["Authorization"].split()[1]
    out = io.StringIO()

    call_command(*arguments, stdout=out, stderr=out, verbosity=verbosity)

    text = out.getvalue() + "".join(capfd.readouterr())
    assert text
    assert found_in(text, secrets) == []
