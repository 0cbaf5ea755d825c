"""Every setting of the app, in one dict ``RECIPROCAL_OAUTH``, read when it is used.

::

    RECIPROCAL_OAUTH = {"DISPATCHER": "thread", "ENCRYPTION_KEYS": ["..."]}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core import mail
from django.core.exceptions import ImproperlyConfigured


class Settings:
    """One typed property per setting: its default, its unit and what it does."""

    @property
    def _user(self) -> Mapping[str, Any]:
        value = getattr(django_settings, "RECIPROCAL_OAUTH", {})
        if not isinstance(value, Mapping):
            raise ImproperlyConfigured(
                f"RECIPROCAL_OAUTH must be a dict of settings, not {type(value).__name__}."
            )
        return value

    @classmethod
    def names(cls) -> frozenset[str]:
        """The name of every setting that exists."""
        return frozenset(name for name in vars(cls) if name.isupper())

    @property
    def DISPATCHER(self) -> str:
        """Who starts deliveries: ``thread``, ``celery``, ``tasks``, ``eager``, ``none`` or a dotted
        path to a class. The default is ``thread``, and ``none`` in a test run."""
        return self._user.get("DISPATCHER", "none" if _is_a_test_run() else "thread")

    @property
    def DISPATCHER_THREADS(self) -> int:
        """How many threads of one web process the ``thread`` dispatcher delivers with, and
        ``reciprocal_deliver --loop``."""
        return self._user.get("DISPATCHER_THREADS", 8)

    @property
    def DISPATCHER_SWEEP_SECONDS(self) -> float:
        """How often, in seconds, the ``thread`` dispatcher looks for rows that have come due; how
        long a task of ``celery`` and ``tasks`` goes on with rows that it was not sent for."""
        return self._user.get("DISPATCHER_SWEEP_SECONDS", 5.0)

    @property
    def DIALECTS(self) -> Mapping[str, str]:
        """Dialects of the site's own: name to dotted path of a ``Dialect`` subclass."""
        return self._user.get("DIALECTS", {})

    @property
    def PEER_SCOPES(self) -> Mapping[str, Mapping[str, str]]:
        """What scopes at peers are called on the pages of people: short name of a peer to scope
        token to text, which may be lazily translated. A scope without one is shown as its name."""
        return self._user.get("PEER_SCOPES", {})

    @property
    def ENCRYPTION_KEYS(self) -> Sequence[str]:
        """Fernet keys for codes, tokens and client secrets at rest.

        The first key writes, any key reads. Empty: keys derived from ``SECRET_KEY`` and
        ``SECRET_KEY_FALLBACKS``, which a deploy check advises against.
        """
        return self._user.get("ENCRYPTION_KEYS", ())

    @property
    def MAY_AUTHORIZE(self) -> str:
        """Dotted path of a function of the site's own that says who may let which peer in:
        ``may_authorize(user, application, scopes, request=None)``. Empty: everybody, each."""
        return self._user.get("MAY_AUTHORIZE", "")

    @property
    def READ_RECIPROCAL_FROM_REDIRECT(self) -> bool:
        """Whether party A believes a ``reciprocal`` parameter in the redirect (draft, section
        "Reciprocal Scope Request"). The one in the token response wins in any case."""
        return self._user.get("READ_RECIPROCAL_FROM_REDIRECT", True)

    @property
    def CODE_LIFETIME_SECONDS(self) -> int:
        """Life, in seconds, of a reciprocal code from the moment it is minted."""
        return self._user.get("CODE_LIFETIME_SECONDS", 60)

    @property
    def CLIENT_AUTH_FAILURES_PER_MINUTE(self) -> int:
        """How many wrong secrets for one client from one address are checked in a minute; more are
        answered 429 without a check. 0: no limit."""
        return self._user.get("CLIENT_AUTH_FAILURES_PER_MINUTE", 10)

    @property
    def HANDOVERS_PER_MINUTE(self) -> int:
        """How many codes a peer may hand over for one user in a minute; more are answered 429,
        since each costs a request to its token endpoint. 0: no limit."""
        return self._user.get("HANDOVERS_PER_MINUTE", 10)

    @property
    def VERIFIED_SECRETS_KEPT(self) -> int:
        """How many client secrets each process remembers as right, so that the next request of the
        same client costs no hashing. 0: none."""
        return self._user.get("VERIFIED_SECRETS_KEPT", 1000)

    @property
    def AUTHORIZATION_REQUEST_LIFETIME_SECONDS(self) -> int:
        """How long, in seconds, a person may stay at the peer before the callback is refused."""
        return self._user.get("AUTHORIZATION_REQUEST_LIFETIME_SECONDS", 1800)

    @property
    def DELIVERIES_PER_PEER(self) -> int:
        """How many rows may be worked on at once for one peer, by all workers together: a peer that
        hangs must not hold them all, so keep it below ``DISPATCHER_THREADS``."""
        return self._user.get("DELIVERIES_PER_PEER", 4)

    @property
    def BASE_URL(self) -> str:
        """Where this site is, as ``https://site.example``: what the redirect URIs and endpoints
        begin with that other sites are given. Empty: the issuer (``OIDC_ISS_ENDPOINT``) tells it,
        or else the host that a visitor names."""
        return self._user.get("BASE_URL", "")

    @property
    def ACCEPT_HANDOVERS(self) -> bool:
        """Whether the token endpoint takes hand-overs: whether this site can be party B."""
        return self._user.get("ACCEPT_HANDOVERS", True)

    @property
    def RETRY_SCHEDULE_SECONDS(self) -> Sequence[float]:
        """Pause, in seconds, before each delivery attempt, and before each attempt to renew an
        access that the peer refuses to renew; its length is the number of attempts."""
        default = (0, 5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)
        return self._user.get("RETRY_SCHEDULE_SECONDS", default)

    @property
    def MAX_RESENDS(self) -> int:
        """How often a code that the peer accepted but never redeemed is sent anew."""
        return self._user.get("MAX_RESENDS", 3)

    @property
    def MAX_REISSUES(self) -> int:
        """How often a code that was redeemed a second time, which costs the tokens of the first, is
        replaced by a new one at once; from then on once an hour."""
        return self._user.get("MAX_REISSUES", 3)

    @property
    def REDEMPTION_WATCH_SECONDS(self) -> float:
        """How long, in seconds, after the end of its life an accepted code is waited for before it
        counts as never redeemed."""
        return self._user.get("REDEMPTION_WATCH_SECONDS", 60.0)

    @property
    def REDEMPTION_SCHEDULE_SECONDS(self) -> Sequence[float]:
        """Pause, in seconds, before each attempt to redeem a code that a peer handed over; its
        length is the number of attempts. The code dies soon, and the peer sends another: unless it
        has spent the code, and fell over before its answer arrived."""
        default = (0, 2, 5, 30, 60, 300, 1800, 7200, 36000, 86400)
        return self._user.get("REDEMPTION_SCHEDULE_SECONDS", default)

    @property
    def LEASE_SECONDS(self) -> float:
        """How long, in seconds, a claimed row belongs to its worker. More than three times
        ``HTTP_TOTAL_TIMEOUT_SECONDS`` (to wait for another's refresh, to refresh, to send), or a
        slow delivery is done twice."""
        return self._user.get("LEASE_SECONDS", 60.0)

    @property
    def RETENTION_FINISHED_DAYS(self) -> float:
        """How long, in days, ``reciprocal_prune`` keeps hand-overs that are done or cancelled, and
        codes of which no token lives any more."""
        return self._user.get("RETENTION_FINISHED_DAYS", 30)

    @property
    def RETENTION_FAILED_DAYS(self) -> float:
        """How long, in days, ``reciprocal_prune`` keeps hand-overs that were given up."""
        return self._user.get("RETENTION_FAILED_DAYS", 180)

    @property
    def RETENTION_HISTORY_DAYS(self) -> float:
        """How long, in days, ``reciprocal_prune`` keeps links that have ended, and their history;
        and lines of the history of an active link, of which the newest 100 stay in any case."""
        return self._user.get("RETENTION_HISTORY_DAYS", 365)

    @property
    def HTTP_CONNECT_TIMEOUT_SECONDS(self) -> float:
        """Time to look up a peer's name, and again to connect to it, in seconds."""
        return self._user.get("HTTP_CONNECT_TIMEOUT_SECONDS", 5.0)

    @property
    def HTTP_TOTAL_TIMEOUT_SECONDS(self) -> float:
        """Time for a whole exchange with a peer, in seconds, from looking up its name to the last
        byte of its answer."""
        return self._user.get("HTTP_TOTAL_TIMEOUT_SECONDS", 15.0)

    @property
    def HTTP_MAX_RESPONSE_BYTES(self) -> int:
        """Most bytes, after decoding, that are read of the body of a peer's answer. The headers may
        have 64 KiB together."""
        return self._user.get("HTTP_MAX_RESPONSE_BYTES", 64 * 1024)

    @property
    def SESSION_MAX_RESPONSE_BYTES(self) -> int:
        """Most bytes, after decoding, that a session which calls a peer as a user reads of the body
        of an answer, unless it is given another number."""
        return self._user.get("SESSION_MAX_RESPONSE_BYTES", 10 * 1024 * 1024)

    @property
    def HTTP_ALLOW_LOOPBACK(self) -> bool:
        """Whether peers on this machine may be called, and by plain http. For development: the
        default is Django's ``DEBUG``."""
        return self._user.get("HTTP_ALLOW_LOOPBACK", django_settings.DEBUG)

    @property
    def HTTP_ALLOWED_NETWORKS(self) -> Sequence[str]:
        """Private networks in which peers may live, as ``10.20.0.0/16`` or one address."""
        return self._user.get("HTTP_ALLOWED_NETWORKS", ())

    @property
    def HTTP_CA_BUNDLE(self) -> str:
        """File or directory with the certificate authorities that peers' certificates are checked
        against, for peers with a private one. Takes the place of the public authorities (those of
        ``certifi``), so it must hold every one that is needed. Empty: the public ones."""
        return str(self._user.get("HTTP_CA_BUNDLE", ""))

    @property
    def API_READ_SCOPE(self) -> str:
        """The scope with which an access token may read its person's links through the API. Empty:
        none may."""
        return self._user.get("API_READ_SCOPE", "reciprocal:read")

    @property
    def API_WRITE_SCOPE(self) -> str:
        """The scope with which an access token may change and end its person's links through the
        API. Empty: none may."""
        return self._user.get("API_WRITE_SCOPE", "reciprocal:write")

    @property
    def API_RETURN_TO(self) -> Sequence[str]:
        """Where the API may have people sent after a visit to a peer: URLs, and origins such as
        ``https://app.example`` for all that is below them."""
        return self._user.get("API_RETURN_TO", ())


def _is_a_test_run() -> bool:
    """Whether a test runner has set Django up (``setup_test_environment``, of Django's own and of
    pytest-django): threads of ours would work in the site's tests, beside their transactions."""
    return hasattr(mail, "outbox")


settings = Settings()
