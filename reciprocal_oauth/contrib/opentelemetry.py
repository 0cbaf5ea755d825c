"""Traces for OpenTelemetry. It needs the package ``opentelemetry-api`` (the extra ``otel``); the
site sets up an SDK and its exporters.

Name ``opentelemetry`` in the setting ``TELEMETRY``.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from .._version import __version__
from ..core import telemetry
from ..core.telemetry import Listener, Span, Step

#: What the names of spans and attributes begin with.
PREFIX = "reciprocal_oauth."
#: The kinds of spans. All others are ``INTERNAL``.
_KINDS: Mapping[Step, SpanKind] = {
    Step.TOKEN_REQUEST: SpanKind.CLIENT,
    Step.HANDOVER: SpanKind.CLIENT,
    Step.REDEMPTION: SpanKind.CLIENT,
    Step.REFRESH: SpanKind.CLIENT,
    Step.REVOCATION: SpanKind.CLIENT,
    Step.HANDOVER_RECEIVED: SpanKind.SERVER,
    Step.REDEMPTION_RECEIVED: SpanKind.SERVER,
    Step.DELIVERY: SpanKind.CONSUMER,
}
#: The letters in figure 1 of draft-ietf-oauth-reciprocal-04, section 2.
LETTERS: Mapping[Step, str] = {
    Step.AUTHORIZATION_REQUEST: "A",
    Step.AUTHORIZATION_RESPONSE: "B",
    Step.TOKEN_REQUEST: "C, D",
    Step.HANDOVER: "E",
    Step.HANDOVER_RECEIVED: "E",
    Step.REDEMPTION: "F, G",
    Step.REDEMPTION_RECEIVED: "F, G",
}


class OpenTelemetryListener(Listener):
    """Makes a span of each step, with the tracer provider that the site has set up."""

    def span(
        self, step: Step, attributes: Mapping[str, str], parent: str
    ) -> AbstractContextManager[Span]:
        """Start a span. Neither the text nor the traceback of an exception gets into it, because
        both can contain secrets."""
        return _spanning(step, attributes, parent)

    def trace_parent(self) -> str:
        """Return the ``traceparent`` of the current span, which may be one of the site's own."""
        current = trace.get_current_span().get_span_context()
        if not current.is_valid:
            return ""
        sampled = current.trace_flags & TraceFlags.SAMPLED
        return f"00-{current.trace_id:032x}-{current.span_id:016x}-{sampled:02x}"


@contextmanager
def _spanning(step: Step, attributes: Mapping[str, str], parent: str) -> Iterator[Span]:
    # The provider is asked each time, because the site can set it up after Django has started.
    tracer = trace.get_tracer("reciprocal_oauth", __version__)
    with tracer.start_as_current_span(
        PREFIX + step,
        context=trace.set_span_in_context(trace.NonRecordingSpan(_read(parent)))
        if parent
        else None,
        kind=_KINDS.get(step, SpanKind.INTERNAL),
        attributes=_named({**attributes, "step": LETTERS.get(step, "")}),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield _Span(span)


class _Span(Span):
    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: str) -> None:
        self._span.set_attribute(PREFIX + name, value)

    def failed(self, reason: str) -> None:
        self._span.set_status(Status(StatusCode.ERROR, reason))


def _named(attributes: Mapping[str, str]) -> dict[str, str]:
    return {PREFIX + name: value for name, value in attributes.items() if value}


def _read(parent: str) -> SpanContext:
    valid = telemetry.valid_trace_parent(parent) or f"00-{0:032x}-{0:016x}-00"
    _version, trace_id, span_id, flags = valid.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )
