"""The interface of a dialect: the methods that each dialect must implement.

A dialect defines the form of the HTTP requests and responses for a kind of peer. It converts
between Python objects and HTTP and never uses the database. The packages ``party_a``, ``party_b``
and ``provider`` decide who is allowed to do what, and what is stored.
"""

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

from django.http import HttpRequest, HttpResponse, JsonResponse

from ..client.token_endpoint import TokenResponse
from ..exceptions import HandoverRefused
from ..models import Peer
from ..models.results import HandoverResult, RevocationResult
from ..secret import Secret


class Endpoint(enum.Enum):
    """The address at which this site accepts the hand-overs of a peer."""

    #: The token endpoint of this site (draft-ietf-oauth-reciprocal-04, section 2.2.2).
    TOKEN = "token"  # noqa: S105
    #: The address of the peer alone, ``connections/handover/<slug>/``, or a view of the site that
    #: calls :func:`reciprocal_oauth.take_handover`.
    OWN = "own"


class Trust(enum.Enum):
    """How a hand-over proves that it comes from the peer."""

    #: The sender authenticates as the client (RFC 6749, section 2.3).
    CLIENT = "client"
    #: The access token of this site alone is the proof (RFC 6750, section 2). Some vendors send no
    #: client credentials.
    BEARER = "bearer"


@dataclass(frozen=True)
class Handover:
    """The values of a hand-over that this site received: a request in which a peer sends a
    reciprocal code. Each dialect reads these values from its own form of request.

    :ivar code: the reciprocal code.
    :ivar access_token: an access token that this site issued. Its user is the one that the
        reciprocal code is for (draft-ietf-oauth-reciprocal-04, section 2.2.2).
    :ivar client_id: the client ID of the peer at this site; ``None`` if the request does not
        contain it.
    :ivar our_client_id: the client ID of this site at the peer; ``None`` if the request does not
        contain it.
    :ivar trust: how the request proves where it comes from.
    :ivar data: values that the dialect needs later, to redeem the code and to refresh the tokens,
        such as an address. They are stored encrypted: see :attr:`Dialect.data`.
    """

    code: Secret
    access_token: Secret
    client_id: str | None = None
    our_client_id: str | None = None
    trust: Trust = Trust.CLIENT
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class UnlinkNotice:
    """A message in which a peer says that the person has ended the link there.

    :ivar access_token: an access token that this site issued. It tells whose link has ended.
    """

    access_token: Secret


@dataclass(frozen=True)
class Report:
    """A message of a peer that changes nothing at this site, such as a report of an error.

    :ivar text: what to write to the log of this site: codes and numbers only, no words of the peer.
    """

    text: str


#: A message of a peer that is not a hand-over.
Notice = UnlinkNotice | Report


class Dialect(ABC):
    """Base class of all dialects. It has methods to send reciprocal codes and tokens to a peer, to
    read a reciprocal code that a peer sends, and to respond to that peer.

    :ivar data: the values that :attr:`Handover.data` had for this code or this link. They are empty
        if the peer sent none.
    """

    #: What the admin calls this kind of peer, next to the name of the dialect. It can be a lazy
    #: translation.
    label: ClassVar[str] = ""
    #: If it is True, this site revokes the user's old token at the peer when the user has connected
    #: again and this site has a new token. If it is ``None``, the field ``Peer.revoke_replaced``
    #: decides. Set it to False if this kind of peer would also revoke the new token.
    revokes_replaced_tokens: ClassVar[bool | None] = None
    #: Where this kind of peer sends its reciprocal codes.
    endpoint: ClassVar[Endpoint] = Endpoint.TOKEN
    #: Whether this kind of peer sends reciprocal codes at all. If it is False, this site never gets
    #: tokens at the peer, and the peer needs no client ID of this site and no token endpoint.
    sends_codes: ClassVar[bool] = True
    #: Whether this site must redeem a code before it responds to the hand-over, because the peer
    #: takes a response with success as "redeemed". The time is limited by the setting
    #: ``REDEEM_FIRST_SECONDS``.
    redeems_first: ClassVar[bool] = False
    #: Whether the token response to a redeemed code contains an ID token that names the account at
    #: the peer (OpenID Connect Core 1.0, section 3.1.3.3).
    reads_id_token: ClassVar[bool] = False
    #: Other values of the claim ``iss`` that mean the issuer of the peer.
    other_issuers: ClassVar[tuple[str, ...]] = ()
    #: Whether the claim ``azp`` of such an ID token may name another client, such as an app of this
    #: site. The token comes directly from the token endpoint, so the claim ``aud`` is enough.
    accepts_other_azp: ClassVar[bool] = False
    #: The fields of ``Peer`` that can be blank although a peer normally needs them.
    optional_fields: ClassVar[frozenset[str]] = frozenset()
    #: The names that ``Peer.dialect_options`` can contain, each with its allowed values. An empty
    #: tuple allows every value.
    options: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    #: Whether this kind of peer, as a client of this site, sends a code challenge (RFC 7636,
    #: section 4.3). If it is False, this site requires none of such a peer, whatever DOT's setting
    #: ``PKCE_REQUIRED`` says. A challenge that the peer sends is checked all the same.
    sends_code_challenge: ClassVar[bool] = True
    #: Whether this site can authenticate at such a peer with a signed assertion (RFC 7523, section
    #: 2.2). Set it to False if the dialect sends the client secret itself, or if the vendor knows
    #: only client secrets.
    takes_assertions: ClassVar[bool] = True
    #: How many seconds a replaced refresh token of this site should still work, because this kind
    #: of peer can send it twice (DOT's setting ``REFRESH_TOKEN_GRACE_PERIOD_SECONDS``).
    grace_seconds: ClassVar[int] = 0

    data: Mapping[str, str] = MappingProxyType({})

    @classmethod
    def has_own_address(cls) -> bool:
        """Return whether this kind of peer sends messages to ``connections/handover/<slug>/``."""
        return cls.endpoint is Endpoint.OWN or cls.notice is not Dialect.notice

    @classmethod
    def can_start(cls, peer: Any) -> bool:
        """Return whether people can start at this site to connect with ``peer``. If not, the pages
        of this site do not offer it."""
        return bool(peer.authorization_endpoint)

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        """Return whether ``peer`` accepts reciprocal codes of this site, as far as its kind and its
        settings tell. If not, this site sends it none."""
        return True

    def may_send(self) -> bool:
        """Return whether this site can hand over its codes with the tokens that :attr:`data`
        belongs to. If not, the person must start at this site again before the peer can get a new
        code."""
        return True

    # Methods for a reciprocal code that the peer sends to this site (this site is party B).

    @abstractmethod
    def recognise(self, request: HttpRequest) -> bool:
        """Return whether ``request`` is a hand-over (it sends this site a reciprocal code) in this
        dialect. The method must not raise any exception. It must leave the body readable."""

    @abstractmethod
    def parse(self, request: HttpRequest) -> Handover:
        """Return the hand-over in ``request``. Check only the form of the request: the client and
        the token are checked later. At an address of its own, the method also gets requests for
        which :meth:`recognise` returned False, and must refuse them.

        :raises HandoverRefused: the form of the request is wrong.
        """

    @abstractmethod
    def success(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a hand-over that was accepted."""

    @abstractmethod
    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        """Return the response to a hand-over that was refused. It must not contain the reason in
        ``str(refused)``, which is for the log of this site only. ``refused.cause`` tells apart what
        the table of a vendor tells apart. ``request`` can be malformed in every way."""

    # Methods for other messages of the peer to this site.

    def notice(self, request: HttpRequest) -> Notice | None:
        """Return the message in ``request``, if it is a notice in this dialect; otherwise ``None``.
        It must leave the body readable.

        :raises HandoverRefused: it is a notice, but its form is wrong.
        """
        return None

    def acknowledge(self, request: HttpRequest) -> HttpResponse:
        """Return the response to a notice. It is the same for a known and an unknown token."""
        return JsonResponse({}, headers={"Cache-Control": "no-store"})

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
