"""Tests that every dialect must pass. To run them, derive a test class from ``DialectContract``.

::

    class TestMusicDialect(DialectContract, TestCase):
        dialect_name = "music"

        def handover_request(self, code, access_token, client_id):
            return RequestFactory().post("/o/token/", {...})
"""

from .dialect_incoming import ODD_REQUESTS, IncomingContract
from .dialect_outgoing import OutgoingContract

__all__ = ["ODD_REQUESTS", "DialectContract"]


class DialectContract(IncomingContract, OutgoingContract):
    """Tests for a subclass of ``Dialect``. Use this class as a mixin of ``django.test.TestCase``.

    A "hand-over" is a request in which one site sends the other site a reciprocal code.
    """
