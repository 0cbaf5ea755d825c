"""Helpers for the tests of projects that use this app, and of dialects. Only for tests.

They work with ``unittest`` and with pytest, and need neither the network nor other packages.
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
