"""The HTTP client: every request of this app leaves this server through it.

- https only (RFC 6749, section 3.2). Plain http is for loopback, if the settings allow it.
- It checks every address of a host name and connects to a checked one. So a second DNS response
  cannot lead to another host.
- It follows no redirect (RFC 9110, section 15.4). After 307 and 308, the code, the token and the
  secret would be sent again, to another host.
- It uses no proxy and no netrc file of the environment.
- One deadline holds for request and response together.
- The response body has a limit in bytes, counted after decoding.
"""

import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
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
from urllib3.util.ssl_ import create_urllib3_context

from .._version import __version__
from ..conf import settings
from ..core.database import release_connections
from ..core.peer_urls import url_problem
from ..exceptions import (
    AddressRefused,
    BadResponse,
    PeerUnreachable,
    ReciprocalError,
    TLSFailed,
)
from . import failures
from .capped import CappedBody
from .connection import PinnedHTTPPool, PinnedHTTPSPool

USER_AGENT = f"reciprocal_oauth/{__version__}"
_CHUNK_BYTES = 8 * 1024
#: Codings that we accept (RFC 9110, section 12.5.3). Whether urllib3 decodes others, and how much
#: memory that needs, depends on other packages. A body that it cannot decode would stay compressed.
_CONTENT_CODINGS = ("gzip", "deflate")
_TOO_LATE = "The response was not complete in time."


@dataclass(frozen=True, repr=False)
class PeerResponse:
    """A peer's response: HTTP status, headers, and the body if it is usable.

    The status counts without a usable body, too: status 200 accepts a hand-over, and
    draft-ietf-oauth-reciprocal-04, section 2.2.2, defines no body for it. So a body that is too
    long or broken is an error only for callers that read ``body``.

    :ivar problem: why the body cannot be used; empty if it can.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    problem: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    @property
    def body(self) -> bytes:
        """The whole body, decoded.

        :raises BadResponse: it exceeds ``HTTP_MAX_RESPONSE_BYTES``, or cannot be decoded.
        """
        if self.problem:
            raise BadResponse(self.problem)
        return self.content

    def __repr__(self) -> str:
        # The body may be a token response, which no log may show.
        return f"PeerResponse(status={self.status}, {len(self.content)} bytes)"


@sensitive_variables()
def call(
    method: str,
    url: str,
    *,
    data: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    auth: AuthBase | None = None,
) -> PeerResponse:
    """Send a request to a peer and read the response.

    Errors are raised without their inner frames and causes. Those hold the request with its codes
    and secrets, and an error report would print them.

    :param data: form fields, sent as UTF-8 (RFC 6749, appendix B).
    :raises AddressRefused: this site never calls the URL, or an address of its host.
    :raises PeerUnreachable: DNS, TLS or the connection failed, or the response was not complete at
        the deadline (seconds: ``HTTP_TOTAL_TIMEOUT_SECONDS``).
    """
    started_at = time.monotonic()
    try:
        _refuse_bad_url(url)  # Before requests sees it: requests repairs some bad URLs.
        with HardenedSession() as session:
            request = requests.Request(method, url, data=data, headers=headers, auth=auth)
            with session.send(session.prepare_request(request), stream=True) as response:
                content, problem = _read_capped(response, settings.HTTP_MAX_RESPONSE_BYTES)
    except (ReciprocalError, ImproperlyConfigured) as error:
        raise error.with_traceback(None) from None
    except Exception as error:
        # After the deadline, the error is our own: we have closed the connection.
        if not _is_overdue(started_at):
            raise _peer_error(error, url) from None
    if _is_overdue(started_at):
        raise PeerUnreachable(f"{_origin(url)} did not complete its response in time.")
    return PeerResponse(response.status_code, response.headers, content, problem)


class HardenedSession(requests.Session):
    """A ``requests.Session`` with all limits of this module, without environment and cookies.

    :param max_bytes: most bytes of a response body that can be read, after decoding. ``None``: the
        caller limits what it reads.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = USER_AGENT
        self.headers["Accept-Encoding"] = ", ".join(_CONTENT_CODINGS)
        # No cookies (RFC 6265, section 5.2, allows to ignore them): the token says for which user
        # we call, and a cookie could say another user.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # The adapter decides for each URL whether plain http is allowed.
        for scheme in ("https://", "http://"):
            self.mount(scheme, HardenedAdapter(max_bytes))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a request; the database connections are free meanwhile.

        :raises requests.RequestException: the request failed. ``ReadTimeout``: the response was not
            complete at the deadline.
        :raises AddressRefused: this site never calls the URL, or an address of its host.
        """
        started_at = time.monotonic()
        release_connections()
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            if _is_overdue(started_at):
                # We have closed the connection at the deadline, so the error is our own.
                raise requests.exceptions.ReadTimeout(_TOO_LATE) from None
            # The inner frames and causes hold the request's headers and body.
            raise error.with_traceback(None) from None
        except Exception as error:
            raise error.with_traceback(None) from None
        if _is_overdue(started_at):
            # A connection that we close can look like the end of the headers or of the body
            # (RFC 9112, section 8: such a response is incomplete).
            response.close()
            raise requests.exceptions.ReadTimeout(_TOO_LATE)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return ``None``: a redirect is a response like any other.

        requests would read the whole body of a redirect, even with ``allow_redirects=False``.
        """
        return None


class HardenedAdapter(HTTPAdapter):
    """Transport that checks the URL and the address, and stops at the deadline."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        super().__init__(max_retries=Retry(0, redirect=0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Use connections to checked addresses."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": PinnedHTTPPool,
            "https": PinnedHTTPSPool,
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        """Send a request.

        :raises AddressRefused: this site never calls the URL, or an address of its host.
        """
        _refuse_bad_url(request.url or "")
        # A proxy would connect to an address that is not checked. A caller must not wait longer
        # than the deadline, and must not switch off the check of the certificate.
        kwargs.update(
            proxies={},
            verify=_ca_bundle() or True,
            timeout=(settings.HTTP_CONNECT_TIMEOUT_SECONDS, settings.HTTP_TOTAL_TIMEOUT_SECONDS),
        )
        response = super().send(request, **kwargs)
        if self._max_bytes is not None:
            response.raw = CappedBody(response.raw, self._max_bytes)
        return response

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Do what requests does, but read the certificate authorities only once.

        To read them for every connection takes longer than the rest of a request.
        """
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        authorities = conn.ca_certs or conn.ca_cert_dir
        # The context is shared, so it must not hold the client certificate of one caller.
        if authorities and not cert:
            conn.conn_kw["ssl_context"] = _tls_context(authorities)
            conn.ca_certs = conn.ca_cert_dir = None


def _tls_context(authorities: str) -> ssl.SSLContext:
    return _make_tls_context(authorities, os.stat(authorities).st_mtime_ns)


@lru_cache(maxsize=4)
def _make_tls_context(authorities: str, changed: int) -> ssl.SSLContext:
    """Make the TLS context; it is kept until the authorities change.

    It checks the certificate and the host name (RFC 9110, section 4.3.4).

    :param changed: when the authorities were last changed.
    """
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = True
    if os.path.isdir(authorities):
        context.load_verify_locations(capath=authorities)
    else:
        context.load_verify_locations(cafile=authorities)
    return context


def _refuse_bad_url(url: str) -> None:
    """:raises AddressRefused: this site never calls the URL."""
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem:
        raise AddressRefused(f"{_origin(url)}: {problem}")


def _ca_bundle() -> str:
    """:raises ImproperlyConfigured: the file does not exist. The peer is not to blame for that."""
    path = str(settings.HTTP_CA_BUNDLE)  # A site may have set a pathlib.Path.
    if path and not os.path.exists(path):
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_CA_BUNDLE']: {path} does not exist.")
    return path


def _read_capped(response: requests.Response, limit: int) -> tuple[bytes, str]:
    """Read the body; return it, or the reason why it cannot be used.

    It is read with ``read()``, so that http.client parses chunked bodies (RFC 9112, section 7.1).
    http.client limits the lines between chunks; urllib3's ``stream()`` keeps a line of any length
    in memory.
    """
    undecodable = f"{_origin(response.url)} sent a body that cannot be decoded."
    # "x-gzip" is "gzip" (RFC 9110, section 8.4.1.3).
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
    """Translate an error of requests: ours names the peer's origin and the reason, no more."""
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
    """Scheme, host and port of a URL. The rest may hold secrets, which no log may show."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "(not a URL)"
