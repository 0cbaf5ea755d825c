"""The switches of a dialect: what the configuration may say, and what the tester then sends."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from reciprocal_oauth.conformance import json_templates
from reciprocal_oauth.conformance.config import Config, load
from reciprocal_oauth.conformance.dialect import PLACEHOLDERS, Dialect
from reciprocal_oauth.conformance.errors import UsageError
from reciprocal_oauth.conformance.party_b import PartyB
from reciprocal_oauth.conformance.party_b.handing_over import without
from reciprocal_oauth.conformance.party_b.issuing import Code
from reciprocal_oauth.conformance.redaction import Redaction
from reciprocal_oauth.conformance.verdicts import NotGiven
from reciprocal_oauth.conformance.wire.client import Request, Response, form
from reciprocal_oauth.conformance.wire.exchanges import Recorder
from reciprocal_oauth.conformance.wire.server import Received, Reply

from ..configs import PARTY, SECOND, TESTER, toml
from .running import ROOT, dialect_table

BASIC = ("Authorization", "Basic dGVzdGVyJTNBMTp0ZXN0ZXIlMkJzZWNyZXQlM0ElMjU0MSUyRiUyNiUzRA==")
NAMES = ("alexa_sample", "alexa_form", "alexa_directive", "smartthings", "google")
MakeConfig = Callable[..., Config]
MakeParty = Callable[..., PartyB]


@pytest.fixture
def make_config(tmp_path: Path) -> MakeConfig:
    def make(auth: str = "basic", **dialect: Any) -> Config:
        tables = {
            "subject": {
                "authorization_endpoint": "http://127.0.0.1:1/authorize",
                "token_endpoint": "http://127.0.0.1:1/token",
                "reciprocal_endpoint": "http://127.0.0.1:1/handover",
                "at_tester": PARTY,
            },
            "tester": {"at_subject": {**TESTER, "auth": auth, "second": SECOND}},
            "dialect": dialect,
        }
        path = tmp_path / "b.toml"
        path.write_text("".join(f"{name} = {toml(table)}\n" for name, table in tables.items()))
        return load(path, "b")

    return make


@pytest.fixture
def make_party(make_config: MakeConfig) -> MakeParty:
    def make(auth: str = "basic", **dialect: Any) -> PartyB:
        return PartyB(make_config(auth, **dialect), Recorder(), Redaction(), None, None)

    return make


def a_request(b: PartyB, left_out: str = "", way: str = "") -> Request:
    return b.request(without(b.parameters("the-code", "the-token"), left_out), way=way)


# --- The configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_documentation_are_valid(name: str, make_config: MakeConfig) -> None:
    assert make_config(**dialect_table(name)).dialect.name == dialect_table(name)["name"]


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        ({"grant_type": "x"}, "dialect.name is missing"),
        ({"name": ""}, "dialect.name is missing"),
        ({"name": "x", "token_in": "query"}, 'dialect.token_in is "body" or "bearer"'),
        ({"name": "x", "redemption": "xml"}, 'dialect.redemption is "form" or "json"'),
        ({"name": "x", "redeem_first": True}, "Is redeems_first meant?"),
        ({"name": "x", "redeems_first": "yes"}, "dialect.redeems_first is true or false"),
        ({"name": "x", "failure_status": True}, "dialect.failure_status is a number"),
        ({"name": "x", "failure_status": 200}, "a status from 500 to 599"),
        ({"name": "x", "body": "code={code}"}, "dialect.body is not JSON"),
        ({"name": "x", "body": '{"c": {code}}'}, "A placeholder is in quotes"),
        ({"name": "x", "body": '{"token": "{access_token}"}'}, "dialect.body has no {code}"),
        (
            {"name": "x", "body": '{"a": "{code}", "b": "{cod}"}'},
            "{cod} is not known. Known are {code}",
        ),
        ({"name": "x", "body": '{"a": "{code}"}', "grant_type": "y"}, "Write it into dialect.body"),
        ({"name": "x", "token_response": "{}"}, "dialect.token_response has no {access_token}"),
        ({"name": "x", "token_refusal": '{"a": "{code}"}'}, "{code} is not known. Known are none"),
        ({"name": "x", "token_refusal": "[]"}, "dialect.token_refusal is a JSON object"),
        ({"name": "x", "token_response": '["{access_token}"]'}, "token_response is a JSON object"),
    ],
)
def test_a_wrong_switch_is_refused(
    switches: dict[str, Any], message: str, make_config: MakeConfig
) -> None:
    with pytest.raises(UsageError) as refused:
        make_config(**switches)

    assert message in str(refused.value)


def test_a_party_a_has_no_dialect(make_config: MakeConfig, tmp_path: Path) -> None:
    make_config(name="x")
    text = (tmp_path / "b.toml").read_text()
    at_tester = toml(PARTY)
    with_redirect = toml({**PARTY, "redirect_uri": "http://127.0.0.1:1/callback"})
    (tmp_path / "a.toml").write_text(text.replace(at_tester, with_redirect))

    with pytest.raises(UsageError, match="dialect is for a test of party B"):
        load(tmp_path / "a.toml", "a")


def test_without_a_dialect_the_draft_is_tested(make_config: MakeConfig) -> None:
    assert make_config().dialect.name == ""


def test_the_documentation_has_each_switch_and_each_placeholder() -> None:
    page = (ROOT / "docs" / "conformance_dialects.rst").read_text(encoding="utf-8")
    names = [f"``{each.name}``" for each in fields(Dialect)]
    names += [f"``{{{name}}}``" for listed in PLACEHOLDERS.values() for name in listed]

    assert [name for name in names if name not in page] == []


# --- The hand-over -------------------------------------------------------------------------------


def test_the_token_can_be_in_the_header(make_party: MakeParty) -> None:
    request = a_request(make_party(**dialect_table("alexa_sample")))

    assert request.headers[1:] == [("Authorization", "Bearer the-token")]
    assert request.body == form(
        [
            ("grant_type", "reciprocal_authorization_code"),
            ("code", "the-code"),
            *TESTER.items(),
        ]
    )


def test_a_dialect_may_not_authenticate(make_party: MakeParty) -> None:
    request = a_request(make_party(**dialect_table("alexa_form")))

    assert b"secret" not in request.body
    assert request.headers[1:] == [("Authorization", "Bearer the-token")]


@pytest.mark.parametrize("auth", ["basic", "body"])
def test_a_json_body_comes_with_basic(auth: str, make_party: MakeParty) -> None:
    request = a_request(make_party(auth, **dialect_table("alexa_directive")))

    assert request.headers == [("Content-Type", "application/json"), BASIC]
    assert json.loads(request.body)["directive"]["payload"] == {
        "grant": {"type": "OAuth2.AuthorizationCode", "code": "the-code"},
        "grantee": {"type": "BearerToken", "token": "the-token"},
    }


def test_a_json_body_can_have_the_secret_and_the_header_the_token(make_party: MakeParty) -> None:
    body = '{"code": "{code}", "id": "{client_id}", "secret": "{client_secret}"}'
    b = make_party(name="x", token_in="bearer", body=body)

    request = a_request(b)

    assert request.headers[1:] == [("Authorization", "Bearer the-token")]
    assert json.loads(request.body) == {
        "code": "the-code",
        "id": TESTER["client_id"],
        "secret": TESTER["client_secret"],
    }
    assert json.loads(a_request(b, way="none").body) == {
        "code": "the-code",
        "id": TESTER["client_id"],
    }


def test_the_body_names_the_subject_and_addresses_of_the_tester(make_party: MakeParty) -> None:
    message = json.loads(a_request(make_party(**dialect_table("smartthings"))).body)

    assert message["callbackAuthentication"]["clientId"] == PARTY["client_id"]
    assert message["callbackUrls"] == {
        "oauthToken": "http://127.0.0.1:8765/token",
        "stateCallback": "http://127.0.0.1:8765/api",
    }


def test_each_message_has_an_id_of_its_own(make_party: MakeParty) -> None:
    b = make_party(**dialect_table("smartthings"))
    ids = {json.loads(a_request(b).body)["headers"]["requestId"] for _ in range(3)}

    assert len(ids) == 3


def test_a_missing_parameter_is_a_missing_member(make_party: MakeParty) -> None:
    message = json.loads(a_request(make_party(**dialect_table("smartthings")), "code").body)

    assert "code" not in message["callbackAuthentication"]
    assert message["authentication"]["token"] == "the-token"


def test_what_a_dialect_does_not_have_is_not_tested(make_party: MakeParty) -> None:
    b = make_party(**dialect_table("smartthings"))

    b.require_parameter("access_token")
    b.require_parameter("client_id", "subject_client_id")
    with pytest.raises(NotGiven, match="a hand-over with grant_type"):
        b.require_parameter("grant_type")
    with pytest.raises(NotGiven, match="answers before it redeems"):
        b.require_answer_first()


# --- The responses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "status", "body", "is_accepted"),
    [
        ("smartthings", 200, b'{"headers": {}}', True),
        ("smartthings", 200, b'{"globalError": {"errorEnum": "INVALID-TOKEN"}}', False),
        ("smartthings", 204, b"", True),
        ("smartthings", 400, b"{}", False),
        ("alexa_sample", 200, b"ErrorResponse", True),
    ],
)
def test_a_refusal_can_have_status_200(
    name: str, status: int, body: bytes, is_accepted: bool, make_party: MakeParty
) -> None:
    b = make_party(**dialect_table(name))

    assert b.is_accepted(Response(status, "", [], body, 0.1)) is is_accepted


def test_the_draft_has_status_200_only(make_party: MakeParty) -> None:
    assert not make_party().is_accepted(Response(204, "", [], b"", 0.1))


# --- The redemption ------------------------------------------------------------------------------


def ask(b: PartyB, body: object, path: str = "/token") -> Reply:
    """Send JSON to the tester's server."""
    received = Received("POST", path, [], json.dumps(body).encode(), 0.0)
    exchange = type("Exchange", (), {})()
    return b.answer(received, exchange)


def answered(reply: Reply) -> Any:
    return json.loads(reply.body)


@pytest.fixture
def smartthings(make_party: MakeParty) -> PartyB:
    return make_party(**dialect_table("smartthings"))


def redeemed(b: PartyB, code: Code) -> dict[str, Any]:
    reply = ask(b, {"callbackAuthentication": {"code": code.value}})
    return dict(answered(reply)["callbackAuthentication"])


def test_json_redeems_and_refreshes(smartthings: PartyB) -> None:
    code = smartthings.plan(expires_in=60)

    tokens = redeemed(smartthings, code)
    again = ask(smartthings, {"refreshToken": tokens["refreshToken"]})

    assert tokens["expiresIn"] == 60
    assert [tokens["accessToken"]] == code.tokens[:1]
    assert answered(again)["callbackAuthentication"]["accessToken"] == code.tokens[1]
    assert (len(code.redemptions), len(code.refreshes)) == (1, 1)


def test_json_is_refused_as_the_dialect_says(smartthings: PartyB) -> None:
    reply = ask(smartthings, {"callbackAuthentication": {"code": "unknown"}})

    assert reply.status == 400
    assert answered(reply)["globalError"]["errorEnum"] == "INVALID-CODE"
    assert len(smartthings.strays) == 1


def test_a_part_of_a_code_redeems_nothing(smartthings: PartyB) -> None:
    code = smartthings.plan()

    ask(smartthings, {"code": code.value[:-1], "more": f"{code.value} "})

    assert code.redemptions == []


def test_a_call_can_have_its_token_in_the_body(smartthings: PartyB) -> None:
    code = smartthings.plan()
    token = redeemed(smartthings, code)["accessToken"]

    assert ask(smartthings, {"authentication": {"token": token}}, "/api/events").status == 200
    assert ask(smartthings, {"authentication": {"token": "other"}}, "/api/events").status == 401
    assert len(code.calls) == 1


def test_members_of_the_token_response_keep_their_place(smartthings: PartyB) -> None:
    code = smartthings.plan(smartthings.tokens(refresh_token=None, scope="less", sub="bob"))

    tokens = redeemed(smartthings, code)

    assert set(tokens) == {"tokenType", "accessToken", "expiresIn", "sub"}


# --- Templates -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "values", "expected"),
    [
        ('{"a": "{x}"}', {"x": 7}, {"a": 7}),
        ('{"a": "{x} of {y}"}', {"x": 7, "y": "z"}, {"a": "7 of z"}),
        ('{"a": "{x}", "b": ["{y}", "c"]}', {"x": "{y}"}, {"a": "{y}", "b": ["c"]}),
        ('{"a": {"b": "{x}"}}', {"x": None}, {"a": {}}),
        ('{"{x}": true}', {"x": 1}, {"{x}": True}),
        ('"{x}"', {}, None),
    ],
)
def test_a_template_is_filled(template: str, values: dict[str, Any], expected: object) -> None:
    assert json_templates.filled(template, values) == expected


def test_deep_json_is_read_without_recursion() -> None:
    value: Any = "inside"
    for _ in range(100_000):
        value = [value]

    assert list(json_templates.strings(value)) == ["inside"]
