"""The interface of a dialect: what each hook may assume, must return and may raise.

A dialect says how things look on the wire. Who may do what, and what is stored, is decided by the
parties; a dialect never touches the database.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse

from ..client.token_endpoint import TokenResponse
from ..exceptions import HandoverRefused
from ..models import Peer
from ..models.results import HandoverResult, RevocationResult
from ..secret import Secret


@dataclass(frozen=True)
class Handover:
    """What a peer hands over to party B, whatever it looked like on the wire."""

    client_id: str
    code: Secret
    access_token: Secret


class Dialect(ABC):
    """One way to hand codes over, to answer, to redeem, to refresh."""

    #: Whether a token that a newer connection replaces is revoked at the peer. ``None``: as the
    #: peer's own setting says. False where the vendor ends the whole account link, and with it the
    #: new token, when any token is revoked.
    revokes_replaced_tokens: bool | None = None

    # Receiving, as party B

    @abstractmethod
    def recognise(self, request: HttpRequest) -> bool:
        """Whether a request is a hand-over in this dialect. Must not raise, whatever the bytes."""

    @abstractmethod
    def parse(self, request: HttpRequest) -> Handover:
        """The hand-over in a recognised request, its shape checked, nobody authenticated yet.

        :raises HandoverRefused: the shape is wrong.
        """

    @abstractmethod
    def success(self) -> tuple[int, Mapping[str, str], str]:
        """Status, headers and body that tell the peer that its code was taken."""

    @abstractmethod
    def error(self, refused: HandoverRefused) -> HttpResponse:
        """The answer that tells the peer as much of ``refused`` as it may know."""

    # Calling the peer

    @abstractmethod
    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """As party A: hand ``code`` over.

        :raises PeerUnreachable, AddressRefused, BadResponse: there was no usable answer.
        """

    @abstractmethod
    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """As party B: trade ``code`` for tokens.

        :raises PeerError: it did not work, see :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """A new access token for ``refresh_token``.

        :raises PeerError: it did not work, see :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Tell the peer that we no longer use ``token``.

        :raises PeerUnreachable, AddressRefused, BadResponse: there was no usable answer.
        """
