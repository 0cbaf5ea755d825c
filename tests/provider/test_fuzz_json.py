"""Whatever bytes arrive at the address of a peer alone, or in a site's own view that calls
``take_handover``, the answer is one of the dialect of the peer: never an error of our own, nothing
sent to the vendor, nothing repeated, nothing changed.

Half of the examples are the messages that vendors publish, of which a little is spoilt; the others
are made up. A run of the suite tries 100 of each kind, always the same. To try many more, and other
ones each time::

    FUZZ_EXAMPLES=10000 python -m pytest tests/provider/test_fuzz_json.py
    FUZZ_EXAMPLES=10000 FUZZ_RANDOM=1 python -m pytest tests/provider/test_fuzz_json.py
"""

import copy
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.cache import cache
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from reciprocal_oauth import take_handover
from reciprocal_oauth.client import http
from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.core.plugins import BUILT_IN_DIALECTS, dialect_class
from reciprocal_oauth.models import InboxItem, Link, Peer

from ..conftest import PEER_SECRET, always_had, basic
from .oddities import CHARSETS, METHODS, as_form, encoded, header_text, odd_bytes, queries

pytestmark = [pytest.mark.django_db, pytest.mark.threat("I13")]

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "100")),
    derandomize="FUZZ_RANDOM" not in os.environ,
    deadline=None,
    # What one example writes is rolled back before the next: see `undone`.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

ADDRESS = "/connections/handover/music/"
FORM, JSON, TEXT = "application/x-www-form-urlencoded", "application/json", "text/plain"
#: No constants, because Hypothesis makes texts of the constants in all modules of a project: what a
#: response repeats of a vendor's own values must not look like a secret.
TOKEN, CODE = (f"canary-{hash_of(name)[:16]}" for name in ("token", "code"))
BEARER = f"Bearer {TOKEN}"
BASIC = basic("music-here", PEER_SECRET)["Authorization"]


@dataclass(frozen=True)
class Wire:
    """A message as it arrives."""

    body: bytes
    content_type: str = JSON
    authorization: str | None = None
    query: str = ""
    method: str = "POST"
    #: What comes after the address of the peer, where a site passes on several paths.
    path: str = ADDRESS

    def request(self) -> Any:
        return self._by(RequestFactory())

    def send(self) -> Any:
        try:
            self.request()
        except (LookupError, SuspiciousOperation, ValueError):
            # With a charset in the content type, Django reads the query when it makes the request,
            # before any middleware or view: nothing of ours can answer.
            reject()
        return self._by(Client(raise_request_exception=False))

    def _by(self, sender: RequestFactory) -> Any:
        headers = {"Authorization": self.authorization} if self.authorization is not None else {}
        return sender.generic(
            self.method,
            self.path,
            self.body,
            headers=headers,
            CONTENT_TYPE=self.content_type,
            QUERY_STRING=self.query,
        )


# What vendors send, as they publish it. What is secret in it says "canary".

Document = Any


def schema(interaction: str, **members: Any) -> Document:
    """A message of SmartThings Schema."""
    headers = {
        "schema": "st-schema",
        "version": "1.0",
        "interactionType": interaction,
        "requestId": "8C58E0CD-386F-4BBB-80B9-B28A7FF8040F",
    }
    return {"headers": headers, **members}


AUTHENTICATION = {"tokenType": "Bearer", "token": TOKEN}
GRANT = schema(
    "grantCallbackAccess",
    authentication=AUTHENTICATION,
    callbackAuthentication={
        "grantType": "authorization_code",
        "scope": "callback-access",
        "code": CODE,
        "clientId": "us-at-music",
    },
    callbackUrls={
        "oauthToken": "https://c2c-us.smartthings.com/oauth/token",
        "stateCallback": "https://c2c-us.smartthings.com/device/events",
    },
)
DELETED = schema("integrationDeleted", authentication=AUTHENTICATION)
RESULT = schema(
    "interactionResult",
    originatingInteractionType="stateCallback",
    globalError={"errorEnum": "INVALID-TOKEN", "detail": "the access token is not valid"},
    deviceState=[{"externalDeviceId": "1", "deviceError": [{"errorEnum": 7, "detail": ""}]}],
)
ACCEPT_GRANT = {
    "directive": {
        "header": {
            "namespace": "Alexa.Authorization",
            "name": "AcceptGrant",
            "payloadVersion": "3",
            "messageId": "5f8a426e-01e4-4cc9-8b79-65f8bd0fd8a4",
            "correlationToken": "dFMb0z+PgpgdDmluhJ1LddFvSqZ/jCc8ptlAKulUj90jSqg==",
        },
        "payload": {
            "grant": {"type": "OAuth2.AuthorizationCode", "code": CODE},
            "grantee": {"type": "BearerToken", "token": TOKEN},
        },
    }
}
DISCONNECT = {
    "requestId": "ff36a3cc-ec34-11e6-b1a0-64510650abcf",
    "inputs": [{"intent": "action.devices.DISCONNECT"}],
}
RECIPROCAL = as_form(
    [
        (b"grant_type", b"reciprocal_authorization_code"),
        (b"code", CODE.encode()),
        (b"client_id", b"music-here"),
    ]
)
DOCUMENTS: Mapping[str, Document] = {
    "grantCallbackAccess": GRANT,
    "integrationDeleted": DELETED,
    "interactionResult": RESULT,
    "AcceptGrant": ACCEPT_GRANT,
    "DISCONNECT": DISCONNECT,
}


def as_json(document: Document) -> bytes:
    return json.dumps(document).encode()


#: For each dialect: the messages, and what they do: hand a code over, end the link, or nothing.
RIGHT: Mapping[str, list[tuple[Wire, str]]] = {
    "smartthings": [
        (Wire(as_json(GRANT)), "sends"),
        (Wire(as_json(DELETED)), "ends"),
        (Wire(as_json(RESULT)), ""),
    ],
    "alexa": [
        (Wire(as_json(ACCEPT_GRANT), authorization=BASIC), "sends"),
        (Wire(RECIPROCAL, FORM, BEARER), "sends"),
    ],
    "google": [(Wire(as_json(DISCONNECT), authorization=BEARER), "ends")],
    "yandex": [(Wire(b"", authorization=BEARER, path="/v1.0/user/unlink"), "ends")],
    "sber": [(Wire(b"", authorization=BEARER, path="/v1/unlink"), "ends")],
}
#: The dialects that have an address of their own.
DIALECTS = sorted(name for name in BUILT_IN_DIALECTS if dialect_class(name).has_own_address())
MESSAGES = [(name, *each) for name in DIALECTS for each in RIGHT[name]]


# What they are spoilt with

SCALARS = [
    None, True, False, 0, -1, 7, 1e308, 10**400, "", " ", "\x00", "\ud800", "\u202e", "é",
    "A" * 5000, "canary", "https://evil.example/oauth/token", "http://127.0.0.1:9/",
    "https://c2c-us.smartthings.com.evil.example/oauth/token", "authorization_code",
    "https://c2c-eu.smartthings.com/oauth/token", "grantCallbackAccess", "integrationDeleted",
    "interactionResult", "AcceptGrant", "Alexa.Authorization", "action.devices.DISCONNECT",
    "BearerToken", "Bearer", "{}", "../../x", "${jndi:ldap://x}", "<b>", "'; --",
]  # fmt: skip
NAMES = [
    "headers", "authentication", "callbackAuthentication", "callbackUrls", "token", "code",
    "clientId", "interactionType", "requestId", "globalError", "errorEnum", "directive", "header",
    "payload", "grant", "grantee", "type", "inputs", "intent", "correlationToken", "messageId",
    "__class__", "", "\x00", "é",
]  # fmt: skip
scalars = st.sampled_from(SCALARS) | st.text(max_size=9) | st.floats() | st.integers()
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=8,
)
#: Text that is no JSON, or that two parsers read in two ways.
FRAGMENTS = [
    b"NaN", b"Infinity", b"-Infinity", b"[" * 9000, b'{"a":' * 9000, b"1" * 9000, b'"\\ud800"',
    b'"\\u0000"', b"'x'", b"{a: 1}", b"/* */ 1", b"1,", b"\xff", b"\xc3", b"", b"tru", b"0x1",
    b"01", b'{"token": "a", "token": "b"}', b'{"a": ' + b"[1," * 300 + b"1" + b"]" * 300 + b"}",
]  # fmt: skip
PLACEHOLDER = "<<placeholder>>"


def paths(document: Document, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    pairs: Any = ()
    if isinstance(document, dict):
        pairs = document.items()
    elif isinstance(document, list):
        pairs = enumerate(document)
    for key, value in pairs:
        yield from paths(value, (*path, key))


@st.composite
def spoilt_document(draw: st.DrawFn, document: Document) -> bytes:
    """The document, with up to three of its values replaced, left out, renamed or repeated."""
    document = {"": copy.deepcopy(document)}
    inserted: list[bytes] = []
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([each for each in paths(document) if each]))
        holder = document
        for key in path[:-1]:
            holder = holder[key]
        key = path[-1]
        how = draw(st.sampled_from(["value", "fragment", "out", "rename", "wrap", "text", "twice"]))
        if key == "" and how in ("out", "rename", "twice"):
            how = "value"
        match how:
            case "value":
                holder[key] = draw(values)
            case "fragment":
                inserted.append(draw(st.sampled_from(FRAGMENTS)))
                holder[key] = f"{PLACEHOLDER}{len(inserted)}"
            case "out":
                del holder[key]
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(NAMES) | st.text(max_size=9))] = holder.pop(key)
            case "wrap":
                holder[key] = draw(st.sampled_from([[holder[key]], {"": holder[key]}]))
            case "text":
                holder[key] = json.dumps(holder[key])
            case "twice" if isinstance(holder, dict):
                inserted.append(json.dumps(draw(scalars)).encode())
                twin = json.dumps(key).encode()
                inserted[-1] = json.dumps(holder[key]).encode() + b"," + twin + b":" + inserted[-1]
                holder[key] = f"{PLACEHOLDER}{len(inserted)}"
    text = json.dumps(document.get(""), ensure_ascii=draw(st.booleans()))
    body = text.encode("utf-8", "surrogatepass")
    for number, fragment in enumerate(inserted, start=1):
        body = body.replace(f'"{PLACEHOLDER}{number}"'.encode(), fragment)
    return body


content_types = st.one_of(
    st.sampled_from(
        [JSON, FORM, TEXT, "", "multipart/form-data; boundary=x", "application/x+json"]
    ),
    st.builds("{}; charset={}".format, st.sampled_from([JSON, FORM]), st.sampled_from(CHARSETS)),
    header_text,
)
authorizations = st.one_of(
    st.sampled_from([None, BASIC, BEARER, BASIC.lower(), f"bearer  {TOKEN}", "Bearer", "Basic"]),
    st.builds("{} {}".format, st.sampled_from(["Basic", "Bearer"]), header_text),
    header_text,
)
encodings = st.sampled_from(["utf-8-sig", "utf-16", "utf-32", "utf-7", "latin-1"])
METHODS_HERE = [method for method in METHODS if method.upper() != "POST"]


@st.composite
def spoilt(draw: st.DrawFn, wire: Wire) -> Wire:
    parts = draw(
        st.sets(
            st.sampled_from(["members", "bytes", "encoding", "headers", "query", "method"]),
            min_size=1,
            max_size=3,
        )
    )
    if "members" in parts and wire.content_type == JSON and wire.body:
        wire = replace(wire, body=draw(spoilt_document(json.loads(wire.body))))
    if "bytes" in parts:
        place, length = draw(st.integers(0, len(wire.body))), draw(st.integers(0, 9))
        body = wire.body[:place] + draw(odd_bytes) + wire.body[place + length :]
        wire = replace(wire, body=body)
    if "encoding" in parts:
        text = wire.body.decode("latin-1")
        wire = replace(wire, body=text.encode(draw(encodings)))
    if "headers" in parts:
        name = draw(st.sampled_from(["content_type", "authorization"]))
        wire = replace(wire, **{name: draw(HEADERS[name])})
    if "query" in parts:
        wire = replace(wire, query=draw(queries))
    if "method" in parts:
        wire = replace(wire, method=draw(st.sampled_from(METHODS_HERE)))
    return wire


HEADERS: Mapping[str, st.SearchStrategy[Any]] = {
    "content_type": content_types,
    "authorization": authorizations,
}
made_up = st.builds(
    Wire,
    body=st.one_of(
        values.map(lambda value: json.dumps(value).encode()),
        st.sampled_from(sorted(DOCUMENTS)).flatmap(lambda name: spoilt_document(DOCUMENTS[name])),
        st.sampled_from(FRAGMENTS),
        st.binary(max_size=60),
        st.just(encoded("grant_type=reciprocal")),
        odd_bytes,
    ),
    content_type=content_types,
    authorization=authorizations,
    query=st.just("") | queries,
    method=st.sampled_from(["POST"] * 9 + METHODS_HERE),
    path=st.sampled_from([ADDRESS, ADDRESS, "/v1.0/user/unlink", "/v1/unlink"]),
)
cases = st.one_of(
    st.sampled_from(MESSAGES).flatmap(lambda case: st.tuples(st.just(case[0]), spoilt(case[1]))),
    st.tuples(st.sampled_from(DIALECTS), made_up),
)


# The site


@dataclass
class Vendor:
    """The requests that it got. It refuses every code."""

    calls: list[tuple[str, str]]

    def respond(self, method: str, url: str, **arguments: Any) -> http.PeerResponse:
        self.calls.append((url, json.dumps({**arguments, "auth": None}, default=str)))
        return http.PeerResponse(400, {}, b'{"error": "invalid_grant"}')


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Vendor:
    vendor = Vendor([])
    monkeypatch.setattr(http, "call", vendor.respond)
    return vendor


@pytest.fixture(autouse=True)
def _rows(peer: Peer, user: Any, make_token_of_a: Any) -> None:
    """What makes the right messages right: the same values in every run."""
    make_token_of_a(peer, user, token=TOKEN)


def speak(dialect: str) -> None:
    """Have the peer be one of this vendor."""
    here = "https://c2c-us.smartthings.com/oauth/token" if dialect == "smartthings" else ""
    endpoint = here or "https://api.vendor.example/token"
    always_had(dialect=dialect, token_endpoint=endpoint)


@contextmanager
def undone() -> Iterator[None]:
    """What is written inside is rolled back. There is no block of ``atomic()``, within which
    ``take_handover`` refuses to work."""
    cache.clear()
    before = transaction.savepoint()
    try:
        yield
    finally:
        transaction.savepoint_rollback(before)


def check(wire: Wire, response: HttpResponse, vendor: Vendor, logs: Any) -> None:
    """Whatever a response says, it repeats nothing, and changes nothing without a right token."""
    # An own failure, such as a database that fails, cannot come from bad input. And this vendor has
    # refused the code, which some dialects answer like one.
    assert response.status_code < 500 or vendor.calls
    said = response.content + repr(response.headers).encode()
    sent = wire.body + (wire.authorization or "").encode("latin-1", "replace")
    for secret in (TOKEN, CODE, PEER_SECRET):
        assert secret.encode() not in said
        assert secret not in logs.text
    assert not [each for each in logs.records if each.levelno >= logging.ERROR and ours(each)]
    has_ended = not Link.objects.get().is_active
    is_known = InboxItem.objects.exists()
    if vendor.calls or has_ended or is_known:
        assert TOKEN.encode() in sent
        assert wire.method == "POST"
    for url, arguments in vendor.calls:
        assert url == Peer.objects.get().token_endpoint or url.endswith(
            ".smartthings.com/oauth/token"
        )
        assert "evil" not in url
        (item,) = InboxItem.objects.all()
        assert item.state == InboxItem.State.FAILED
        assert any(json.dumps(text)[1:-1] in arguments for text in texts_in(wire.body))


def texts_in(body: bytes) -> list[str]:
    """What can be the code: every text in the body, or field of a form."""
    try:
        document = json.loads(body)
    except ValueError:
        fields = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        return [value for _name, value in fields if value]
    found, left = [], [document]
    while left:
        match left.pop():
            case dict() as members:
                left += members.values()
            case list() as items:
                left += items
            case str() as text if text:
                found.append(text)
    return found


def ours(record: logging.LogRecord) -> bool:
    # Django logs each response with a status of 500 or more.
    return record.name != "django.request"


@fuzz
@given(case=cases)
@pytest.mark.threat("P4", "P5", "P6", "X2")
def test_the_address_of_a_peer_answers_whatever_bytes_as_it_should(
    case: tuple[str, Wire], vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    dialect, wire = case
    wire = replace(wire, path=ADDRESS)
    with undone():
        speak(dialect)
        vendor.calls.clear()
        caplog.clear()
        response = wire.send()
        if response.exc_info:
            raise response.exc_info[1]  # Its own traceback says more than a 500.
        check(wire, response, vendor, caplog)
        if wire.method == "OPTIONS":
            assert (response.status_code, response["Allow"]) == (200, "POST, OPTIONS")
        elif wire.method != "POST":
            assert response.status_code == 405
        else:
            assert "no-store" in response["Cache-Control"]
            assert not response["Content-Type"].startswith("text/html")


@fuzz
@given(case=cases)
@pytest.mark.threat("P4", "P5", "P6", "X2")
def test_a_view_of_the_site_gets_what_is_not_for_us_unread(
    case: tuple[str, Wire], vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    dialect, wire = case
    with undone():
        speak(dialect)
        vendor.calls.clear()
        caplog.clear()
        try:
            request = wire.request()
        except (LookupError, SuspiciousOperation, ValueError):
            reject()
        response = take_handover(request, "music")
        if response is not None:
            check(wire, response, vendor, caplog)
            return
        # Django itself gives no view a longer body.
        assert len(wire.body) > 2_000_000 or request.body == wire.body
        assert vendor.calls == []
        assert not InboxItem.objects.exists()
        assert Link.objects.get().is_active


@pytest.mark.parametrize(
    ("dialect", "wire", "what"),
    MESSAGES,
    ids=[
        f"{dialect} {what or 'does nothing'} {n}" for n, (dialect, _, what) in enumerate(MESSAGES)
    ],
)
def test_what_is_spoilt_was_right(dialect: str, wire: Wire, what: str, vendor: Vendor) -> None:
    speak(dialect)

    response = take_handover(wire.request(), "music")

    assert response is not None
    assert Link.objects.get().is_active == (what != "ends")
    assert [CODE in arguments for _url, arguments in vendor.calls] == [True] * (what == "sends")
