"""The whole error tree. Each error has two texts: one for the other party, one for our log.

::

    ReciprocalError
    ├── HandoverRefused            party B refuses what a peer sent (RFC 6749, section 5.2;
    │                              draft-ietf-oauth-reciprocal-04, section 2.2.2)
    ├── AuthorizationFailed        party A cannot finish an authorization that a person began
    ├── PeerError                  calling a peer did not work
    │   ├── AddressRefused         the address is one that we never call
    │   ├── PeerUnreachable        no answer: DNS, TLS, reset, timeout
    │   │   └── TLSFailed          no encrypted connection, or a certificate that does not hold
    │   ├── PeerRefused            the peer answered with an error
    │   ├── RefreshPostponed       it is not asked to renew an access before a while has passed
    │   └── BadResponse            the peer sent a response that cannot be used
    │       └── NoMetadata         it has no metadata that can be used
    ├── NotLinked                  there is no outgoing access to use
    └── LeaseLost                  another worker has taken the row over

    DecryptionError (django ImproperlyConfigured)   a stored secret cannot be read with any key

A configuration fault must never look like "the peer was down, try later", so
``DecryptionError`` is deliberately not a ``ReciprocalError``.
"""

from collections.abc import Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured

from .core.protocol import INVALID_CLIENT, SERVER_ERROR, TEMPORARILY_UNAVAILABLE


class ReciprocalError(Exception):
    """Base of the errors of this app.

    ``str(error)`` is for our log. It names no code, token or secret.
    """


class HandoverRefused(ReciprocalError):
    """Party B refuses a request; the other party learns ``error`` and ``status`` and no more.

    :param error: code of RFC 6749, section 5.2.
    :param log: why, for our log only.
    :param status: HTTP status; 400 unless RFC 6749 says otherwise.
    :param retry_after: seconds for a ``Retry-After`` header (429 and 503 only).
    """

    def __init__(
        self, error: str, log: str, *, status: int = 400, retry_after: int | None = None
    ) -> None:
        super().__init__(f"{error}: {log}")
        self.error = error
        self.status = status
        self.retry_after = retry_after


class AuthorizationFailed(ReciprocalError):
    """An authorization that a person began cannot go on.

    :param reason: one of ``models.AuthorizationRequest.Problem``; the page words it for the person.
    :param log: what happened, for our log.
    """

    def __init__(self, reason: str, log: str) -> None:
        super().__init__(log)
        self.reason = reason


class PeerError(ReciprocalError):
    """Calling a peer did not work."""


class AddressRefused(PeerError):
    """The URL, or an address that it resolves to, is one that we never call."""


class PeerUnreachable(PeerError):
    """The peer gave no whole answer: DNS, TLS, connection or deadline."""


class TLSFailed(PeerUnreachable):
    """No encrypted connection came about, or the peer's certificate does not hold."""


class PeerRefused(PeerError):
    """The peer answered with an error.

    :param status: HTTP status of the answer.
    :param error: the error code of its body (RFC 6749, section 5.2), if it had a readable one.
    :param retry_after: seconds from its ``Retry-After`` header, if it had a readable one.
    :param is_foreign: whether it came with a body that is no OAuth error: the page of a proxy, or
        of a framework that did not let the request through.
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
        """Whether it says nothing about what was sent: the peer is overloaded, out of order, or not
        let to speak for itself (a Django site with a wrong ``ALLOWED_HOSTS`` answers 400)."""
        return (
            self.status in (408, 425, 429)
            or self.status >= 500
            or (self.status == 400 and self.is_foreign)
            or self.error in (TEMPORARILY_UNAVAILABLE, SERVER_ERROR)
        )

    @property
    def refuses_credentials(self) -> bool:
        """Whether the peer does not accept our credentials, as it would for every other row.

        RFC 6749, section 5.2: ``invalid_client``, with 400 where the secret is in the body, or with
        401. A 401 with another code is about what was sent with them.
        """
        return (self.status in (400, 401) and self.error == INVALID_CLIENT) or (
            self.status == 401 and not self.error
        )


class RefreshPostponed(PeerError):
    """The peer has refused to renew an access, or has asked to be left alone for a while. It is not
    asked again before that has passed.

    :param retry_after: seconds until then.
    """

    def __init__(self, log: str, *, retry_after: float) -> None:
        super().__init__(log)
        self.retry_after = retry_after


class BadResponse(PeerError):
    """The peer sent a response, but not one that the protocol allows."""


class NoMetadata(BadResponse):
    """The peer has no metadata of the issuer asked for that can be used.

    :param issuers: other issuers, of which it has some.
    :param endpoints: what can be used of a document that is of the issuer asked for, by the names
        of RFC 8414, section 2.
    :param problems: why the rest of that document cannot, by the same names.
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
    """There is no outgoing access to call the peer with."""


class LeaseLost(ReciprocalError):
    """The row is no longer ours: the lease ran out and another worker has it."""


class DecryptionError(ImproperlyConfigured):
    """A stored secret cannot be read with any configured key."""
