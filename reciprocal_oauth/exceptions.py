"""All exceptions of the app. ``str(error)`` is a text for the site's log.

::

    ReciprocalError
    ├── HandoverRefused            this site, as party B, refuses a token request of a peer
    │                              (RFC 6749, section 5.2)
    ├── AuthorizationFailed        a user came back from a peer, and cannot be connected
    ├── PeerError                  a request to a peer failed
    │   ├── AddressRefused         the URL is not allowed; nothing was sent
    │   ├── PeerUnreachable        no complete response: DNS, connection, TLS or timeout
    │   │   └── TLSFailed          no encrypted connection, or an invalid certificate
    │   ├── PeerRefused            the peer responded with an error
    │   ├── RefreshPostponed       the peer is not asked yet; nothing was sent
    │   └── BadResponse            the peer responded with something unusable
    │       └── NoMetadata         the peer publishes no usable metadata
    ├── NotLinked                  the user has no working link with the peer
    └── LeaseLost                  another worker has taken over the row

    DecryptionError (django ImproperlyConfigured)   no key decrypts a stored secret

``DecryptionError`` is a mistake in the configuration. It is deliberately not a ``ReciprocalError``,
so that code that catches those does not take it for a peer that is down.
"""

from collections.abc import Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured

from .core.protocol import INVALID_CLIENT, SERVER_ERROR, TEMPORARILY_UNAVAILABLE


class ReciprocalError(Exception):
    """Base class of the errors of this app.

    ``str(error)`` is for the site's log. It contains no code, token or secret.
    """


class HandoverRefused(ReciprocalError):
    """This site, as party B, refuses a token request (draft-ietf-oauth-reciprocal-04, section
    2.2.2). The response tells the peer ``error`` and ``status``, and nothing else.

    :param error: an error code of RFC 6749, section 5.2.
    :param log: the reason, for the site's log only.
    :param status: the HTTP status; 400 unless RFC 6749, section 5.2, names another one.
    :param retry_after: seconds for the ``Retry-After`` header (with 429 and 503 only).
    """

    def __init__(
        self, error: str, log: str, *, status: int = 400, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{error}: {log}")
        self.error = error
        self.status = status
        self.retry_after = retry_after


class AuthorizationFailed(ReciprocalError):
    """An authorization that the user began at this site failed. The user can begin again.

    :param reason: a value of ``models.AuthorizationRequest.Problem``; the page explains it.
    :param log: what happened, for the site's log.
    """

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(log)
        self.reason = reason


class PeerError(ReciprocalError):
    """A request to a peer failed. Except for ``AddressRefused``, it may succeed later."""


class AddressRefused(PeerError):
    """The URL, or an IP address that its host name resolves to, is not allowed. Nothing was sent.

    Trying again does not help. To allow a private network, add it to ``HTTP_ALLOWED_NETWORKS``; to
    allow another host in a session, pass ``allow_hosts``.
    """


class PeerUnreachable(PeerError):
    """The peer sent no complete response: DNS, connection, TLS or timeout. Try again later."""


class TLSFailed(PeerUnreachable):
    """There is no encrypted connection, or the certificate of the peer is invalid. The operator of
    the peer has to correct it, or ``HTTP_CA_BUNDLE`` lacks the peer's certificate authority."""


class PeerRefused(PeerError):
    """The peer responded with an error. ``may_pass`` tells whether trying again can help.

    :param status: the HTTP status of the response.
    :param error: the error code in the body (RFC 6749, section 5.2); empty if there is none.
    :param retry_after: the seconds of the ``Retry-After`` header (RFC 9110, section 10.2.3);
        ``None`` if there is none.
    :param is_foreign: whether the body is not an OAuth error, but for example the error page of a
        proxy or a web framework.
    """

    def __init__(
        self,
        log: str,
        *,
        status: int,
        error: str = "",
        retry_after: float | None = None,
        is_foreign: bool = False,
    ) -> None:
        super().__init__(log)
        self.status = status
        self.error = error
        self.retry_after = retry_after
        self.is_foreign = is_foreign

    @property
    def may_pass(self) -> bool:
        """Whether the error is temporary and not about the content of the request: the peer is
        overloaded or broken, or something in front of it rejected the request. For example, a
        Django site with a wrong ``ALLOWED_HOSTS`` responds with 400."""
        return (
            self.status in (408, 425, 429)
            or self.status >= 500
            or (self.status == 400 and self.is_foreign)
            or self.error in (TEMPORARILY_UNAVAILABLE, SERVER_ERROR)
        )

    @property
    def refuses_credentials(self) -> bool:
        """Whether the peer rejects the client credentials of this site, so that every other
        request would fail too.

        RFC 6749, section 5.2: ``invalid_client``, with 400 or 401. A 401 with another error code is
        about another part of the request.
        """
        return (self.status in (400, 401) and self.error == INVALID_CLIENT) or (
            self.status == 401 and not self.error
        )


class RefreshPostponed(PeerError):
    """The access token was not refreshed, because the peer refused recently or asked to wait with
    ``Retry-After``. Nothing was sent. Try again after ``retry_after`` seconds.

    :param retry_after: seconds until the peer may be asked again.
    """

    def __init__(self, log: str, *, retry_after: float) -> None:
        super().__init__(log)
        self.retry_after = retry_after


class BadResponse(PeerError):
    """The peer sent a response, but not one that the protocol allows."""


class NoMetadata(BadResponse):
    """The peer publishes no usable metadata of the requested issuer (RFC 8414, section 3.3).

    :param issuers: other issuers of which the peer publishes metadata.
    :param endpoints: the usable values of the metadata, by the names of RFC 8414, section 2.
    :param problems: what is wrong with the other values, by the same names.
    """

    def __init__(
        self,
        log: str,
        *,
        issuers: Sequence[str] = (),
        endpoints: Mapping[str, str] | None = None,
        problems: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(log)
        self.issuers = tuple(issuers)
        self.endpoints = dict(endpoints or {})
        self.problems = dict(problems or {})


class NotLinked(ReciprocalError):
    """The user has no working link with the peer, so the peer cannot be called. The user can
    connect again."""


class LeaseLost(ReciprocalError):
    """The lease on a row has expired, and another worker has taken over the row. The worker stops
    without saving."""


class DecryptionError(ImproperlyConfigured):
    """No configured key decrypts a stored secret. Put the key that encrypted it back at the end of
    ``ENCRYPTION_KEYS``."""
