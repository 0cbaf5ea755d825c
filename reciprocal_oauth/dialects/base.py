"""The interface of a dialect: the methods that each dialect must implement.

A dialect defines the form of the HTTP requests and responses for a kind of peer. It converts
between Python objects and HTTP and never uses the database. The packages ``party_a`` and
``party_b`` decide who is allowed to do what, and what is stored.
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
    """The values of a hand-over that this site received: a request in which a peer sends a
    reciprocal code. Each dialect reads these values from its own form of request.

    :ivar client_id: the client ID of the peer at this site.
    :ivar code: the reciprocal code.
    :ivar access_token: an access token that this site issued. Its user is the one that the
        reciprocal code is for (draft-ietf-oauth-reciprocal-04, section 2.2.2).
    """

    client_id: str
    code: Secret
    access_token: Secret


class Dialect(ABC):
    """Base class of all dialects. It has methods to send reciprocal codes and tokens to a peer, to
    read a reciprocal code that a peer sends, and to respond to that peer."""

    #: If it is True, this site revokes the user's old token at the peer when the user has connected
    #: again and this site has a new token. If it is ``None``, the field ``Peer.revoke_replaced``
    #: decides. Set it to False if this kind of peer would also revoke the new token.
    revokes_replaced_tokens: bool | None = None

    # Methods for a reciprocal code that the peer sends to this site (this site is party B).

    @abstractmethod
    def recognise(self, request: HttpRequest) -> bool:
        """Return whether ``request`` is a hand-over (it sends this site a reciprocal code) in this
        dialect. The method must not raise any exception."""

    @abstractmethod
    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over in a request for which :meth:`recognise` returned True. Check only
        the form of the request: the client is authenticated later.

        :raises HandoverRefused: the form of the request is wrong.
        """

    @abstractmethod
    def success(self) -> tuple[int, Mapping[str, str], str]:
        """Return status, headers and body of the response to a hand-over that was accepted."""

    @abstractmethod
    def error(self, refused: HandoverRefused) -> HttpResponse:
        """Return the response to a hand-over that was refused. It must not contain the reason in
        ``str(refused)``, which is for the log of this site only."""

    # Methods that send a request to the peer.

    @abstractmethod
    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        """Send the reciprocal code ``code`` of this site to the peer; this site is party A
        (draft-ietf-oauth-reciprocal-04, section 2.2.2).

        :param access_token: the access token of this site at the peer. It tells the peer which
            account the code belongs to.
        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """

    @abstractmethod
    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        """Redeem ``code``, a reciprocal code that the peer sent, for tokens at the peer; this site
        is party B (RFC 6749, section 4.1.3).

        :raises PeerError: the peer returned no usable tokens; see
            :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        """Request a new access token from the peer with ``refresh_token`` (RFC 6749, section 6).

        :raises PeerError: the peer returned no usable tokens; see
            :func:`client.token_endpoint.request_token`.
        """

    @abstractmethod
    def revoke(self, peer: Peer, token: Secret) -> RevocationResult:
        """Revoke ``token`` at the peer (RFC 7009, section 2.1).

        :raises PeerUnreachable, AddressRefused, BadResponse: there is no usable response.
        """
