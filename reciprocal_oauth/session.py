"""Functions with which the code of a site calls the API of a peer on behalf of a user.

::

    session = reciprocal_oauth.get_session_for(request.user, "music")
    session.post("https://music.example/api/player/", json={"track": "Blue in Green"})
"""

import difflib
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import requests
from django.db.models import QuerySet

from .client import http
from .client.capped import ResponseTooLong
from .conf import settings
from .core import telemetry
from .exceptions import AddressRefused, NotLinked, PeerUnreachable, UnknownPeer
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


class PeerSession(http.HardenedSession):
    """A ``requests.Session`` that adds the access token of a link to each request (RFC 6750,
    section 2.1), and refreshes the token when this is needed (RFC 6749, section 6).

    A token that has expired is refreshed before the request is sent. If the peer responds with 401
    (RFC 6750, section 3.1), the token is refreshed once, the request is sent again, and the second
    response is returned. In two cases, the first 401 response is returned instead: the link has no
    refresh token, or the body of the request is a stream, which cannot be sent twice.

    The token is sent only to two groups of hosts: those of the peer's URLs (homepage, issuer and
    endpoints) that were configured when the peer issued the token, and those in ``allow_hosts``. So
    neither a forged URL nor a change of the configured URLs can leak the token.

    Connections have the limits of :mod:`reciprocal_oauth.client.http`: IP addresses are checked,
    redirects are not followed, proxies and netrc files are ignored, cookies are not kept, and there
    is one time limit for the whole exchange. The arguments ``timeout``, ``verify`` and ``proxies``
    of a call have no effect. Use each session in one thread only, like any ``requests.Session``.

    :param max_bytes: the longest response body that can be read, in bytes after decoding. The
        default is the setting ``SESSION_MAX_RESPONSE_BYTES``.
    :ivar link: the link, which is read from the database again before each request.

    A call raises the exceptions of ``requests``, and these:

    :raises NotLinked: the link does not work, or does not work any more.
    :raises AddressRefused: the token must not be sent to the host in the URL, or the IP address of
        the host is not allowed.
    :raises ResponseTooLong: the body is longer than ``max_bytes``. This is a subclass of
        ``requests.RequestException``. With ``stream=True``, it is raised when the body is read.
    :raises PeerError: the token had to be refreshed, and the refresh failed. It may succeed later.
    :raises DecryptionError: no configured key decrypts the stored token.
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
        """Return the hosts to which the token may be sent: the hosts that were configured for the
        peer when it issued the token, and ``allow_hosts``."""
        return {_host_of(origin) for origin in bound_origins(self.link.bound_to)} | self._allowed

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send ``request`` with the access token. The docstring of the class lists the
        exceptions."""
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
        """Make sure that the token may be sent to the host of ``request``.

        :raises AddressRefused: the token must not be sent to this host.
        """
        host = _host_of(request.url or "")
        if host not in self.hosts:
            raise AddressRefused(
                f"{host} is not a host of peer {self.link.peer.slug}. If its API is there, pass "
                f"allow_hosts=[{host!r}]."
            )

    def _send_with(
        self, request: requests.PreparedRequest, token: Secret, **kwargs: Any
    ) -> requests.Response:
        # Check the host again. While this site read or refreshed the token, an administrator may
        # have changed the URLs of the peer, and the user may then have connected again. In this
        # case, the token is for the new URLs only.
        self._check_host(request)
        request.headers["Authorization"] = f"Bearer {token.reveal()}"
        try:
            with telemetry.http_request(self.link.peer.slug, "api") as ended:
                try:
                    response = super().send(request, **kwargs)
                except Exception as error:
                    ended(http.outcome_of(error))
                    raise
                ended(f"{response.status_code // 100}xx")
                return response
        except PeerUnreachable as error:
            # The host name cannot be resolved. Raise the exception that ``requests`` would raise.
            raise requests.ConnectionError(str(error)) from None


def _host_of(url: str) -> str:
    """Return the host of ``url``, followed by the port unless it is the default port of the scheme.
    The port matters, because another service may listen on another port."""
    parts = urlsplit(url)
    host, port = _ascii(parts.hostname or ""), parts.port
    if port is None or port == {"https": 443, "http": 80}.get(parts.scheme):
        return host
    return f"{host}:{port}"


def _ascii(host: str) -> str:
    """Return ``host`` (with its port, if any) in ASCII. An international host name is encoded in
    the same way as ``requests`` does this."""
    if host.isascii():
        return host
    try:
        prepared = requests.Request("GET", f"https://{host}/").prepare()
    except requests.RequestException:
        return host  # The name is invalid, so ``requests`` cannot call this host anyway.
    return urlsplit(prepared.url or "").netloc


def get_links(user: Any, peer: Peer | str) -> QuerySet[Link]:
    """Return the links of ``user`` through which this site can call ``peer``, the newest link
    first. The result is empty for a deactivated user, and if the peer is disabled.

    A user who has several accounts at the peer can have one link for each account. The fields
    ``account_name`` and ``subject`` of a link identify the account, if the peer provides them.

    :param peer: a ``Peer``, or the short name of a peer.
    :raises UnknownPeer: no peer has this short name.
    """
    if isinstance(peer, str):
        _require_peer(peer)
    return _links(user, peer)


def get_link(user: Any, peer: Peer | str) -> Link:
    """Return the newest link of ``user`` through which this site can call ``peer``.

    A user can have several links with a peer; :func:`get_links` returns all of them.

    :param peer: a ``Peer``, or the short name of a peer.
    :raises NotLinked: the user has no working link with the peer.
    :raises UnknownPeer: no peer has this short name.
    """
    link = _links(user, peer).first()
    if link is not None:
        return link
    if isinstance(peer, str):
        _require_peer(peer)
    raise NotLinked(f"This user has no working link with “{_slug_of(peer)}”.")


def _links(user: Any, peer: Peer | str) -> QuerySet[Link]:
    if not user.is_authenticated or not user.is_active:
        return Link.objects.none()
    links = Link.objects.select_related("peer").filter(
        user=user,
        peer__slug=_slug_of(peer),
        peer__enabled=True,
        status=Link.Status.ACTIVE,
        outgoing_state=Link.Outgoing.ACTIVE,
    )
    return links.order_by("-created_at")


def _slug_of(peer: Peer | str) -> str:
    return peer.slug if isinstance(peer, Peer) else peer


def _require_peer(slug: str) -> None:
    """Check that there is a peer with this short name, so that a misspelt name does not look like a
    user who has not connected.

    :raises UnknownPeer: no peer has this short name.
    """
    if Peer.objects.filter(slug=slug).exists():
        return
    known = sorted(Peer.objects.values_list("slug", flat=True))
    near = difflib.get_close_matches(slug, known)
    if near:
        hint = f"Did you mean {' or '.join(f'“{name}”' for name in near)}?"
    elif known:
        hint = f"The peers are: {', '.join(known)}."
    else:
        hint = "There are no peers yet."
    raise UnknownPeer(f"There is no peer with the short name “{slug}”. {hint}")


def get_session(
    link: Link, *, allow_hosts: Iterable[str] = (), max_bytes: int | None = None
) -> PeerSession:
    """Return a session that calls the peer of ``link`` on behalf of the user of ``link``.

    :param allow_hosts: additional hosts to which the token may be sent, for example the host of the
        peer's API. Add the port if it is not 443: ``api.example:8443``.
    :param max_bytes: the longest response body that can be read, in bytes after decoding. The
        default is the setting ``SESSION_MAX_RESPONSE_BYTES``.
    """
    return PeerSession(link, allow_hosts, max_bytes)


def get_session_for(
    user: Any,
    peer: Peer | str,
    *,
    allow_hosts: Iterable[str] = (),
    max_bytes: int | None = None,
) -> PeerSession:
    """Return a session that calls ``peer`` on behalf of ``user``. If the user has several working
    links with the peer, the session uses the newest of them.

    :param peer: a ``Peer``, or the short name of a peer.
    :param allow_hosts: see :func:`get_session`.
    :param max_bytes: see :func:`get_session`.
    :raises NotLinked: the user has no working link with the peer.
    :raises UnknownPeer: no peer has this short name.
    """
    return get_session(get_link(user, peer), allow_hosts=allow_hosts, max_bytes=max_bytes)
