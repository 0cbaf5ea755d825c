"""Whatever bytes arrive at the token endpoint, the answer is a right one: JSON with an error code,
nothing stored, nothing repeated, and never an error of our own.

Half of the examples are right requests of which a little is spoilt; the others are made up. A run
of the suite tries 200 of each kind, always the same. To try many more, and other ones each time::

    FUZZ_EXAMPLES=10000 python -m pytest tests/provider/test_fuzz.py
    FUZZ_EXAMPLES=10000 FUZZ_RANDOM=1 python -m pytest tests/provider/test_fuzz.py

Left out is what a server does not let through: CR, LF and NUL in headers (RFC 9110, section 5.5),
blanks and control characters in query strings (RFC 9112, section 3.2).
"""

import base64
import json
import logging
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest
from django.core.cache import cache
from django.core.exceptions import SuspiciousOperation
from django.db import transaction
from django.test import Client, RequestFactory
from django.utils import timezone
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from oauth2_provider.models import get_application_model, get_grant_model, get_refresh_token_model

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import InboxItem, Link
from reciprocal_oauth.party_a import codes, consent

from ..conftest import PEER_SECRET, basic
from .authorization import CHALLENGE, VERIFIER
from .oddities import (
    CHARSETS,
    METHODS,
    Fields,
    as_form,
    encoded,
    header_text,
    names,
    odd_bytes,
    queries,
    values,
)

pytestmark = [pytest.mark.django_db, pytest.mark.threat("I13")]

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    derandomize="FUZZ_RANDOM" not in os.environ,
    deadline=None,
    # What one example writes is rolled back before the next: see `undone`.
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

FORM, MULTIPART, JSON, TEXT = (
    "application/x-www-form-urlencoded", "multipart/form-data", "application/json", "text/plain"
)  # fmt: skip
STATUSES = {200, 400, 401, 405, 413, 429}
ERRORS = {"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client",
          "unsupported_grant_type", "invalid_scope", "invalid_target"}  # fmt: skip


@dataclass(frozen=True)
class Wire:
    """A request as it arrives."""

    body: bytes
    content_type: str = FORM
    query: str = ""
    authorization: str | None = None
    origin: str | None = None
    method: str = "POST"

    def send(self) -> Any:
        try:
            self._by(RequestFactory())
        except (LookupError, SuspiciousOperation, ValueError):
            # With a charset in the content type, Django reads the query when it makes the request,
            # before any middleware or view: nothing of ours can answer.
            reject()
        return self._by(Client(raise_request_exception=False))

    def _by(self, sender: RequestFactory) -> Any:
        headers = {"Authorization": self.authorization, "Origin": self.origin}
        return sender.generic(
            self.method,
            "/o/token/",
            self.body,
            headers={name: value for name, value in headers.items() if value is not None},
            CONTENT_TYPE=self.content_type,
            QUERY_STRING=self.query,
        )


# Right requests. What is secret in them says "canary".

Right = tuple[str, Fields]
CALLBACK = "https://music.example/connections/site/callback/"


def right(client_id: str, /, **parameters: str) -> Right:
    """The client that sends it, and its form fields, encoded."""
    return client_id, [(name.encode(), encoded(value)) for name, value in parameters.items()]


HANDOVER = right("music-here", grant_type=GRANT_TYPE, code="canary-of-the-peer",
                 client_id="music-here", access_token="canary-token")  # fmt: skip
ORDINARY = [
    right("music-here", grant_type="authorization_code", code="canary-ordinary",
          redirect_uri=CALLBACK, code_verifier=VERIFIER),
    right("music-here", grant_type="authorization_code", code="canary-reciprocal"),
    right("music-here", grant_type="refresh_token", refresh_token="canary-refresh"),
    right("by-password", grant_type="password", username="alice", password="alice"),
    right("by-itself", grant_type="client_credentials", scope="playback"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _rows(
    link_as_a: Link, user: Any, make_token_of_a: Any, make_application: Any, monkeypatch: Any
) -> None:
    """What makes the right requests right: the same values in every run."""
    application = link_as_a.peer.application
    make_token_of_a(link_as_a.peer, user, token="canary-token")
    refresh_token = get_refresh_token_model().objects.get()
    refresh_token.token = "canary-refresh"
    refresh_token.save()
    consent.allow(link_as_a, ["playback"])
    with monkeypatch.context() as patch:
        patch.setattr(codes.secrets, "token_urlsafe", lambda _bytes: "canary-reciprocal")
        codes.mint(link_as_a, link_as_a.generation)
    get_grant_model().objects.create(
        user=user,
        application=application,
        code="canary-ordinary",
        expires=timezone.now() + timedelta(days=1),
        redirect_uri=CALLBACK,
        scope="playback",
        code_challenge=CHALLENGE,
        code_challenge_method="S256",
    )
    make_application("by-password", authorization_grant_type="password")
    make_application("by-itself", authorization_grant_type="client-credentials")
    get_application_model().objects.update(allowed_origins="https://allowed.example")


# What they are spoilt with

ORIGINS = ["https://allowed.example", "https://evil.example", "null", "https://[", "https://a:b",
           "https://\xff", "https://canary"]  # fmt: skip
fields = st.lists(st.tuples(names, values), max_size=9)
content_types = st.one_of(
    st.sampled_from([FORM, MULTIPART, f"{MULTIPART}; boundary=x", JSON, TEXT, ""]),
    st.builds("{}; charset={}".format, st.sampled_from([FORM, f"{MULTIPART}; boundary=x", TEXT]),
              st.sampled_from(CHARSETS) | header_text),
    st.builds("{}; boundary={}".format, st.just(MULTIPART), header_text),
    header_text,
)  # fmt: skip
credentials = st.builds(
    lambda *parts: "Basic " + base64.b64encode(b"".join(parts)[:9000]).decode(),
    st.sampled_from([b"music-here", b"by-password", b"by-itself", b"%6dusic-here"]) | odd_bytes,
    st.sampled_from([b":", b"", b"%3a"]),
    st.just(PEER_SECRET.encode()) | odd_bytes,
)
authorizations = st.one_of(
    st.none(),
    credentials,
    credentials.map(str.lower),
    st.builds("{} {}".format, st.sampled_from(["Basic", "Bearer", ""]), header_text),
    header_text,
)
origins = st.sampled_from([None, *ORIGINS]) | header_text


def as_multipart(pairs: Fields) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(part % pair for pair in pairs) + b"--x--\r\n"


def as_json(pairs: Fields) -> bytes:
    return json.dumps(
        {name.decode("latin-1"): value.decode("latin-1") for name, value in pairs}
    ).encode()


WRITERS = [(as_form, FORM), (as_multipart, f"{MULTIPART}; boundary=x"), (as_json, JSON)]


@st.composite
def spoilt(draw: st.DrawFn, cases: list[Right]) -> Wire:
    """One of the right requests, with up to three of its parts spoilt."""
    client_id, pairs = draw(st.sampled_from(cases))
    parts = draw(
        st.sets(
            st.sampled_from(["fields", "bytes", "form", "headers", "query", "method"]), max_size=3
        )
    )
    if "fields" in parts:
        pairs = draw(spoilt_fields(pairs))
    write, content_type = draw(st.sampled_from(WRITERS)) if "form" in parts else WRITERS[0]
    wire = Wire(
        write(pairs), content_type, authorization=basic(client_id, PEER_SECRET)["Authorization"]
    )
    if "bytes" in parts:
        place, length = draw(st.integers(0, len(wire.body))), draw(st.integers(0, 9))
        body = wire.body[:place] + draw(odd_bytes) + wire.body[place + length :]
        wire = replace(wire, body=body)
    if "headers" in parts:
        name, header = draw(st.sampled_from(list(HEADERS.items())))
        wire = replace(wire, **{name: draw(header)})
    if "query" in parts:
        wire = replace(wire, query=draw(queries))
    if "method" in parts:
        wire = replace(wire, method=draw(st.sampled_from(METHODS)))
    return wire


@st.composite
def spoilt_fields(draw: st.DrawFn, pairs: Fields) -> Fields:
    pairs = list(pairs)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(pairs)))
        if place == len(pairs):
            pairs.append((draw(names), draw(values)))
            continue
        name, value = pairs[place]
        other_name, other_value = draw(st.just((name, value)) | st.tuples(names, values))
        pairs[place : place + 1] = draw(
            st.sampled_from(
                [
                    [],
                    [(name, other_value)],
                    [(other_name, value)],
                    [(name, other_value), (name, value)],
                    [(name, value), (name, other_value)],
                ]
            )
        )
    return pairs


HEADERS = {"content_type": content_types, "authorization": authorizations, "origin": origins}
made_up = st.builds(
    Wire,
    body=fields.map(as_form) | fields.map(as_multipart) | odd_bytes,
    query=st.just("") | queries,
    method=st.sampled_from(["POST"] * 9 + METHODS),
    **HEADERS,
)


@contextmanager
def undone() -> Iterator[None]:
    """What is written inside is rolled back."""
    cache.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def answer(
    wire: Wire, caplog: pytest.LogCaptureFixture, errors: Collection[str] = ERRORS
) -> tuple[Any, Any]:
    """The response, and its document where it has one; whatever it says, it is well-formed."""
    caplog.clear()
    response = wire.send()
    if response.exc_info:
        raise response.exc_info[1]  # Its own traceback says more than a 500.
    assert response.status_code in STATUSES
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]
    if wire.method == "OPTIONS":
        assert (response.status_code, response["Allow"]) == (200, "POST, OPTIONS")
        assert response.content == b""
        return response, None
    if wire.method.upper() != "POST":
        assert (response.status_code, response["Allow"]) == (405, "POST, OPTIONS")
        assert wire.method != "HEAD" or response.content == b""
    else:
        assert response.status_code != 405
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    document = json.loads(response.content or "{}")
    if wire.method != "HEAD" and response.status_code != 200:
        assert document["error"] in errors
        assert (response.status_code == 401) == (document["error"] == "invalid_client")
    return response, document


@fuzz
@given(wire=spoilt([HANDOVER]) | made_up)
@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("P1", "P2", "P3", "P4", "P5", "P6", "P7", "P10", "P12")
def test_a_hand_over_of_whatever_bytes_is_answered_as_it_should(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with undone():
        response, document = answer(wire, caplog)

        stored = [(item.code.reveal(), item.link.user.username) for item in InboxItem.objects.all()]
        if response.status_code == 200 and wire.method.upper() == "POST":
            sent = dict(parse_qsl(wire.body.decode()))
            assert (sent["grant_type"], sent["access_token"]) == (GRANT_TYPE, "canary-token")
            assert (document, stored) == ({}, [(sent["code"], "alice")])
        else:
            assert stored == []
            # What spoiling has made another request is answered by oauthlib, which repeats the
            # state of any request; the grant itself repeats nothing.
            said = {name: value for name, value in (document or {}).items() if name != "state"}
            assert "canary" not in repr(said) + repr(response.headers)


@pytest.mark.draft("Reciprocal Authorization Code")
def test_a_refused_hand_over_does_not_repeat_a_state(caplog: pytest.LogCaptureFixture) -> None:
    client_id, pairs = HANDOVER
    body = as_form([*pairs, (b"state", b"canary")]).replace(b"canary-token", b"wrong")

    response, document = answer(
        Wire(body, authorization=basic(client_id, PEER_SECRET)["Authorization"]), caplog
    )

    assert (response.status_code, document) == (400, {"error": "invalid_grant"})


@fuzz
@given(wire=spoilt(ORDINARY))
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("F3", "F8")
def test_an_ordinary_token_request_of_whatever_bytes_is_answered(
    wire: Wire, caplog: pytest.LogCaptureFixture
) -> None:
    with undone():
        # DOT's word, with status 400, for a client_id that is not the authenticated client.
        response, document = answer(wire, caplog, ERRORS | {"server_error"})

        if response.status_code == 200 and document is not None:
            assert document["access_token"]
        assert not InboxItem.objects.exists()


@pytest.mark.parametrize("case", [HANDOVER, *ORDINARY])
def test_what_is_spoilt_was_right(case: Right, caplog: pytest.LogCaptureFixture) -> None:
    client_id, pairs = case
    authorization = basic(client_id, PEER_SECRET)["Authorization"]

    response, _ = answer(Wire(as_form(pairs), authorization=authorization), caplog)

    assert response.status_code == 200
