"""All settings of the app.

They are keys of the dict ``RECIPROCAL_OAUTH`` in the settings module of the site. Each setting is
read again whenever it is used.

::

    RECIPROCAL_OAUTH = {"DISPATCHER": "thread", "ENCRYPTION_KEYS": ["..."]}
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, overload

from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")


class Setting:
    """One setting, which is a key of the dict ``RECIPROCAL_OAUTH``. The annotation of the attribute
    in :class:`Settings` is the type of the setting.

    :ivar minimum: the smallest allowed value, if the setting is a number. If ``minimum`` is
        ``None``, the number must be greater than 0.
    """

    name: str

    def __init__(self, default: Any, minimum: int | None) -> None:
        self._default = default
        self.minimum = minimum

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object, owner: type) -> Any:
        if instance is None:
            return self
        given = getattr(django_settings, "RECIPROCAL_OAUTH", {})
        if not isinstance(given, Mapping):
            raise ImproperlyConfigured(
                f"RECIPROCAL_OAUTH must be a dict of settings, not {type(given).__name__}."
            )
        return given[self.name] if self.name in given else self.default()

    def default(self) -> Any:
        """Return the value that is used if the site does not set this setting."""
        return self._default() if callable(self._default) else self._default


@overload
def setting(default: Callable[[], T]) -> T:
    """Declare a setting whose default is computed when it is read."""


@overload
def setting(default: T, *, minimum: int | None = None) -> T:
    """Declare a setting with a constant default.

    :param minimum: the smallest number that is allowed (see :class:`Setting`).
    """


def setting(default: Any, *, minimum: int | None = None) -> Any:
    """Declare a setting as an attribute of the class :class:`Settings`.

    The call returns a :class:`Setting`, but tells type checkers that it returns a value of the
    setting, such as ``int``. So they accept the annotation of the attribute.
    :func:`dataclasses.field` does the same.
    """
    return Setting(default, minimum)


def _is_test_run() -> bool:
    """Return whether tests are running. Dispatcher threads must not start in tests, because they
    would disturb the transactions of the tests.

    If ``mail.outbox`` exists, tests are running: it is created by ``setup_test_environment()``,
    which Django's test runner and pytest-django call.
    """
    return hasattr(mail, "outbox")


class Settings:
    """All settings of the app, each with its type, its default and a description."""

    __slots__ = ()  # So assigning to an attribute of the object raises AttributeError.

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all settings."""
        return frozenset(name for name, each in vars(cls).items() if isinstance(each, Setting))

    # Delivery. A delivery is the processing of one queue row: this site hands over a reciprocal
    # code to a peer, redeems a reciprocal code from a peer, or revokes a token at a peer.

    DISPATCHER: str = setting(lambda: "none" if _is_test_run() else "thread")
    """What starts deliveries: ``thread``, ``celery``, ``tasks``, ``eager``, ``none``, or the dotted
    path of a dispatcher class. The default is ``thread``, but ``none`` while tests are running."""

    DISPATCHER_THREADS: int = setting(8)
    """How many threads process deliveries in one process. This applies to the ``thread`` dispatcher
    and to the command ``reciprocal_deliver --loop``."""

    DISPATCHER_SWEEP_SECONDS: float = setting(5.0)
    """The ``thread`` dispatcher waits this many seconds before it looks again for deliveries that
    are due. A task of the ``celery`` and ``tasks`` dispatchers processes the delivery for which it
    was started, and then processes other due deliveries for this many seconds."""

    DELIVERIES_PER_PEER: int = setting(4)
    """How many deliveries to one peer may run at the same time, counted over all workers. Set it to
    less than ``DISPATCHER_THREADS``, so that a peer that does not respond cannot occupy all
    threads."""

    RETRY_SCHEDULE_SECONDS: Sequence[float] = setting(
        (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    )
    """The pauses, in seconds, before the attempts to hand over a code or to revoke a token at a
    peer. The number of entries is the number of attempts. The same pauses apply to the attempts to
    refresh an access token if the peer refuses this."""

    MAX_RESENDS: int = setting(3, minimum=0)
    """How many times this site sends a new code because the peer accepted the previous code but did
    not redeem it."""

    REDEMPTION_WATCH_SECONDS: float = setting(60.0, minimum=0)
    """How long, in seconds, this site waits after the expiry of a code that the peer accepted. If
    the peer has not redeemed the code by the end of this time, the code counts as never
    redeemed."""

    MAX_REISSUES: int = setting(3, minimum=0)
    """How many times this site sends a new code immediately after the peer has redeemed a code
    twice. A new code is needed, because the second redemption revokes the tokens that the first one
    issued. Each further new code is sent only after one hour."""

    REDEMPTION_SCHEDULE_SECONDS: Sequence[float] = setting(
        (0, 2, 5, 30, 60, 300, 1800, 7200, 36000, 86400)
    )
    """The pauses, in seconds, before the attempts to redeem a code that a peer handed over. The
    number of entries is the number of attempts. A code expires long before the late attempts, so
    these attempts normally fail. But they help if the peer marked the code as redeemed and its
    response was lost: the peer detects that the code is redeemed again, and can send a new
    code."""

    LEASE_SECONDS: float = setting(60.0)
    """How long, in seconds, a queue row is reserved for the worker that processes it. Set it to
    more than three times ``HTTP_TOTAL_TIMEOUT_SECONDS``, because one delivery can take three
    timeouts: it waits until another worker has refreshed the token, refreshes the token itself, and
    sends the request. With a shorter time, a second worker may process the same row."""

    WORKER_MISSING_SECONDS: float = setting(300.0)
    """After how many seconds without a sign of life a worker counts as missing. Set it above the
    time between two runs of ``reciprocal_deliver`` if a timer starts this command."""

    # Settings of the protocol

    BASE_URL: str = setting("")
    """The URL of this site, such as ``https://site.example``. The redirect URIs and endpoints that
    this site tells other sites begin with it. If it is empty, the URL is derived from the issuer
    (``OIDC_ISS_ENDPOINT``) or, without an issuer, from the host name of the current request."""

    DIALECTS: Mapping[str, str] = setting({})
    """Additional dialects (variants of the protocol that some peers use). The key is the name of
    the dialect, the value is the dotted path of a ``Dialect`` subclass."""

    ACCEPT_HANDOVERS: bool = setting(True)
    """Whether the token endpoint of this site accepts codes that peers hand over. It must be
    ``True`` if this site acts as party B, the party that receives such codes."""

    REDEEM_FIRST_SECONDS: float = setting(3.5)
    """How long, in seconds, a peer whose dialect wants the result of the redemption may wait for
    the response to a hand-over. After that, the response is a failure, and the code is not redeemed
    later."""

    HANDOVERS_PER_MINUTE: int = setting(10, minimum=0)
    """How many codes a peer may hand over for one user in a minute. Further codes are refused with
    the status 429. The limit exists because this site must send a request to the peer for each
    code. If the setting is 0, there is no limit."""

    MAY_AUTHORIZE: str = setting("")
    """The dotted path of a function that decides whether a user may give a peer access:
    ``may_authorize(user, application, scopes, request=None)``, where ``application`` is the DOT
    application of the peer. If the setting is empty, every user may give access to every peer."""

    READ_RECIPROCAL_FROM_REDIRECT: bool = setting(True)
    """Whether this site, as party A, accepts a ``reciprocal`` parameter in the redirect from the
    peer to this site. With this parameter, the peer asks for the scope of the reciprocal code
    (draft-ietf-oauth-reciprocal-04, section 2.1). If the token response contains the parameter too,
    the value in the token response is used."""

    CODE_LIFETIME_SECONDS: int = setting(60)
    """How long, in seconds, a reciprocal code that this site creates is valid."""

    AUTHORIZATION_REQUEST_LIFETIME_SECONDS: int = setting(1800)
    """How many seconds a user may take at the peer. If the user comes back later, this site refuses
    the response of the peer."""

    # Settings for the authentication of clients at this site

    CLIENT_AUTH_FAILURES_PER_MINUTE: int = setting(10, minimum=0)
    """How many wrong client secrets this site checks in a minute, for one client and one IP
    address. Further requests get the status 429, and their secret is not checked. If it is 0, there
    is no limit."""

    VERIFIED_SECRETS_KEPT: int = setting(1000, minimum=0)
    """How many correct client secrets each process remembers, so that it checks later requests of
    the same clients without slow password hashing. Only a keyed hash is kept in memory. If the
    setting is 0, no secret is remembered."""

    # Settings for pairing with other sites

    ACCEPT_PAIRINGS: bool = setting(True)
    """Whether administrators can pair this site with another site by an invitation. Without an
    invitation of an administrator of this site, nobody can register here, whatever the value is."""

    PAIRING_LIFETIME_SECONDS: int = setting(24 * 3600)
    """How long, in seconds, an invitation is valid, and how long a pairing may take. It is at most
    7 days (604800)."""

    PAIRING_ATTEMPTS: int = setting(5)
    """How often somebody may claim an invitation for one site without being that site. After that,
    the invitation is void."""

    SITE_METADATA: Mapping[str, str] = setting({})
    """What this site says of itself to other sites when it pairs with them or registers there. The
    keys are ``description``, ``logo_uri``, ``policy_uri``, ``tos_uri`` (RFC 7591, section 2),
    ``account_endpoint`` and ``account_member`` (where an API of this site tells in JSON whose
    access token it got). All are optional. A text can be a lazily translated text."""

    # The setting for the encryption of stored secrets

    ENCRYPTION_KEYS: Sequence[str] = setting(())
    """Fernet keys for stored codes, tokens and client secrets. New values are encrypted with the
    first key; stored values are decrypted with the key that fits. If the list is empty, keys are
    derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, and a deployment check warns."""

    # Settings for how long rows are kept

    RETENTION_FINISHED_DAYS: float = setting(30)
    """How long, in days, the command ``reciprocal_prune`` keeps queue rows that are done or
    cancelled, attempts to connect that did not fail, and reciprocal codes for which the peer has
    no valid token."""

    RETENTION_FAILED_DAYS: float = setting(180)
    """How long, in days, the command ``reciprocal_prune`` keeps queue rows and attempts to connect
    that failed."""

    RETENTION_HISTORY_DAYS: float = setting(365)
    """How long, in days, the command ``reciprocal_prune`` keeps ended links with their history, and
    the history entries of active links. The newest 100 entries of an active link are always
    kept."""

    # The setting for the pages of this app

    PEER_SCOPES: Mapping[str, Mapping[str, str]] = setting({})
    """Descriptions of the peers' scopes, shown on the pages of this app:
    ``{"short name of the peer": {"scope": "description"}}``. A description can be a lazily
    translated text. If a scope has no description, its name is shown."""

    # Settings for mails and for signing in again

    MAIL_EVENTS: Sequence[str] = setting(())
    """About which events this site sends a mail to the user of a link, through Django's mail:
    ``connected``, ``ended``, ``needs_attention``. If the list is empty, no mail is sent."""

    REAUTHENTICATE: str = setting("")
    """``allauth``, or the dotted path of a function that can ask a user for the password again
    before a link is made: ``reauthenticate(request, next_url)``. It returns ``None``, or a response
    that leads to the question and then to ``next_url``. If the setting is empty, nobody is
    asked."""

    # Settings for requests to peers

    HTTP_CONNECT_TIMEOUT_SECONDS: float = setting(5.0)
    """The time limit, in seconds, for the DNS lookup of a peer's host. The same limit applies again
    to the connection."""

    HTTP_TOTAL_TIMEOUT_SECONDS: float = setting(15.0)
    """The time limit, in seconds, for a whole request to a peer: from the DNS lookup to the last
    byte of the response."""

    HTTP_MAX_RESPONSE_BYTES: int = setting(64 * 1024)
    """The longest body of a peer's response that this site reads, in bytes after decoding. All
    headers together are limited to 64 KiB."""

    SESSION_MAX_RESPONSE_BYTES: int = setting(10 * 1024 * 1024)
    """The longest response body that a ``PeerSession`` reads, in bytes after decoding. The argument
    ``max_bytes`` of a session replaces this setting."""

    HTTP_ALLOW_LOOPBACK: bool = setting(lambda: django_settings.DEBUG)
    """Whether this site may call peers on the same machine (loopback addresses), even with plain
    http. This is useful for development only, so the default is Django's ``DEBUG``."""

    HTTP_ALLOWED_NETWORKS: Sequence[str] = setting(())
    """The private networks, such as ``10.20.0.0/16``, and single IP addresses in which peers are
    allowed."""

    HTTP_CA_BUNDLE: str = setting("")
    """A file or directory with the certificate authorities that sign the peers' certificates. A
    site needs it if a peer uses a private authority. It replaces the public authorities (those of
    ``certifi``), so it must contain the authorities of all peers. If it is empty, the public
    authorities are used."""

    HTTP_PROXY_URL: str = setting("")
    """The URL of the proxy through which this site calls peers, such as
    ``http://user:password@proxy.example:3128``; ``https://`` is possible too. A site needs it if it
    reaches other sites only through such a proxy (Smokescreen or Squid, for example). The proxy
    then decides which addresses may be called. If it is empty, this site calls peers directly.
    Environment variables such as ``HTTPS_PROXY`` are never read."""

    # Settings for metrics and traces

    TELEMETRY: Sequence[str] = setting(())
    """Who is told what this app does: ``prometheus`` (metrics), ``opentelemetry`` (traces), or the
    dotted path of a subclass of ``reciprocal_oauth.core.telemetry.Listener``. It is read when the
    process starts."""

    METRICS_TOKEN: str = setting("")
    """The bearer token that Prometheus must send to read the metrics of this site at
    ``reciprocal_oauth.contrib.prometheus.metrics_view``. If it is empty, this view refuses every
    request."""

    CONTINUE_PEER_TRACES: bool = setting(True)
    """Whether the work that a hand-over or a redemption of a peer causes here belongs to the trace
    that the peer names (W3C Trace Context). This is only done after the peer has authenticated."""

    # Settings of the REST API

    API_READ_SCOPE: str = setting("reciprocal:read")
    """The scope that an access token needs to read the links of its user through the API. If it is
    empty, the API refuses to read links with an access token."""

    API_WRITE_SCOPE: str = setting("reciprocal:write")
    """The scope that an access token needs to change or end the links of its user through the API.
    If it is empty, the API refuses to change links with an access token."""

    API_RETURN_TO: Sequence[str] = setting(())
    """Where this site may send users who come back from a peer, if they started to connect through
    the API. Each entry is a URL, or an origin such as ``https://app.example``, which allows every
    URL below it."""


settings = Settings()
