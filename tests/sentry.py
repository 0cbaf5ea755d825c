"""What sentry-sdk would send, with its default settings."""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

IS_INSTALLED = importlib.util.find_spec("sentry_sdk") is not None
needs_sentry = pytest.mark.skipif(
    not IS_INSTALLED, reason="needs sentry-sdk: pip install -e '.[test]'"
)


class Sent:
    """What has left the process.

    :ivar texts: each envelope as it goes over the wire.
    """

    def __init__(self) -> None:
        self.texts: list[str] = []

    @property
    def events(self) -> list[dict[str, Any]]:
        """The errors among it."""
        lines = [line for text in self.texts for line in text.splitlines()]
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [each for each in found if "exception" in each or "logentry" in each]


@contextmanager
def sending(**options: Any) -> Iterator[Sent]:
    """sentry-sdk is initialised as a Django site does it, with ``options`` beside. Only what it
    does for packages that such a site need not have is left out."""
    import sentry_sdk
    from sentry_sdk.envelope import Envelope
    from sentry_sdk.integrations.django import DjangoIntegration
    from sentry_sdk.transport import Transport

    sent = Sent()

    class Collector(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            sent.texts.append(envelope.serialize().decode())

    with sentry_sdk.isolation_scope():
        sentry_sdk.init(
            dsn="https://key@sentry.example/1",
            transport=Collector,
            integrations=[DjangoIntegration()],
            auto_enabling_integrations=False,
            **options,
        )
        try:
            yield sent
        finally:
            sentry_sdk.get_global_scope().set_client(None)
