"""Functions with which a site calls a peer as one of its users.

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
    """A ``requests.Session`` that sends the link's access token (RFC 6750, section 2.1) and
    refreshes it (RFC 6749, section 6).

    A token that has expired is refreshed before the call. If the peer responds with 401 (RFC 6750,
    section 3.1), the token is refreshed once and the call is repeated. The second response is
    returned, whatever its status. A 401 is returned at once if there is no refresh token, or if the
    body of the request is a stream, which cannot be sent twice.

    The token is sent only to the hosts and ports that the peer had in its configuration (homepage,
    issuer, endpoints) when it issued the token, and to ``allow_hosts``. So neither a forged URL nor
    a change of the peer's configuration can leak it.

    Connections have the limits of :mod:`reciprocal_oauth.client.http`: checked addresses, no
    redirects, no proxies or netrc from the environment, no cookies, one deadline for the whole
    exchange. The arguments ``timeout``, ``verify`` and ``proxies`` of a call have no effect. As
    with every ``requests.Session``, use a session in one thread only.

    :param max_bytes: the longest response body that can be read, in bytes, after decoding.
        ``None``: ``SESSION_MAX_RESPONSE_BYTES``.
    :ivar link: the link, which is read from the database for each call.

    Calls raise these errors, and those of requests:

    :raises NotLinked: the link does not work, or no longer.
    :raises AddressRefused: the URL is on another host, or its address is not allowed.
    :raises ResponseTooLong: the body is longer than ``max_bytes``. It is a
        ``requests.RequestException``; with ``stream=True``, reading the body raises it.
    :raises PeerError: the token had to be refreshed, and that failed this time.
    :raises DecryptionError: no key decrypts the stored token.
    :raises TransactionManagementError: the caller has an open transaction.
    """

    def __init__(
        self, link: Link, allow_hosts: Iterable[str] = (), max_bytes: int | None = None
    ) -> None:
        super().__init__(settings.SESSION_MAX_RESPONSE_BYTES if max_bytes is None else max_bytes)
        self.link = link
        self._allowed = {_ascii(host.lower()) for host in allow_hosts}

    @property
    def hosts(self) -> set[str]:
        """The hosts to which the token may be sent: those of the peer when it issued the token, and
        ``allow_hosts``."""
        return {_host_of(origin) for origin in bound_origins(self.link.bound_to)} | self._allowed

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request`` with the access token; see the class for the errors that it raises."""
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
        """:raises AddressRefused: the token must not be sent to the host of ``request``."""
        host = _host_of(request.url or "")
        if host not in self.hosts:
            raise AddressRefused(
                f"{host} is not a host of peer {self.link.peer.slug}. If its API is there, pass "
                f"allow_hosts=[{host!r}]."
            )

    def _send_with(
        self, request: requests.PreparedRequest, token: Secret, **kwargs: Any
    ) -> requests.Response:
        # Check again: meanwhile the user may have connected the link again, with other hosts.
        self._check_host(request)
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        try:
            return super().send(request, **kwargs)
        except PeerUnreachable as error:
            # The host name does not resolve. Callers expect the error of requests for that.
            raise requests.ConnectionError(str(error)) from None


def _host_of(url: str) -> str:
    """Return the host of ``url``, with the port if it is not the default port of the scheme:
    another port is another service."""
    parts = urlsplit(url)
    host, port = _ascii(parts.hostname or ""), parts.port
    if port is None or port == {"https": 443, "http": 80}.get(parts.scheme):
        return host
    return f"{host}:{port}"


def _ascii(host: str) -> str:
    """Return ``host`` (and its port) in ASCII, as requests encodes an international name."""
    if host.isascii():
        return host
    try:
        prepared = requests.Request("GET", f"https://{host}/").prepare()
    except requests.RequestException:
        return host  # Not a valid name, so it cannot be called.
    return urlsplit(prepared.url or "").netloc


def get_links(user: Any, peer: Peer | str) -> QuerySet[Link]:
    """Return the user's links with ``peer`` (a ``Peer`` or its short name) that can be used for
    calls, the newest first. A deactivated user has none.

    There is one link for each account at the peer. ``account_name`` and ``subject`` identify the
    account, if the peer provides them.
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
    """Return the user's link with ``peer`` (a ``Peer`` or its short name) that can be used for
    calls.

    If the user has linked several accounts at the peer, it is the newest link. :func:`get_links`
    returns all of them.

    :raises NotLinked: the user has no working link with the peer.
    """
    link = get_links(user, peer).first()
    if link is None:
        slug = peer.slug if isinstance(peer, Peer) else peer
        raise NotLinked(f"This user has no working link with “{slug}”.")
    return link


def get_session(
    link: Link, *, allow_hosts: Iterable[str] = (), max_bytes: int | None = None
) -> PeerSession:
    """Return a session that calls the link's peer as the link's user.

    :param allow_hosts: more hosts to which the token may be sent, for example if the peer's API is
        on a host of its own. Include the port unless it is 443: ``api.example:8443``.
    :param max_bytes: the longest response body that can be read, in bytes, after decoding.
        ``None``: ``SESSION_MAX_RESPONSE_BYTES``.
    """
    return PeerSession(link, allow_hosts, max_bytes)


def get_session_for(
    user: Any,
    peer: Peer | str,
    *,
    allow_hosts: Iterable[str] = (),
    max_bytes: int | None = None,
) -> PeerSession:
    """Return a session that calls ``peer`` as ``user``, with the newest link (:func:`get_link`).
    The other arguments are those of :func:`get_session`.

    :raises NotLinked: the user has no working link with the peer.
    """
    return get_session(get_link(user, peer), allow_hosts=allow_hosts, max_bytes=max_bytes)
