"""The HTTP client that sends every request of this app to a peer.

- It uses https (RFC 6749, section 3.2). It uses plain http only to call this machine itself, and
  only if the settings allow that.
- It checks all IP addresses of a host name and connects only to one of these addresses. So a second
  DNS look-up with another result cannot lead the request to another host.
- It follows no redirect (RFC 9110, section 15.4). After status 307 or 308, it would have to send
  the code, the token and the client secret to another host.
- It ignores the proxies and the netrc file that the environment defines. It uses a proxy only if
  the setting ``HTTP_PROXY_URL`` names one. The proxy then looks up the names of peers, and checks
  their addresses (see :mod:`.proxy`).
- A request and its response together have one deadline.
- The response body has a limit in bytes, which applies after decompression.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from django.core.exceptions import ImproperlyConfigured
from django.views.decorators.debug import sensitive_variables
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.exceptions import DecodeError
from urllib3.util.retry import Retry

from .._version import __version__
from ..conf import settings
from ..core import telemetry
from ..core.database import release_connections
from ..core.peer_urls import url_problem
from ..exceptions import (
    AddressRefused,
    BadResponse,
    PeerUnreachable,
    ProxyFailed,
    ReciprocalError,
    TLSFailed,
)
from ..secret import Secret
from . import failures, tls
from .capped import CappedBody
from .connection import PinnedHTTPPool, PinnedHTTPSPool

USER_AGENT = f"reciprocal_oauth/{__version__}"
_CHUNK_BYTES = 8 * 1024
#: The content codings (compression methods) that this site accepts (RFC 9110, section 12.5.3).
#: A response in another coding is refused, because urllib3 needs an additional package to decode
#: it. Without such a package, urllib3 would return the body still compressed.
_CONTENT_CODINGS = ("gzip", "deflate")
_TOO_LATE = "The response was not complete in time."


@dataclass(frozen=True, repr=False)
class PeerResponse:
    """A peer's response: the HTTP status, the headers, and the body if the body can be used.

    A caller can use the status even if the body is too long or broken, because such a body raises
    an error only when ``body`` is read. For example, status 200 alone means that the peer accepted
    a reciprocal code: draft-ietf-oauth-reciprocal-04, section 2.2.2, defines no body for it.

    :ivar problem: why the body cannot be used; ``""`` if it can be used.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    problem: str = ""

    @property
    def is_success(self) -> bool:
        """Return whether the status is 2xx, which means success (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    @property
    def body(self) -> bytes:
        """The whole body after decompression.

        :raises BadResponse: the body is longer than ``HTTP_MAX_RESPONSE_BYTES``, or cannot be
            decompressed.
        """
        if self.problem:
            raise BadResponse(self.problem)
        return self.content

    def __repr__(self) -> str:
        # Do not show the body: it can contain tokens, and a log must not contain tokens.
        return f"PeerResponse(status={self.status}, {len(self.content)} bytes)"


def _measured(call: Callable[..., PeerResponse]) -> Callable[..., PeerResponse]:
    """Decorate ``call`` so that the listeners of :mod:`..core.telemetry` are told how long each
    request took, and how it ended."""

    @wraps(call)
    def measured(*args: Any, **kwargs: Any) -> PeerResponse:
        with telemetry.http_request() as ended:
            try:
                response = call(*args, **kwargs)
            except ReciprocalError as error:
                ended(outcome_of(error))
                raise
            ended(f"{response.status // 100}xx")
            return response

    return measured


def outcome_of(error: Exception) -> str:
    """Return the word for a request that failed without a response: ``refused`` (this site must not
    call the address), ``proxy``, ``tls`` or ``unreachable``."""
    words: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
        ((AddressRefused,), "refused"),
        ((ProxyFailed, requests.exceptions.ProxyError), "proxy"),
        ((TLSFailed, requests.exceptions.SSLError), "tls"),
    )
    return next((word for kind, word in words if isinstance(error, kind)), "unreachable")


@sensitive_variables()
@_measured
def call(
    method: str,
    url: str,
    *,
    data: Mapping[str, str] | None = None,
    json: Mapping[str, Any] | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    auth: AuthBase | None = None,
    bearer: Secret | None = None,
) -> PeerResponse:
    """Send a request to a peer and read the response.

    Remove the inner traceback and the causes of each error before it is raised, because they
    contain the request with its codes and secrets, and an error report would show these.

    :param data: the form fields, which are sent in UTF-8 (RFC 6749, appendix B).
    :param json: the members of a JSON object, which is sent in place of form fields (RFC 8259).
    :param body: the exact bytes to send, in place of form fields. The caller gives the header
        ``Content-Type``.
    :param bearer: a token for the ``Authorization`` header, in place of ``auth``.
    :raises AddressRefused: this site must not call the URL or an IP address of its host.
    :raises PeerUnreachable: DNS, TLS or the connection failed, or the response was not complete
        after ``HTTP_TOTAL_TIMEOUT_SECONDS``.
    """
    started_at = time.monotonic()
    try:
        _refuse_bad_url(url)  # Check this first: ``requests`` would repair some bad URLs.
        with HardenedSession() as session:
            request = requests.Request(
                method,
                url,
                data=data if body is None else body,
                json=json,
                headers=headers,
                auth=auth if bearer is None else _Bearer(bearer),
            )
            with session.send(session.prepare_request(request), stream=True) as response:
                content, problem = _read_capped(response, settings.HTTP_MAX_RESPONSE_BYTES)
    except (ReciprocalError, ImproperlyConfigured) as error:
        raise error.with_traceback(None) from None
    except Exception as error:
        # Ignore the error if the deadline has passed: this site closed the connection at the
        # deadline, and this caused the error. The code below raises PeerUnreachable instead.
        if not _is_overdue(started_at):
            raise _peer_error(error, url) from None
    if _is_overdue(started_at):
        raise PeerUnreachable(f"{_origin(url)} did not complete its response in time.")
    return PeerResponse(response.status_code, response.headers, content, problem)


@dataclass(frozen=True)
class _Bearer(AuthBase):
    """Adds a token to the ``Authorization`` header of a request (RFC 6750, section 2.1).

    Until the header is written, the token stays a :class:`Secret`, so that no traceback or log
    shows it.
    """

    token: Secret

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self.token.reveal()}"
        return request


class HardenedSession(requests.Session):
    """A ``requests.Session`` that has all limits of this module.

    The session ignores cookies. It also ignores the proxies and the netrc file that the environment
    defines.

    :param max_bytes: the highest number of bytes that can be read from a response body, counted
        after decompression; ``None`` if the caller itself limits how much it reads.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = USER_AGENT
        self.headers["Accept-Encoding"] = ", ".join(_CONTENT_CODINGS)
        # Ignore all cookies, as RFC 6265, section 5.2, allows. The access token of a request says
        # for which user this site calls the peer. A cookie from an earlier request could belong to
        # another user.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # The adapter refuses each URL that this site must not call. So use it for every scheme.
        for scheme in ("https://", "http://"):
            self.mount(scheme, HardenedAdapter(max_bytes))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request. Release database connections first, so that other threads can use them
        while this thread waits for the peer.

        :raises requests.RequestException: the request failed. The error is a ``ReadTimeout`` if the
            response was not complete at the deadline.
        :raises AddressRefused: this site must not call the URL or an IP address of its host.
        """
        started_at = time.monotonic()
        release_connections()
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            if _is_overdue(started_at):
                # This site closed the connection at the deadline, and this caused the error.
                raise requests.exceptions.ReadTimeout(_TOO_LATE) from None
            # Remove the traceback and the causes, because they contain the headers and the body of
            # the request.
            raise error.with_traceback(None) from None
        except Exception as error:
            raise error.with_traceback(None) from None
        if _is_overdue(started_at):
            # This site closed the connection at the deadline. So the response is incomplete
            # (RFC 9112, section 8), even if the parser mistakes the closed connection for its end.
            response.close()
            raise requests.exceptions.ReadTimeout(_TOO_LATE)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return ``None``, so that ``requests`` treats a redirect like every other response.
        Otherwise, the library would read the whole body of a redirect, even with
        ``allow_redirects=False``."""
        return None


class HardenedAdapter(HTTPAdapter):
    """Sends the requests of a :class:`HardenedSession`. It refuses URLs that this site must not
    call, connects only to checked IP addresses, and closes the connection at the deadline."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        super().__init__(max_retries=Retry(0, redirect=0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make urllib3 use connection pools that connect to checked addresses only."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": PinnedHTTPPool,
            "https": PinnedHTTPSPool,
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request without a proxy of the caller, with the time limits and the certificate
        check of this module.

        :raises AddressRefused: this site must not call the URL or an IP address of its host.
        """
        _refuse_bad_url(request.url or "")
        # Three arguments of the caller are ignored. A proxy of the caller is not used: it would
        # connect to an IP address that this site has not checked. The proxy of the setting
        # HTTP_PROXY_URL belongs to the connection. The certificate is always checked, and the time
        # limits always apply.
        kwargs.update(
            proxies={},
            verify=tls.ca_bundle() or True,
            timeout=(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS),
        )
        response = super().send(request, **kwargs)
        if self._max_bytes is not None:
            response.raw = CappedBody(response.raw, self._max_bytes)
        return response

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Prepare the check of the peer's certificate. Read the certificate authorities only once:
        ``requests`` would read them for every connection, which takes longer than the rest of a
        request."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        authorities = conn.ca_certs or conn.ca_cert_dir
        # All callers share the TLS context. Do not use it for a caller with a client certificate,
        # because the context would keep this certificate for all later callers.
        if authorities and not cert:
            conn.conn_kw["ssl_context"] = tls.context(authorities)
            conn.ca_certs = conn.ca_cert_dir = None


def _refuse_bad_url(url: str) -> None:
    """Check that this site may call ``url``. Do not look up its host name.

    :raises AddressRefused: this site must not call ``url``.
    """
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem:
        raise AddressRefused(f"{_origin(url)}: {problem}")


def _read_capped(response: requests.Response, limit: int) -> tuple[bytes, str]:
    """Read the body. Return the body and ``""``, or ``b""`` and the reason why the body cannot be
    used.

    Use ``read()`` and not urllib3's ``stream()``. A chunked body (RFC 9112, section 7.1) has lines
    between its chunks. With ``read()``, http.client parses these lines and limits their length;
    ``stream()`` would keep a line of any length in memory.
    """
    undecodable = f"{_origin(response.url)} sent a body that cannot be decoded."
    # "x-gzip" is another name for "gzip" (RFC 9110, section 8.4.1.3).
    codings = response.headers.get("Content-Encoding", "").lower().split(",")
    if not {coding.strip() for coding in codings} <= {*_CONTENT_CODINGS, "x-gzip", "identity", ""}:
        return b"", undecodable
    content = bytearray()
    try:
        while chunk := response.raw.read(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > limit:
                return b"", f"{_origin(response.url)} sent more than {limit} bytes."
    except DecodeError:
        return b"", undecodable
    return bytes(content), ""


def _is_overdue(started_at: float) -> bool:
    return time.monotonic() - started_at >= settings.HTTP_TOTAL_TIMEOUT_SECONDS


def _peer_error(error: Exception, url: str) -> ReciprocalError:
    """Return this app's exception for ``error``, an exception of the library ``requests``. The text
    of the returned exception contains only the peer's origin and the reason."""
    if isinstance(
        error,
        requests.exceptions.InvalidURL
        | requests.exceptions.InvalidSchema
        | requests.exceptions.MissingSchema,
    ):
        return AddressRefused(f"{_origin(url)} is not a URL that can be called.")
    kind = TLSFailed if isinstance(error, requests.exceptions.SSLError) else PeerUnreachable
    return kind(f"{_origin(url)}: {failures.describe(error)}")


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL for a log. The rest of the URL is left out, because it
    can contain secrets."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "(not a URL)"
