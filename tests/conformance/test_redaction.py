"""No secret reaches a report: by its name, and by its value however it is written."""

import base64
import json
import re
from urllib.parse import quote, quote_plus

import pytest

from reciprocal_oauth.conformance.redaction import Redaction

SECRET = 'Se:cr+et%/ "&<ä>7654321'


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        quote_plus(quote_plus(SECRET)),
        re.sub("%..", lambda found: found[0].lower(), quote(SECRET, safe="")),
        json.dumps(SECRET),
        json.dumps(SECRET, ensure_ascii=False),
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode(),
        SECRET.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
    ],
)
def test_a_known_value_is_found_in_every_encoding(text: str) -> None:
    redaction = Redaction()
    redaction.learn(SECRET, "client_secret")

    hidden = redaction.hide(f"before {text} behind")

    assert "7654321" not in hidden
    assert "before" in hidden
    assert "behind" in hidden


@pytest.mark.parametrize(
    "text",
    [
        "grant_type=authorization_code&code=UNKNOWN77&x=1",
        "https://site.example/callback?state=s&code=UNKNOWN77",
        "client_secret=UNKNOWN77",
        "refresh_token=UNKNOWN77&scope=read",
        "code_verifier=UNKNOWN77",
        "client_assertion=UNKNOWN77",
        '{"access_token": "UNKNOWN77", "token_type": "Bearer"}',
        '{"id_token":"UNKNOWN77"}',
        '<input type="hidden" name="csrfmiddlewaretoken" value="UNKNOWN77">',
    ],
)
def test_a_value_that_nobody_has_told_is_found_by_its_name(text: str) -> None:
    hidden = Redaction().hide(text)

    assert "UNKNOWN77" not in hidden


def test_the_same_value_has_the_same_placeholder_everywhere() -> None:
    redaction = Redaction()
    redaction.learn("code-12345678", "code")

    assert redaction.hide("code=code-12345678") == "code=<code 1>"
    assert redaction.hide('{"code": "code-12345678"}') == '{"code": "<code 1>"}'
    assert redaction.hide("code=code-87654321") == "code=<code 2>"


@pytest.mark.parametrize(
    "header",
    [
        ("Authorization", "Basic UNKNOWN77"),
        ("authorization", "Bearer UNKNOWN77"),
        ("Authorization", "UNKNOWN77"),
        ("Cookie", "sessionid=UNKNOWN77; csrftoken=UNKNOWN77"),
        ("Set-Cookie", "sessionid=UNKNOWN77; Path=/; HttpOnly"),
        ("X-CSRFToken", "UNKNOWN77"),
        ("Location", "https://site.example/callback?code=UNKNOWN77"),
    ],
)
def test_headers_keep_no_secret(header: tuple[str, str]) -> None:
    ((name, value),) = Redaction().headers([header])

    assert name == header[0]
    assert "UNKNOWN77" not in value


def test_what_is_no_secret_stays() -> None:
    text = "grant_type=refresh_token&token_type_hint=access_token&client_id=tester&scope=read"

    assert Redaction().hide(text) == text


def test_a_header_keeps_the_scheme_and_a_cookie_its_name_and_attributes() -> None:
    redaction = Redaction()

    assert redaction.headers([("Authorization", "Basic eHh4eHg6eQ==")]) == [
        ["Authorization", "Basic <credentials 1>"]
    ]
    assert redaction.headers([("Set-Cookie", "sid=1234567; Path=/; HttpOnly")]) == [
        ["Set-Cookie", "sid=<cookie 1>; Path=/; HttpOnly"]
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Wrong secret short-one.",
        "x_short-one",
        "~short-one-",
        "short-one",
    ],
)
def test_a_short_value_is_found_beside_other_plain_characters(text: str) -> None:
    redaction = Redaction()
    redaction.learn("short-one", "client_secret")

    assert "short-one" not in redaction.hide(text)


def test_a_short_value_is_not_taken_out_of_an_ordinary_word() -> None:
    redaction = Redaction()
    redaction.learn("tester", "client_secret")

    assert redaction.hide("the fastesters tested") == "the fastesters tested"


@pytest.mark.parametrize(
    "text",
    [
        '{"code": 7654321}',
        r'{"body": "{\"access_token\": \"UNKNOWN7654321\"}"}',
        "{'refresh_token': 'UNKNOWN7654321'}",
        '<input value="UNKNOWN7654321" name="csrf_token">',
        "<input name=csrf_token value=UNKNOWN7654321>",
    ],
)
def test_a_value_is_found_by_its_name_in_other_notations(text: str) -> None:
    assert "7654321" not in Redaction().hide(text)


@pytest.mark.parametrize("name", ["X-Auth-Token", "X-Api-Key", "X-XSRF-TOKEN", "Client-Secret"])
def test_a_header_with_the_name_of_a_secret_keeps_none(name: str) -> None:
    assert "7654321" not in Redaction().headers([(name, "UNKNOWN7654321")])[0][1]
