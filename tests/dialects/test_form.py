"""The shape of a hand-over: what is no such request is refused before anything is looked up."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client, RequestFactory
from django.test.client import BOUNDARY, encode_multipart
from django.test.utils import CaptureQueriesContext

from reciprocal_oauth.core.protocol import GRANT_TYPE, PARAMETERS
from reciprocal_oauth.dialects.form import parse_form
from reciprocal_oauth.exceptions import HandoverRefused
from reciprocal_oauth.models import InboxItem

from ..conftest import PEER_SECRET, basic

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
LONGEST = {"grant_type": len(GRANT_TYPE), "code": 4096, "access_token": 8192, "client_id": 255}


@pytest.fixture
def parameters(application: Any, token_of_a: Any) -> dict[str, str]:
    """A right request's."""
    return {
        "grant_type": GRANT_TYPE,
        "code": "code-of-party-a",
        "client_id": application.client_id,
        "access_token": token_of_a.raw,
    }


@pytest.fixture
def send(client: Client, application: Any) -> Callable[..., Any]:
    def post(body: Any, content_type: str = FORM, query: str = "", **headers: str) -> Any:
        headers = headers or basic(application.client_id, PEER_SECRET)
        if isinstance(body, dict | list):
            body = urlencode(body)
        with CaptureQueriesContext(connection) as queries:
            response: Any = client.post(
                f"/o/token/{query}", body, content_type=content_type, headers=headers
            )
        response.statements = len(queries)
        return response

    return post


def assert_invalid_request(response: Any) -> None:
    assert (response.status_code, response.content) == (400, b'{"error": "invalid_request"}')
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    assert response.statements == 0, "shape is checked before any work of the database"
    assert not InboxItem.objects.exists()


def test_the_request_that_is_spoilt_below_is_a_right_one(
    send: Callable[..., Any], parameters: dict[str, str]
) -> None:
    assert send(parameters).status_code == 200


@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("P1", "F5")
@pytest.mark.parametrize("name", [*PARAMETERS, "client_secret", "scope"])
@pytest.mark.parametrize("second", ["same", "other"])
def test_a_repeated_parameter_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], hashed: list[str], name: str, second: str
) -> None:
    value = parameters.get(name, "x")
    pairs = [*parameters.items(), (name, value if second == "same" else "other")]
    if name not in parameters:
        pairs.append((name, value))

    assert_invalid_request(send(pairs))
    assert hashed == []


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("P1", "F3")
@pytest.mark.parametrize("name", [*PARAMETERS, "client_secret", "anything"])
@pytest.mark.parametrize("moved", [True, False], ids=["only in the query", "also in the query"])
def test_a_parameter_in_the_query_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], name: str, moved: bool
) -> None:
    value = parameters.get(name, "x")
    body = {k: v for k, v in parameters.items() if not moved or k != name}

    assert_invalid_request(send(body, query=f"?{urlencode({name: value})}"))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "3.1")
@pytest.mark.threat("P2", "B4")
@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("value", [None, "", "   "])
def test_a_missing_or_blank_parameter_is_refused(
    send: Callable[..., Any],
    parameters: dict[str, str],
    hashed: list[str],
    name: str,
    value: str | None,
) -> None:
    body = {k: v for k, v in {**parameters, name: value}.items() if v is not None}

    assert_invalid_request(send(body))
    assert hashed == []


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("P3")
@pytest.mark.parametrize("charset", ["UTF-8", "utf-8", '"UTF-8"'])
def test_utf_8_is_the_character_encoding(
    send: Callable[..., Any], parameters: dict[str, str], charset: str
) -> None:
    assert send(parameters, f"{FORM};charset={charset}").status_code == 200


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("P3")
@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-7", "rot13", "hex", "nonsense"])
def test_another_character_encoding_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], charset: str
) -> None:
    assert_invalid_request(send(parameters, f"{FORM};charset={charset}"))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("P3")
@pytest.mark.parametrize(
    "content_type", ["application/json", "text/plain", "", "application/octet-stream"]
)
def test_another_content_type_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], content_type: str
) -> None:
    assert_invalid_request(send(parameters, content_type))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("P3")
def test_json_and_multipart_are_refused(
    send: Callable[..., Any], parameters: dict[str, str]
) -> None:
    multipart = f"multipart/form-data; boundary={BOUNDARY}"
    assert_invalid_request(send(encode_multipart(BOUNDARY, parameters), multipart))
    assert_invalid_request(send(json.dumps(parameters), "application/json"))


@pytest.mark.threat("P4")
@pytest.mark.parametrize("name", ["code", "access_token", "client_id"])
@pytest.mark.parametrize("excess", [1, 100, 60_000])
def test_a_parameter_that_is_too_long_is_refused_before_anything_is_hashed(
    send: Callable[..., Any],
    parameters: dict[str, str],
    hashed: list[str],
    name: str,
    excess: int,
) -> None:
    assert_invalid_request(send({**parameters, name: "x" * (LONGEST[name] + excess)}))
    assert hashed == []


@pytest.mark.threat("P4")
def test_the_longest_code_is_kept(send: Callable[..., Any], parameters: dict[str, str]) -> None:
    longest = "x" * LONGEST["code"]

    assert send({**parameters, "code": longest}).status_code == 200
    assert InboxItem.objects.get().code.reveal() == longest


@pytest.mark.threat("P4")
def test_the_longest_access_token_is_looked_up(
    send: Callable[..., Any], parameters: dict[str, str]
) -> None:
    response = send({**parameters, "access_token": "x" * LONGEST["access_token"]})

    assert response.json() == {"error": "invalid_grant"}


@pytest.mark.threat("P4")
def test_a_body_of_64_kib_is_read_and_one_byte_more_is_not(
    send: Callable[..., Any], parameters: dict[str, str]
) -> None:
    body = urlencode(parameters) + "&x="
    body += "y" * (64 * 1024 - len(body))

    assert send(body).status_code == 200
    assert send(body + "y").json() == {"error": "invalid_request"}


@pytest.mark.threat("P4")
def test_the_longest_client_id_is_looked_up(
    send: Callable[..., Any], parameters: dict[str, str]
) -> None:
    client_id = "x" * LONGEST["client_id"]

    response = send({**parameters, "client_id": client_id}, **basic(client_id, PEER_SECRET))

    assert (response.status_code, response.json()) == (401, {"error": "invalid_client"})


@pytest.mark.threat("P4")
@pytest.mark.parametrize(
    "padding",
    ["&x=" + "y" * 64 * 1024, "".join(f"&p{n}=1" for n in range(2000)), "&x=" + "y" * 3_000_000],
    ids=["64 KiB and more", "2,000 fields", "3 MB"],
)
def test_a_body_that_is_too_long_is_refused_before_anything_is_hashed(
    send: Callable[..., Any], parameters: dict[str, str], hashed: list[str], padding: str
) -> None:
    assert_invalid_request(send(urlencode(parameters) + padding))
    assert hashed == []


@pytest.mark.rfc("6749", "A")
@pytest.mark.threat("P5", "P6", "F8")
@pytest.mark.parametrize("name", ["code", "client_id", "access_token"])
@pytest.mark.parametrize(
    "odd",
    ["%00", "%01", "%0a", "%0d", "%09", "%1b", "%7f", "%c2%85", "%ff%fe", "%ef%bf%bd",
     "%f0%9f%8e%b5", "%e2%80%ae", "%ed%a0%80", "\u00e9"],
)  # fmt: skip
def test_a_character_that_no_code_or_token_has_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], hashed: list[str], name: str, odd: str
) -> None:
    rest = {k: v for k, v in parameters.items() if k != name}

    assert_invalid_request(send(f"{urlencode(rest)}&{name}=a{odd}b".encode()))
    assert hashed == []


@pytest.mark.threat("P5", "P6")
@pytest.mark.parametrize("odd", [b"\xff\xfe", b"\x00", b"\x80"])
def test_a_body_that_is_not_utf_8_is_refused(
    send: Callable[..., Any], parameters: dict[str, str], odd: bytes
) -> None:
    assert_invalid_request(send(urlencode(parameters).encode() + b"&x=" + odd))


@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("P12", "B15")
@pytest.mark.parametrize(
    "extra",
    [
        "scope=history",
        "redirect_uri=https://evil.example/",
        "token_endpoint=https://evil.example/token/",
        "iss=https://evil.example/",
        "user=1",
        "state=xyz",
        "code_verifier=" + "v" * 43,
        "refresh_token=abc",
        "resource=https://evil.example/",
        "encoding=utf-16",
        "encoding=nonsense",
        "client=1&scopes=1&grant=1",
        "%5B%5D=1&__class__=2&=3&%26=%3D",
        "unknown=%F0%9F%8E%B5",
    ],
)
def test_other_parameters_are_ignored(
    send: Callable[..., Any], parameters: dict[str, str], extra: str
) -> None:
    response = send(f"{urlencode(parameters)}&{extra}")

    assert (response.status_code, response.content) == (200, b"{}"), response.content


def test_a_form_for_another_grant_is_no_hand_over(
    rf: RequestFactory, parameters: dict[str, str]
) -> None:
    """The token view does not ask for this, but the dialect of a site may."""
    form = urlencode({**parameters, "grant_type": "authorization_code", "client_secret": "s"})
    request = rf.post("/", form, content_type=FORM)

    with pytest.raises(HandoverRefused, match="not the reciprocal grant"):
        parse_form(request)
