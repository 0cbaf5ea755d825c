"""What the tests of a dialect must know about it, and what they use: a fake peer and a ``Peer``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.http import HttpRequest, HttpResponse
from django.test import TestCase

from ..dialects import Dialect, dialect_of
from .factories import create_peer
from .fake_peer import TOKEN_PATH, FakePeer
from .fake_server import FakeResponse

if TYPE_CHECKING:
    _Base = TestCase
else:
    # At run time, this class is only part of a mixin. If it were a ``TestCase`` itself, its tests
    # would also run, without a dialect, in each test module that imports it.
    _Base = object


class DialectSetting(_Base):
    """The part of ``DialectContract`` that its subclasses override, and ``setUp``."""

    #: The name of the dialect, as in ``Peer.dialect``.
    dialect_name: ClassVar[str]
    #: The path at which the fake peer accepts hand-overs, and the path at which it issues tokens.
    handover_path: ClassVar[str] = TOKEN_PATH
    token_path: ClassVar[str] = TOKEN_PATH
    #: The response with which the fake peer accepts a hand-over.
    accepted: ClassVar[FakeResponse] = FakeResponse()

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        """Return a correct request in this dialect. With this request, the peer (the client
        ``client_id``) hands over the reciprocal code ``code`` for the user of ``access_token``. If
        the request names the client ID of this site at the peer, use ``self.peer.client_id``. If
        peers with this dialect send no codes (``sends_codes``), the method is not called.

        :raises NotImplementedError: the subclass does not implement this method.
        """
        raise NotImplementedError(f"{type(self).__qualname__} must implement handover_request()")

    def notice_request(self, access_token: str) -> HttpRequest | None:
        """Return a correct request in which the peer says that the user of ``access_token`` has
        ended the link; ``None`` if peers with this dialect send no such request."""
        return None

    def peer_values(self) -> Mapping[str, Any]:
        """Return the field values that this dialect needs in a ``Peer``, such as an endpoint."""
        return {}

    def handover_data(self) -> Mapping[str, str]:
        """Return the values that ``parse`` finds in :meth:`handover_request` besides the code and
        the token (``Handover.data``). The tests of ``redeem`` and ``refresh`` use them too."""
        return {}

    def token_response(self, tokens: Mapping[str, Any]) -> FakeResponse | None:
        """Return the response of the fake peer to a token request that succeeds; ``None`` if the
        token endpoint follows RFC 6749, section 5.1. Override this method if the token request is
        no form, or if the members of the response have other names.

        :param tokens: the members of the response with the names of RFC 6749, section 5.1.
        """
        return None

    def token_refusal(self) -> FakeResponse:
        """Return the response of the fake peer to a token request with a code or a refresh token
        that is not valid. By default, it is the one of RFC 6749, section 5.2."""
        return FakeResponse.json(400, error="invalid_grant")

    def is_success(self, response: HttpResponse) -> bool:
        """Return whether the peer takes ``response`` for "the hand-over was accepted". Override
        this method if peers with this dialect expect errors with status 200, as some vendors do.
        """
        return response.status_code < 400

    def check_refusal(self, response: HttpResponse) -> None:
        """Check the form of the response to a refused hand-over."""
        self.assertFalse(self.is_success(response), response.content)
        self.assertIn("no-store", response["Cache-Control"])

    def setUp(self) -> None:
        """Start a fake peer, and save a ``Peer`` for it that uses the dialect."""
        super().setUp()
        self.fake_peer = self.enterContext(FakePeer())
        values = {"dialect": self.dialect_name, **self.peer_values()}
        self.peer = create_peer(self.fake_peer, **values)
        self.dialect: Dialect = dialect_of(self.peer, self.handover_data())
