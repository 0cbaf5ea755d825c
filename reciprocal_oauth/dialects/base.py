"""The interface of a dialect: what each hook may assume, must return and may raise.

A dialect translates between objects and HTTP. It never touches the database: ``party_a`` and
``party_b`` decide who may do what, and what is stored.
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
    """A hand-over that party B received, independent of its form on the wire."""

    client_id: str
    code: Secret
    access_token: Secret


class Dialect(ABC):
    """How to hand over, redeem, refresh and revoke, and how to respond to a hand-over."""

    #: Whether tokens are revoked at the peer when a newer connection replaces them. ``None``: the
    #: field ``Peer.revoke_replaced`` decides. False if a revocation ends the whole account link
    #: at the vendor, and with it the new token.
    revokes_replaced_tokens: bool | None = None

    # Receiving, as party B

    @abstractmethod
    def recognise(self, request: HttpRequest) -> bool:
        """Return whether a request is a hand-over in this dialect. Never raises."""

    @abstractmethod
    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over in a recognised request. Checks its form only: the client is not
        authenticated yet.

        :raises HandoverRefused: the form is wrong.
        """

    @abstractmethod
    def success(self) -> tuple[int, Mapping[str, str], str]:
        """Return status, headers and body of the response to an accepted hand-over."""

    @abstractmethod
    def error(self, refused: HandoverRefused) -> HttpResponse:
        """Return the response to a refused hand-over. It contains only what the peer may know."""

    # Calling the peer

    @abstractmethod
    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Hand ``code`` over, as party A (draft-ietf-oauth-reciprocal-04, section 2.2.2).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """

    @abstractmethod
    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """Redeem ``code`` for tokens, as party B (RFC 6749, section 4.1.3).

        :raises PeerError: there are no tokens, see :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Request a new access token with ``refresh_token`` (RFC 6749, section 6).

        :raises PeerError: there are no tokens, see :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Revoke ``token`` at the peer (RFC 7009, section 2.1).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
