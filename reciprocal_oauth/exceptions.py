"""All exceptions of the app. ``str(error)`` is a text for the site's log.

::

    ReciprocalError
    ├── HandoverRefused            this site, as party B, refuses a token request of a peer
    │                              (RFC 6749, section 5.2)
    ├── AuthorizationFailed        the user came back from a peer, but no link can be made
    ├── PeerError                  a request to a peer failed
    │   ├── AddressRefused         the URL is not allowed; nothing was sent
    │   ├── PeerUnreachable        no complete response: DNS, connection, TLS or timeout
    │   │   ├── TLSFailed          no encrypted connection, or an invalid certificate
    │   │   └── ProxyFailed        the proxy of this site fails or refuses
    │   ├── PeerRefused            the peer responded with an error
    │   ├── RefreshPostponed       a refresh is needed, but this site must wait; nothing was sent
    │   └── BadResponse            the response of the peer does not follow the protocol
    │       └── NoMetadata         the peer publishes no usable metadata
    ├── PairingError               an administrator of this site cannot pair in this way
    ├── RegistrationRefused        this site refuses a registration of another site
    │                              (RFC 7591, section 3.2.2)
    ├── NotLinked                  the user has no working link with the peer
    └── LeaseLost                  another worker has taken over the queue row

    ImproperlyConfigured (of Django)
    ├── DecryptionError            no key decrypts a stored secret
    └── UnknownPeer                no peer has the short name with which the site's code calls it

The last two mean that the site is configured or programmed wrongly. They are deliberately no
subclasses of ``ReciprocalError``: code that catches ``ReciprocalError`` or ``NotLinked`` to handle
failures of a peer or a user without a link must not handle these errors in the same way.
"""

import enum
from collections.abc import Mapping, Sequence

from django.core.exceptions import ImproperlyConfigured

from .core import protocol
from .core.protocol import INVALID_CLIENT, SERVER_ERROR, TEMPORARILY_UNAVAILABLE


class ReciprocalError(Exception):
    """Base class of the errors of this app.

    ``str(error)`` is for the site's log. It contains no code, token or secret.
    """


class Cause(enum.Enum):
    """The kind of reason why this site refuses a hand-over. Some vendors want a different response
    for each kind. The dialect ``ietf`` uses only the error code of the draft."""

    #: The request is malformed.
    SHAPE = enum.auto()
    #: The request is of another kind: another grant type, or another message.
    GRANT = enum.auto()
    #: The client does not authenticate, or a client ID in the request is wrong.
    CLIENT = enum.auto()
    #: The access token is unknown, belongs to another client, or stands for no active user.
    TOKEN_UNKNOWN = enum.auto()
    #: The access token is one of this client, and has expired.
    TOKEN_EXPIRED = enum.auto()
    #: The code cannot be redeemed.
    CODE = enum.auto()
    #: This site cannot accept the code now. The peer can try again later.
    BUSY = enum.auto()
    #: This site accepts no hand-overs from this client.
    OFF = enum.auto()


#: The cause of a refusal that names none, by its error code.
_CAUSES: Mapping[str, Cause] = {
    protocol.INVALID_CLIENT: Cause.CLIENT,
    protocol.INVALID_GRANT: Cause.TOKEN_UNKNOWN,
    protocol.UNAUTHORIZED_CLIENT: Cause.OFF,
    protocol.UNSUPPORTED_GRANT_TYPE: Cause.GRANT,
    protocol.TEMPORARILY_UNAVAILABLE: Cause.BUSY,
}


class HandoverRefused(ReciprocalError):
    """This site, as party B, refuses a token request of a peer (draft-ietf-oauth-reciprocal-04,
    section 2.2.2).

    The response tells the peer the error code and the HTTP status, but not the reason.

    :param error: an error code of RFC 6749, section 5.2.
    :param log: the reason, which is written only to the log of this site.
    :param status: the HTTP status of the response. The default is 400 (RFC 6749, section 5.2).
    :param retry_after: the seconds in the ``Retry-After`` header, used only with 429 and 503.
    :param cause: the kind of reason. By default, it follows from the error code.
    """

    def __init__(
        self,
        error: str,
        log: str,
        *,
        status: int = 400,
        retry_after: int | None = None,
        cause: Cause | None = None,
    ) -> None:
        super().__init__(f"{error}: {log}")
        self.error = error
        self.status = status
        self.retry_after = retry_after
        self.cause = cause or _CAUSES.get(error, Cause.SHAPE)


class AuthorizationFailed(ReciprocalError):
    """The user started at this site to connect with a peer, but no link was made. The user can try
    again.

    :param reason: a value of ``models.AuthorizationRequest.Problem``. The page that the user sees
        next explains this problem.
    :param log: a description of the failure for administrators of this site.
    :param error: the error code of the peer (RFC 6749, sections 4.1.2.1 and 5.2), or ``""`` if the
        peer sent none that is safe to show.
    """

    def __init__(self, reason: str, log: str, *, error: str = "") -> None:
        super().__init__(log)
        self.reason = reason
        self.error = error


class PeerError(ReciprocalError):
    """A request to a peer failed. The same request may succeed later, except after the subclass
    ``AddressRefused``."""


class AddressRefused(PeerError):
    """This site may not call the URL, or an IP address to which the host name resolves. Nothing was
    sent.

    Trying again does not help. To allow a private network, add it to the setting
    ``HTTP_ALLOWED_NETWORKS``. To allow another host in a ``PeerSession``, pass ``allow_hosts``.
    """


class PeerUnreachable(PeerError):
    """The peer sent no complete response, because of a DNS, connection or TLS error or a timeout.
    Try again later."""


class TLSFailed(PeerUnreachable):
    """No encrypted connection to the peer is possible, or the peer's certificate is not accepted
    (RFC 9110, section 4.3.4).

    There are two possible causes: the TLS configuration of the peer is wrong, or the setting
    ``HTTP_CA_BUNDLE`` of this site lacks the certificate authority of the peer.
    """


class ProxyFailed(PeerUnreachable):
    """The proxy of this site (the setting ``HTTP_PROXY_URL``) cannot be reached, or does not allow
    the connection. The peer has received nothing and is not the cause."""


class PeerRefused(PeerError):
    """The peer responded with an error. The property ``may_pass`` tells whether trying again can
    help.

    :param status: the HTTP status of the response.
    :param error: the OAuth error code in the body (RFC 6749, section 5.2), or ``""`` if the body
        contains no error code.
    :param retry_after: the seconds of the ``Retry-After`` header (RFC 9110, section 10.2.3), or
        ``None`` if the response has no such header.
    :param is_foreign: ``True`` if the body is not an OAuth error response, for example if it is the
        error page of a proxy or a web framework.
    :param description: the explanation of the peer for an administrator of this site, in the words
        of the peer; ``""`` if there is none that is safe to show. It is not for the log.
    """

    def __init__(
        self,
        log: str,
        *,
        status: int,
        error: str = "",
        retry_after: float | None = None,
        is_foreign: bool = False,
        description: str = "",
    ) -> None:
        super().__init__(log)
        self.status = status
        self.description = description
        self.error = error
        self.retry_after = retry_after
        self.is_foreign = is_foreign

    @property
    def may_pass(self) -> bool:
        """Return whether the same request may succeed later, because the error does not concern the
        content of the request.

        This is so if the peer is overloaded or has an internal error. It is also so if another part
        of the peer's site rejected the request before the token endpoint read it. For example, a
        Django site with a wrong ``ALLOWED_HOSTS`` responds with 400.
        """
        return (
            self.status in (408, 425, 429)
            or self.status >= 500
            or (self.status == 400 and self.is_foreign)
            or self.error in (TEMPORARILY_UNAVAILABLE, SERVER_ERROR)
        )

    @property
    def refuses_credentials(self) -> bool:
        """Return whether the peer rejects the client credentials of this site, so that every other
        token request would fail too.

        This is so if the error code is ``invalid_client`` with status 400 or 401 (RFC 6749, section
        5.2), or if the status is 401 without an error code. A 401 with another error code means
        that another part of the request is wrong.
        """
        return (self.status in (400, 401) and self.error == INVALID_CLIENT) or (
            self.status == 401 and not self.error
        )


class RefreshPostponed(PeerError):
    """This site did not ask the peer to refresh the access token, because it must wait: the peer
    refused a refresh recently, or asked for a pause with ``Retry-After`` (RFC 9110, section
    10.2.3). Nothing was sent.

    :param retry_after: the seconds after which this site may ask the peer again.
    """

    def __init__(self, log: str, *, retry_after: float) -> None:
        super().__init__(log)
        self.retry_after = retry_after


class BadResponse(PeerError):
    """The peer sent a response that the protocol does not allow."""


class NoMetadata(BadResponse):
    """The peer publishes no usable metadata of the requested issuer (RFC 8414, section 3.3).

    :param issuers: the other issuers whose metadata the peer publishes.
    :param endpoints: the usable values of the metadata. The keys are the names that RFC 8414,
        section 2, defines.
    :param problems: a description of the problem for each unusable value, with the same keys.
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


class PairingError(ReciprocalError):
    """An administrator of this site wants to do something with a pairing that is not possible.
    ``str(error)`` is a translated text for the administrator, and contains no secret.

    :param field: the name of the value that is wrong, such as ``slug``; ``""`` if there is none.
    """

    def __init__(self, text: str, *, field: str = "") -> None:
        super().__init__(text)
        self.field = field


class RegistrationRefused(ReciprocalError):
    """This site refuses a request of another site to register, or about its registration (RFC 7591,
    section 3.2.2; RFC 7592, section 2).

    :param error: an error code of RFC 7591, section 3.2.2, or of RFC 6750, section 3.1.
    :param log: the reason, which is written only to the log of this site.
    :param description: a text for the developer of the other site, in English. It says nothing
        about this site that the other site does not know.
    :param status: the HTTP status of the response.
    :param retry_after: the seconds in the ``Retry-After`` header, used only with 429 and 503.
    """

    def __init__(
        self,
        error: str,
        log: str,
        *,
        description: str = "",
        status: int = 400,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(f"{error}: {log}")
        self.error = error
        self.description = description
        self.status = status
        self.retry_after = retry_after


class NotLinked(ReciprocalError):
    """The user has no working link with the peer, so this site cannot call the peer for the user.
    The user can connect again."""


class LeaseLost(ReciprocalError):
    """The lease of this worker (the time for which a queue row is reserved for it) has expired, and
    another worker has taken over the row. This worker must stop and save nothing."""


class DecryptionError(ImproperlyConfigured):
    """A stored secret cannot be decrypted: no configured key fits, or the ciphertext was copied
    from another column or row (it can be decrypted only in its own place).

    If a key was removed from the setting ``ENCRYPTION_KEYS``, put it back at the end of the list.
    """


class UnknownPeer(ImproperlyConfigured):
    """No peer has the short name with which the code of the site calls it. The name is misspelt, or
    the peer is not set up at this site.

    To take a peer out of service without this error, disable it. ``NotLinked`` is raised then.
    """
