"""One trace leads from the consent of a person to the redemption at the other site."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from example_project.driver import Person
from example_project.sites import free_ports, running, two_sites
from reciprocal_oauth.contrib.opentelemetry import OpenTelemetryListener
from reciprocal_oauth.core import telemetry
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer
from reciprocal_oauth.party_a import consent

from ..conftest import PEER_SECRET, basic, post_form
from ..delivery.processes import soon
from ..fakes import FakePeer, Received, Reply
from ..provider.postbox import DIALECTS

FOREIGN = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRETS = ("token-of-the-peer", "code-of-party-a", "alice", "refresh")


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[ReadableSpan]]]:
    """Gives the spans that have ended, in the order of their beginning."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    with telemetry.listening(OpenTelemetryListener()):
        yield lambda: sorted(exporter.get_finished_spans(), key=lambda each: each.start_time or 0)


def _name(span: ReadableSpan) -> str:
    return span.name.removeprefix("reciprocal_oauth.")


def _trace_ids(spans: list[ReadableSpan]) -> set[str]:
    return {f"{span.context.trace_id:032x}" for span in spans}


@pytest.mark.django_db(transaction=True)
def test_the_work_of_party_a_belongs_to_the_request_of_the_person(
    link_as_a: Link, peer: Peer, fake_peer: FakePeer, spans: Callable[[], list[ReadableSpan]]
) -> None:
    def redeem(received: Received) -> Reply:
        header = received.headers["traceparent"]
        form = {"grant_type": "authorization_code", "code": received.form["code"]}
        credentials = basic(peer.application.client_id, PEER_SECRET)
        # The fake peer is a thread of its own, as another site is another process.
        assert post_form(Client(), form, {**credentials, "Traceparent": header}).status_code == 200
        return Reply()

    fake_peer.answers["/token/"] = redeem

    consent.allow(link_as_a, ["playback"])
    worker.drain()

    found = spans()
    assert [_name(each) for each in found] == [
        "consent",
        "delivery",
        "handover",
        "redemption_received",
    ]
    assert len(_trace_ids(found)) == 1
    assert [each.attributes["reciprocal_oauth.peer"] for each in found] == ["music"] * 4
    assert OutboxItem.objects.get().trace_parent.split("-")[1] in _trace_ids(found)


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X123", "X124")
def test_party_b_continues_the_trace_of_a_peer_that_has_authenticated(
    hand_over: Callable[..., Any],
    application: Any,
    fake_peer: FakePeer,
    token_of_a: Any,
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    """W3C Trace Context, section 3.2."""
    credentials = basic(application.client_id, PEER_SECRET)
    headers = {**credentials, "Traceparent": FOREIGN, "Tracestate": "a=alice"}

    assert hand_over(access_token=token_of_a.raw, headers=headers).status_code == 200
    worker.drain()

    found = spans()
    assert [_name(each) for each in found] == ["handover_received", "delivery", "redemption"]
    assert _trace_ids(found) == {FOREIGN.split("-")[1]}
    (request,) = fake_peer.to("/token/")
    assert request.headers["traceparent"].startswith(FOREIGN[:36])
    assert "tracestate" not in request.headers
    assert InboxItem.objects.get().trace_parent.startswith(FOREIGN[:36])
    text = "".join(each.to_json() for each in found)
    assert not [secret for secret in (*SECRETS, token_of_a.raw) if secret in text]


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X124")
def test_nobody_else_can_name_a_trace(
    hand_over: Callable[..., Any],
    application: Any,
    token_of_a: Any,
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    headers = {**basic(application.client_id, "wrong"), "Traceparent": FOREIGN}

    assert hand_over(access_token=token_of_a.raw, headers=headers).status_code == 401

    assert spans() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X124")
@pytest.mark.parametrize("token", ["good", "made-up"])
def test_an_access_token_alone_names_no_trace(
    client: Client,
    peer: Peer,
    token_of_a: Any,
    settings: Any,
    spans: Callable[[], list[ReadableSpan]],
    token: str,
) -> None:
    """Everybody can send one to the address of a vendor."""
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": DIALECTS}
    Peer.objects.update(dialect="postbox")
    members = {"kind": "code", "code": "c", "token": token_of_a.raw if token == "good" else token}

    client.post(
        "/connections/handover/music/",
        members,
        content_type="application/json",
        headers={"Traceparent": FOREIGN},
    )

    (span,) = spans()
    assert _name(span) == "handover_received"
    assert _trace_ids([span]) != {FOREIGN.split("-")[1]}


@pytest.mark.django_db(transaction=True)
def test_without_a_trace_nothing_is_sent(
    hand_over: Callable[..., Any], fake_peer: FakePeer, token_of_a: Any
) -> None:
    hand_over(access_token=token_of_a.raw)
    worker.drain()

    assert "traceparent" not in fake_peer.to("/token/")[0].headers
    assert InboxItem.objects.get().trace_parent == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.threat("X123")
def test_a_failure_ends_its_span_with_a_word(
    link_as_a: Link, fake_peer: FakePeer, spans: Callable[[], list[ReadableSpan]]
) -> None:
    fake_peer.answers["/token/"] = Reply(500, b"s3cret")
    consent.allow(link_as_a, ["playback"])
    worker.drain()

    (delivery,) = [each for each in spans() if _name(each) == "delivery"]
    assert delivery.attributes["reciprocal_oauth.result"] == "retry"
    assert "s3cret" not in "".join(each.to_json() for each in spans())


@pytest.mark.django_db(transaction=True)
def test_a_thread_that_outlives_its_caller_stays_in_the_trace(
    spans: Callable[[], list[ReadableSpan]],
) -> None:
    from reciprocal_oauth.client import deadline

    seen: list[str] = []
    with telemetry.span(telemetry.Step.REDEMPTION, "music"):
        expected = telemetry.trace_parent()
        deadline.within(5, lambda: seen.append(telemetry.trace_parent()), late=lambda _none: None)

    assert seen == [expected]
    assert threading.active_count() >= 1


@pytest.mark.two_process
@pytest.mark.threat("X123")
def test_one_trace_through_two_sites(tmp_path: Path) -> None:
    first, second = free_ports()
    written = tmp_path / "spans"
    env = {
        "EXAMPLE_RECIPROCAL_OAUTH": json.dumps(
            {"TELEMETRY": ["tests.contrib.tracing.FileListener"]}
        ),
        "SPANS_FILE": str(written),
    }
    assistant, music = two_sites(tmp_path, ports=(first, second), env=env)
    with running(assistant, music, prepare=True):
        alice = Person("alice")
        for site in (assistant, music):
            alice.sign_in(site)
        answered = alice.answer(alice.authorize(alice.connect(assistant)))
        alice.wait_until_two_way(answered.url)
        alice.wait_until_two_way(alice.link_page(music).url)

        def spans_of_the_consent() -> set[str]:
            read = [json.loads(line) for line in written.read_text().splitlines()]
            (began,) = {
                each["context"]["trace_id"] for each in read if each["name"].endswith(".consent")
            }
            return {
                each["name"].removeprefix("reciprocal_oauth.")
                for each in read
                if each["context"]["trace_id"] == began
            }

        expected = {
            "consent",
            "delivery",
            "handover",
            "handover_received",
            "redemption",
            "redemption_received",
        }
        soon(lambda: spans_of_the_consent() == expected)
    assert "alice" not in written.read_text()
