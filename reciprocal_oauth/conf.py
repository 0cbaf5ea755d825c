"""Every setting of the app. All are keys of one dict, ``RECIPROCAL_OAUTH``, read at each use.

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
    """One key of ``RECIPROCAL_OAUTH``. Its annotation in :class:`Settings` is its type.

    :ivar minimum: the smallest number that is allowed; ``None``: numbers must be above 0.
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
        """Return the value for a site that sets none."""
        return self._default() if callable(self._default) else self._default


@overload
def setting(default: Callable[[], T]) -> T:
    """Declare a setting whose default is computed when it is read."""


@overload
def setting(default: T, *, minimum: int | None = None) -> T:
    """Declare a setting with a constant default, and perhaps a smallest number."""


def setting(default: Any, *, minimum: int | None = None) -> Any:
    """Declare a setting, as :func:`dataclasses.field` declares a field."""
    return Setting(default, minimum)


def _is_test_run() -> bool:
    """Whether a test runner has called ``setup_test_environment``, as those of Django and
    pytest-django do. Threads of the dispatcher would disturb the transactions of the tests."""
    return hasattr(mail, "outbox")


class Settings:
    """The settings: type, default, smallest number, and what each does."""

    __slots__ = ()  # Nothing can be assigned here.

    @classmethod
    def names(cls) -> frozenset[str]:
        """Return the names of all settings."""
        return frozenset(name for name, each in vars(cls).items() if isinstance(each, Setting))

    # Delivery

    DISPATCHER: str = setting(lambda: "none" if _is_test_run() else "thread")
    """What starts deliveries: ``thread``, ``celery``, ``tasks``, ``eager``, ``none``, or the dotted
    path of a class. The default is ``thread``; in a test run, ``none``."""

    DISPATCHER_THREADS: int = setting(8)
    """How many threads deliver in one process: of the ``thread`` dispatcher, and of
    ``reciprocal_deliver --loop``."""

    DISPATCHER_SWEEP_SECONDS: float = setting(5.0)
    """How often, in seconds, the ``thread`` dispatcher looks for deliveries that are due. For
    ``celery`` and ``tasks``: for how long a task also handles deliveries other than the one that it
    was started for."""

    DELIVERIES_PER_PEER: int = setting(4)
    """How many deliveries to one peer may run at the same time, in all workers together. Keep it
    below ``DISPATCHER_THREADS``, so that a peer that hangs does not block all threads."""

    RETRY_SCHEDULE_SECONDS: Sequence[float] = setting(
        (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
    )
    """Pause, in seconds, before each attempt to deliver, and before each attempt to refresh an
    access token that the peer refuses to refresh. The length is the number of attempts."""

    MAX_RESENDS: int = setting(3, minimum=0)
    """How many times a new code is sent because the peer accepted the last one and did not redeem
    it."""

    REDEMPTION_WATCH_SECONDS: float = setting(60.0, minimum=0)
    """How long, in seconds, after its expiry an accepted code is still expected to be redeemed.
    Then it counts as never redeemed."""

    MAX_REISSUES: int = setting(3, minimum=0)
    """How many times a code that was redeemed twice is replaced by a new code at once; after that,
    once an hour. (The second redemption revokes the tokens of the first.)"""

    REDEMPTION_SCHEDULE_SECONDS: Sequence[float] = setting(
        (0, 2, 5, 30, 60, 300, 1800, 7200, 36000, 86400)
    )
    """Pause, in seconds, before each attempt to redeem a code that a peer handed over. The length
    is the number of attempts. A code expires soon, and then the peer sends another one. The late
    attempts are for a peer that used up the code, but failed before its response arrived."""

    LEASE_SECONDS: float = setting(60.0)
    """How long, in seconds, a claimed row belongs to its worker. Keep it above three times
    ``HTTP_TOTAL_TIMEOUT_SECONDS`` (wait for another refresh, refresh, send): otherwise a slow
    delivery may be done twice."""

    # Protocol

    BASE_URL: str = setting("")
    """URL of this site, such as ``https://site.example``. The redirect URIs and endpoints that
    other sites are given begin with it. Empty: the URL comes from the issuer
    (``OIDC_ISS_ENDPOINT``), or else from the host name of the request."""

    DIALECTS: Mapping[str, str] = setting({})
    """Additional dialects: name to dotted path of a ``Dialect`` subclass."""

    ACCEPT_HANDOVERS: bool = setting(True)
    """Whether the token endpoint accepts hand-overs, so that this site can be party B."""

    HANDOVERS_PER_MINUTE: int = setting(10, minimum=0)
    """How many codes a peer may hand over for one user in a minute, since each costs a request to
    the peer's token endpoint. Further ones get the status 429. 0: no limit."""

    MAY_AUTHORIZE: str = setting("")
    """Dotted path of a function that decides which user may give access to which peer:
    ``may_authorize(user, application, scopes, request=None)``. Empty: everyone, to every peer."""

    READ_RECIPROCAL_FROM_REDIRECT: bool = setting(True)
    """Whether party A accepts a ``reciprocal`` parameter in the redirect (draft, section
    "Reciprocal Scope Request"). The one in the token response takes precedence."""

    CODE_LIFETIME_SECONDS: int = setting(60)
    """How long, in seconds, a reciprocal code is valid after it was created."""

    AUTHORIZATION_REQUEST_LIFETIME_SECONDS: int = setting(1800)
    """How long, in seconds, a user may stay at the peer before the callback is refused."""

    # Client authentication

    CLIENT_AUTH_FAILURES_PER_MINUTE: int = setting(10, minimum=0)
    """How many wrong secrets for one client from one address are checked in a minute. Further ones
    get the status 429 without a check. 0: no limit."""

    VERIFIED_SECRETS_KEPT: int = setting(1000, minimum=0)
    """How many correct client secrets each process remembers, so that the next request of the same
    client needs no hashing. 0: none."""

    # Stored secrets

    ENCRYPTION_KEYS: Sequence[str] = setting(())
    """Fernet keys that encrypt stored codes, tokens and client secrets. The first key encrypts; all
    keys decrypt. Empty: keys derived from ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``; a deployment
    check warns about that."""

    # Retention

    RETENTION_FINISHED_DAYS: float = setting(30)
    """How long, in days, ``reciprocal_prune`` keeps hand-overs that are done or cancelled, and
    codes without a valid token."""

    RETENTION_FAILED_DAYS: float = setting(180)
    """How long, in days, ``reciprocal_prune`` keeps failed hand-overs."""

    RETENTION_HISTORY_DAYS: float = setting(365)
    """How long, in days, ``reciprocal_prune`` keeps ended links with their history, and history
    entries of active links. The newest 100 entries of an active link are always kept."""

    # Pages

    PEER_SCOPES: Mapping[str, Mapping[str, str]] = setting({})
    """Descriptions of the scopes at peers, for the pages: short name of the peer to scope to text,
    which may be lazily translated. A scope without a text is shown by its name."""

    # Calling peers

    HTTP_CONNECT_TIMEOUT_SECONDS: float = setting(5.0)
    """Time limit for the DNS lookup of a peer, and again for the connection, in seconds."""

    HTTP_TOTAL_TIMEOUT_SECONDS: float = setting(15.0)
    """Time limit for a whole exchange with a peer, in seconds: from the DNS lookup to the last byte
    of the response."""

    HTTP_MAX_RESPONSE_BYTES: int = setting(64 * 1024)
    """Most bytes that are read of the body of a peer's response, after decoding. The headers may
    have 64 KiB together."""

    SESSION_MAX_RESPONSE_BYTES: int = setting(10 * 1024 * 1024)
    """The same for a session that calls a peer as a user, if it has no ``max_bytes``."""

    HTTP_ALLOW_LOOPBACK: bool = setting(lambda: django_settings.DEBUG)
    """Whether peers on this machine may be called, also by plain http. For development: the default
    is Django's ``DEBUG``."""

    HTTP_ALLOWED_NETWORKS: Sequence[str] = setting(())
    """Private networks in which peers may be, such as ``10.20.0.0/16``, or single addresses."""

    HTTP_CA_BUNDLE: str = setting("")
    """File or directory of the certificate authorities that peers' certificates are checked
    against, for peers with a private authority. It replaces the public authorities (those of
    ``certifi``), so it must contain all that are needed. Empty: the public ones."""

    # API

    API_READ_SCOPE: str = setting("reciprocal:read")
    """The scope that an access token needs to read its user's links through the API. Empty: no
    access token can."""

    API_WRITE_SCOPE: str = setting("reciprocal:write")
    """The scope that an access token needs to change or end its user's links through the API.
    Empty: no access token can."""

    API_RETURN_TO: Sequence[str] = setting(())
    """Where users may be sent after a visit to a peer that they began through the API: URLs, and
    origins such as ``https://app.example`` for every URL below them."""


settings = Settings()
