"""Calling a peer as a user: what sites use.

::

    session = reciprocal_oauth.get_session_for(request.user, "music")
    session.post("https://music.example/api/player/", json={"track": "Blue in Green"})
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from django.db.models import QuerySet

from .client.capped import ResponseTooLong
from .client.http import HardenedSession
from .conf import settings
from .exceptions import AddressRefused, NotLinked, PeerUnreachable
from .links.outgoing_access import fresh_access_token
from .models import Link, Peer
from .models.binding import bound_origins
from .secret import Secret

__all__ = [
    "ResponseTooLong",
    "PeerSession",
    "get_link",
    "get_links",
    "get_session",
    "get_session_for",
]


class PeerSession(HardenedSession):
    """A ``requests.Session`` that carries the link's access token and renews it.

    It goes through the hardened door: checked addresses, no redirects, no proxies or netrc from
    the environment, no cookies kept, one deadline for each exchange. A token that has expired is
    refreshed before the call; one that the peer refuses with 401 is refreshed once and the call
    repeated.

    The token goes to the hosts and ports that the peer was configured with (homepage, issuer,
    endpoints) when it gave it, and to those in ``allow_hosts``, and to no other: a URL that a peer
    or a person made up must not carry it away, nor somebody who changes the peer.

    An answer with an error status is an answer; a 401 is one where no new token could be had, or
    where the body of the request was a stream, which cannot be sent twice.

    For one thread, as every ``requests.Session``. ``timeout``, ``verify`` and ``proxies`` of a call
    change nothing.

    :param max_bytes: most bytes, after decoding, that are read of the body of an answer; ``None``:
        ``SESSION_MAX_RESPONSE_BYTES``.
    :ivar link: read anew for each call, so that one that has ended is used no more.

    Calls raise, beside what requests raises where there was no answer:

    :raises NotLinked: there is no working access (any more).
    :raises AddressRefused: the URL is of another host, or one that is never called.
    :raises ResponseTooLong: the body has more than ``max_bytes``. One of requests' errors; with
        ``stream=True`` it comes where the body is read.
    :raises PeerError: the token had to be refreshed, which failed this time.
    :raises DecryptionError: no key reads the stored token.
    :raises TransactionManagementError: the caller has a transaction open.
    """

    def __init__(
        self, link: Link, allow_hosts: Iterable[str] = (), max_bytes: int | None = None
    ) -> None:
        super().__init__(settings.SESSION_MAX_RESPONSE_BYTES if max_bytes is None else max_bytes)
        self.link = link
        self._allowed = {_ascii(host.lower()) for host in allow_hosts}

    @property
    def hosts(self) -> set[str]:
        """Those that are given the token: where the peer was then, and ``allow_hosts``."""
        return {_host_of(origin) for origin in bound_origins(self.link.bound_to)} | self._allowed

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        self._check_host(request)
        token = fresh_access_token(self.link)
        response = self._send_with(request, token, **kwargs)
        repeatable = request.body is None or isinstance(request.body, bytes | str)
        if response.status_code != requests.codes.unauthorized or not repeatable:
            return response
        if not self.link.refresh_token:
            return response
        response.close()
        token = fresh_access_token(self.link, not_this=token)
        return self._send_with(request, token, **kwargs)

    def _check_host(self, request: requests.PreparedRequest) -> None:
        """:raises AddressRefused: the token of the link is for others."""
        host = _host_of(request.url or "")
        if host not in self.hosts:
            raise AddressRefused(
                f"{host} is not a host of peer {self.link.peer.slug}. If its API is there, pass "
                f"allow_hosts=[{host!r}]."
            )

    def _send_with(
        self, request: requests.PreparedRequest, token: Secret, **kwargs: Any
    ) -> requests.Response:
        # Once more: the link may have been connected anew, elsewhere, since it was looked at.
        self._check_host(request)
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        try:
            return super().send(request, **kwargs)
        except PeerUnreachable as error:
            # The name does not resolve. For the caller this is one of the ways in which a call
            # fails, and requests has an error for them.
            raise requests.ConnectionError(str(error)) from None


def _host_of(url: str) -> str:
    """Host, and port where it is not that of the scheme: behind another one is another service."""
    parts = urlsplit(url)
    host, port = _ascii(parts.hostname or ""), parts.port
    if port is None or port == {"https": 443, "http": 80}.get(parts.scheme):
        return host
    return f"{host}:{port}"


def _ascii(host: str) -> str:
    """``host``, and its port, as requests writes an international name in what it calls."""
    if host.isascii():
        return host
    try:
        prepared = requests.Request("GET", f"https://{host}/").prepare()
    except requests.RequestException:
        return host  # Nobody can call it.
    return urlsplit(prepared.url or "").netloc


def get_links(user: Any, peer: Peer | str) -> QuerySet[Link]:
    """The user's links with ``peer`` (a ``Peer`` or its short name) that can be called with; none
    where the user is deactivated.

    One for each account there, the one linked last first. ``account_name`` and ``subject`` say
    which account it is, where the peer tells.
    """
    if not user.is_authenticated or not user.is_active:
        return Link.objects.none()
    links = Link.objects.select_related("peer").filter(
        user=user,
        peer__slug=peer.slug if isinstance(peer, Peer) else peer,
        peer__enabled=True,
        status=Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ACTIVE,
    )
    return links.order_by("-created_at")


def get_link(user: Any, peer: Peer | str) -> Link:
    """The user's link with ``peer`` (a ``Peer`` or its short name) that can be called with.

    Where several accounts at the peer are linked, the one linked last; :func:`get_links` gives all.

    :raises NotLinked: there is none.
    """
    link = get_links(user, peer).first()
    if link is None:
        slug = peer.slug if isinstance(peer, Peer) else peer
        raise NotLinked(f"This user has no working link with “{slug}”.")
    return link


def get_session(
    link: Link, *, allow_hosts: Iterable[str] = (), max_bytes: int | None = None
) -> PeerSession:
    """A session that calls the link's peer as the link's user there.

    :param allow_hosts: hosts beside the peer's own that may be given the token: its API's, where
        that is on another one. With the port, unless it is that of https: ``api.example:8443``.
    :param max_bytes: most bytes, after decoding, that are read of the body of an answer; ``None``:
        ``SESSION_MAX_RESPONSE_BYTES``.
    """
    return PeerSession(link, allow_hosts, max_bytes)


def get_session_for(
    user: Any,
    peer: Peer | str,
    *,
    allow_hosts: Iterable[str] = (),
    max_bytes: int | None = None,
) -> PeerSession:
    """A session that calls ``peer`` as ``user``, with the account there that was linked last;
    the rest as in :func:`get_session`.

    :raises NotLinked: the user has no working link with the peer.
    """
    return get_session(get_link(user, peer), allow_hosts=allow_hosts, max_bytes=max_bytes)
