"""Helpers for the tests of a project that uses this app, and for the tests of a dialect.

Use the helpers in tests only. They work with ``unittest`` and with pytest. They need no connection
to other machines and no other packages.
"""

from .dialects import DialectContract
from .dispatcher import RecordingDispatcher, recording_dispatcher
from .factories import LinkedUser, create_peer, linked_user
from .fake_peer import FakePeer, ReceivedHandover
from .fake_server import FakeResponse, FakeServer, ReceivedRequest

__all__ = [
    "DialectContract",
    "FakePeer",
    "FakeResponse",
    "FakeServer",
    "LinkedUser",
    "ReceivedHandover",
    "ReceivedRequest",
    "RecordingDispatcher",
    "create_peer",
    "linked_user",
    "recording_dispatcher",
]
