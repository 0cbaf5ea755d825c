"""A listener for sites that run as processes of their own: it writes each span as a line of JSON to
the file in ``SPANS_FILE``."""

import os
from typing import TextIO

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor

from reciprocal_oauth.contrib.opentelemetry import OpenTelemetryListener


class FileListener(OpenTelemetryListener):
    def __init__(self) -> None:
        provider = TracerProvider()
        exporter = ConsoleSpanExporter(out=_opened(), formatter=_line)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        trace.set_tracer_provider(provider)


def _opened() -> TextIO:
    return open(os.environ["SPANS_FILE"], "a", buffering=1)


def _line(span: ReadableSpan) -> str:
    return span.to_json(indent=None) + "\n"
