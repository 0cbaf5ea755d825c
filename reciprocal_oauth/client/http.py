"""The one door through which anything leaves this server.

https only (plain http for loopback, where the settings allow it); every address checked and the
checked one connected to, so a second DNS answer cannot lead elsewhere; no redirects (307 and 308
would post code, token and secret again to a second host); no proxies or netrc from the
environment; one deadline for the whole exchange; a cap on what is read, after decoding.
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
#: What is asked for and read. Whether urllib3 reads others, and within which limits of memory,
#: depends on what else is installed; without it, it would give the compressed bytes for the body.
_CONTENT_CODINGS = ("gzip", "deflate")
_TOO_LATE = "The answer was not finished in time."


@dataclass(frozen=True, repr=False)
class PeerResponse:
    """A peer's answer: HTTP status, headers, and its body where that can be had.

    A status counts whatever comes with it (a hand-over is taken with 200, and the draft defines no
    body), so a body that is too long or broken is a fault only for those who ask for it.

    :ivar problem: why there is no body; empty if there is one.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    problem: str = ""

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    @property
    def body(self) -> bytes:
        """The whole body, decoded.

        :raises BadResponse: it has more than ``HTTP_MAX_RESPONSE_BYTES``, or cannot be decoded.
        """
        if self.problem:
            raise BadResponse(self.problem)
        return self.content

    def __repr__(self) -> str:
        # The body may be a token response.
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
    """One exchange with a peer.

    Errors leave without the frames and causes below: those hold the request, with its codes and
    secrets, and an error report would print them.

    :param data: form fields, sent as UTF-8 (RFC 6749, appendix B).
    :raises AddressRefused: the URL, or an address behind it, is one that we never call.
    :raises PeerUnreachable: DNS, TLS, connection, or not finished within the deadline (seconds:
        ``HTTP_TOTAL_TIMEOUT_SECONDS``).
    """
    begun = time.monotonic()
    try:
        _check(url)  # As it was given: requests would next_step some faults of it.
        with HardenedSession() as session:
            request = requests.Request(method, url, data=data, headers=headers, auth=auth)
            with session.send(session.prepare_request(request), stream=True) as response:
                content, problem = _read_capped(response, settings.HTTP_MAX_RESPONSE_BYTES)
    except (ReciprocalError, ImproperlyConfigured) as error:
        raise error.with_traceback(None) from None
    except Exception as error:
        # What was cut off at the deadline looks like a connection that was closed.
        if not _is_overdue(begun):
            raise translated(error, url) from None
    if _is_overdue(begun):
        raise PeerUnreachable(f"{_origin(url)} did not finish its answer in time.")
    return PeerResponse(response.status_code, response.headers, content, problem)


class HardenedSession(requests.Session):
    """A ``requests.Session`` that only has the hardened door, ignores the environment, and keeps no
    cookies.

    :param max_bytes: most bytes, after decoding, that are read of the body of an answer. ``None``:
        whoever reads it sees to that.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["User-Agent"] = USER_AGENT
        self.headers["Accept-Encoding"] = ", ".join(_CONTENT_CODINGS)
        # The token says who calls. A cookie that a peer sets could come to say something else.
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        # One adapter serves both schemes; whether plain http is acceptable is judged per URL.
        for scheme in ("https://", "http://"):
            self.mount(scheme, HardenedAdapter(max_bytes))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        begun = time.monotonic()
        release_connections()
        try:
            response = super().send(request, **kwargs)
        except requests.RequestException as error:
            if _is_overdue(begun):
                # What was cut off at the deadline looks like a connection that was closed.
                raise requests.exceptions.ReadTimeout(_TOO_LATE) from None
            # The frames below, and those of the causes, hold the request's headers and body.
            raise error.with_traceback(None) from None
        except Exception as error:
            raise error.with_traceback(None) from None
        if _is_overdue(begun):
            # Or like the end of the headers or of the body.
            response.close()
            raise requests.exceptions.ReadTimeout(_TOO_LATE)
        return response

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: a redirect is an answer. requests would read the whole body of one, however long,
        even with ``allow_redirects=False``."""
        return None


class HardenedAdapter(HTTPAdapter):
    """Transport that checks the URL, pins the address and ends every exchange at its deadline."""

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        super().__init__(max_retries=Retry(0, redirect=0, read=False))

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": PinnedHTTPPool,
            "https": PinnedHTTPSPool,
        }

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        _check(request.url or "")
        # A proxy would connect to an address that nobody checked, and a caller must not be able
        # to wait longer than the deadline or to skip the certificate.
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
        """As that of requests, without reading all certificate authorities for every connection,
        which takes longer than the rest of an exchange."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        authorities = conn.ca_certs or conn.ca_cert_dir
        # A context that is shared must not learn the certificate of one caller.
        if authorities and not cert:
            conn.conn_kw["ssl_context"] = _tls_context(authorities)
            conn.ca_certs = conn.ca_cert_dir = None


def _tls_context(authorities: str) -> ssl.SSLContext:
    return _make_tls_context(authorities, os.stat(authorities).st_mtime_ns)


@lru_cache(maxsize=4)
def _make_tls_context(authorities: str, changed: int) -> ssl.SSLContext:
    """:param changed: when the authorities were last changed, so that a new file is read."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.check_hostname = True
    if os.path.isdir(authorities):
        context.load_verify_locations(capath=authorities)
    else:
        context.load_verify_locations(cafile=authorities)
    return context


def _check(url: str) -> None:
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
    if problem:
        raise AddressRefused(f"{_origin(url)}: {problem}")


def _ca_bundle() -> str:
    """:raises ImproperlyConfigured: the file is not there: a fault here, not the peer's."""
    path = str(settings.HTTP_CA_BUNDLE)  # A site may have set a pathlib.Path.
    if path and not os.path.exists(path):
        raise ImproperlyConfigured(f"RECIPROCAL_OAUTH['HTTP_CA_BUNDLE']: there is no {path}.")
    return path


def _read_capped(response: requests.Response, limit: int) -> tuple[bytes, str]:
    """The body, or why it cannot be had.

    Read with ``read()``: that leaves chunked bodies to http.client, which limits the lines between
    the chunks; urllib3's ``stream()`` would keep one of any length in memory.
    """
    undecodable = f"{_origin(response.url)} sent a body that cannot be decoded."
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


def _is_overdue(begun: float) -> bool:
    return time.monotonic() - begun >= settings.HTTP_TOTAL_TIMEOUT_SECONDS


def translated(error: Exception, url: str) -> ReciprocalError:
    """Our error for a foreign one: it names the origin and the reason, never the request."""
    if isinstance(
        error,
        requests.exceptions.InvalidURL
        | requests.exceptions.InvalidSchema
        | requests.exceptions.MissingSchema,
    ):
        return AddressRefused(f"{_origin(url)} is not a URL to call.")
    kind = TLSFailed if isinstance(error, requests.exceptions.SSLError) else PeerUnreachable
    return kind(f"{_origin(url)}: {failures.in_words(error)}")


def _origin(url: str) -> str:
    """Scheme and host of a URL: its path and query may carry what must not be logged."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    except ValueError:
        return "(not a URL)"
