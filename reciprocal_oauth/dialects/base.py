"""The interface of a dialect: what each hook may assume, must return and may raise.

A dialect says how things look on the wire. Who may do what, and what is stored, is decided by the
parties; a dialect never touches the database.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.http import HttpRequest, HttpResponse

from ..client.token_endpoint import TokenResponse
from ..exceptions import HandoverRefused
from ..models import Peer
from ..secret import Secret


@dataclass(frozen=True)
class Handover:
    """What a peer hands over to party B, whatever it looked like on the wire."""

    client_id: str
    code: Secret
    access_token: Secret


class Meaning(enum.Enum):
    """What party B's answer means to party A."""

    ACCEPTED = "accepted"  #: Taken; done once the code is redeemed.
    RETRY = "retry"  #: Not now: overload, outage, deployment.
    STALE = "stale"  #: The access token may be stale: refresh it and try once more.
    REFUSED = "refused"  #: Never: the request is wrong.
    CREDENTIALS_REFUSED = "credentials_refused"  #: The peer does not accept our credentials.
    UNSUPPORTED = "unsupported"  #: The peer cannot take reciprocal codes, whosever they are.
    GONE = "gone"  #: The endpoint is gone for good, for every row.


@dataclass(frozen=True)
class SendAnswer:
    """Party B's answer to a hand-over.

    :ivar retry_after: seconds the peer asks to wait.
    :ivar detail: status and error code, for the history and the log.
    """

    meaning: Meaning
    detail: str
    retry_after: float | None = field(default=None)


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
    def send(self, peer: Peer, code: Secret, access_token: Secret) -> SendAnswer:
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
    def revoke(self, peer: Peer, token: Secret) -> SendAnswer:
        """Tell the peer that we no longer use ``token``.

        :raises PeerUnreachable, AddressRefused, BadResponse: there was no usable answer.
        """
