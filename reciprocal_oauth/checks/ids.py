"""The ids of the system checks."""

import enum


@enum.unique
class Id(enum.StrEnum):
    """The ids of all checks, which a site can list in ``SILENCED_SYSTEM_CHECKS``. The id of a check
    that was removed is never given to another check."""

    NOT_A_DICT = "reciprocal_oauth.E001"  #: ``RECIPROCAL_OAUTH`` is not a dict.
    UNKNOWN_SETTING = "reciprocal_oauth.E002"  #: A key of ``RECIPROCAL_OAUTH`` is unknown.
    WRONG_VALUE = "reciprocal_oauth.E003"  #: A value has a wrong type or is too small.
    ENCRYPTION_KEYS = "reciprocal_oauth.E004"  #: ``ENCRYPTION_KEYS`` is not a list of Fernet keys.
    DISPATCHER = "reciprocal_oauth.E005"  #: ``DISPATCHER`` is not a dispatcher.
    DIALECTS = "reciprocal_oauth.E006"  #: ``DIALECTS`` has a value that is not a dialect.
    NETWORKS = "reciprocal_oauth.E007"  #: ``HTTP_ALLOWED_NETWORKS`` has an invalid entry.
    STOCK_VIEW = "reciprocal_oauth.E008"  #: A URL leads to DOT's token view, not to this app's.
    MIDDLEWARE = "reciprocal_oauth.E009"  #: A middleware that the pages need is missing.
    DATABASES = "reciprocal_oauth.E010"  #: This app and DOT write to different databases.
    CA_BUNDLE = "reciprocal_oauth.E011"  #: ``HTTP_CA_BUNDLE`` is a path that does not exist.
    API_SCOPES = "reciprocal_oauth.E012"  #: The site does not have a scope that the API requires.
    API_RETURN_TO = "reciprocal_oauth.E013"  #: ``API_RETURN_TO`` has an invalid entry.
    API_WITHOUT_PAGES = "reciprocal_oauth.E014"  #: The URLconf includes the API without the pages.
    UNREACHED = "reciprocal_oauth.E017"  #: A method that this app overrides is never called.
    MAY_AUTHORIZE = "reciprocal_oauth.E018"  #: ``MAY_AUTHORIZE`` is not a usable function.
    BASE_URL = "reciprocal_oauth.E020"  #: ``BASE_URL`` is not the URL of a site.
    KEYS_WITHOUT_ISSUER = "reciprocal_oauth.E021"  #: (database) Peers cannot use their keys.
    PROXY_URL = "reciprocal_oauth.E024"  #: ``HTTP_PROXY_URL`` is not the URL of a proxy.
    MAIL_EVENTS = "reciprocal_oauth.E025"  #: ``MAIL_EVENTS`` has an unknown event.
    REAUTHENTICATE = "reciprocal_oauth.E026"  #: ``REAUTHENTICATE`` is not a usable function.
    TELEMETRY = "reciprocal_oauth.E030"  #: ``TELEMETRY`` names something that cannot listen.
    SITE_METADATA = "reciprocal_oauth.E031"  #: ``SITE_METADATA`` has a wrong key or value.
    NO_ENDPOINT = "reciprocal_oauth.W001"  #: The URLconf has no token view.
    DERIVED_KEYS = "reciprocal_oauth.W002"  #: (--deploy only) ``ENCRYPTION_KEYS`` is empty.
    LOOPBACK = "reciprocal_oauth.W003"  #: (--deploy only) Peers on this machine may be called.
    SHORT_LEASE = "reciprocal_oauth.W004"  #: ``LEASE_SECONDS`` is too short for a slow delivery.
    NO_PAGES = "reciprocal_oauth.W005"  #: The URLconf does not include the pages.
    SQLITE_DEFERRED = "reciprocal_oauth.W006"  #: SQLite fails with "locked" instead of waiting.
    CACHED_INTROSPECTION = "reciprocal_oauth.W007"  #: Introspection responses are cached too long.
    NO_SWEEP = "reciprocal_oauth.W008"  #: Celery beat does not send ``reciprocal_oauth.sweep``.
    OPENED = "reciprocal_oauth.W018"  #: ``oauth2_urls`` adds views that the site has left out.
    ISOLATION = "reciprocal_oauth.W019"  #: The isolation level is not READ COMMITTED.
    NO_BASE_URL = "reciprocal_oauth.W020"  #: The site has several hosts, but no ``BASE_URL``.
    UNSOUND_BASE_URL = "reciprocal_oauth.W021"  #: Users cannot come back to ``BASE_URL``.
    NO_COUNTING = "reciprocal_oauth.W022"  #: (--deploy only) The default cache stores nothing.
    SHORT_GRACE = "reciprocal_oauth.W023"  #: (database) Replaced refresh tokens end too early.
    CANNOT_PAIR = "reciprocal_oauth.W024"  #: The URLs do not let this site pair.
    OPEN_REGISTRATION = "reciprocal_oauth.W025"  #: (--deploy only) Anybody can register a client.
    NO_ISSUER = "reciprocal_oauth.W026"  #: (--deploy, database) The site has no fixed issuer.
    UNFIT_ISSUER = "reciprocal_oauth.W027"  #: The issuer has a slash, or no metadata is there.
    PEER_SCOPES = "reciprocal_oauth.W028"  #: (database) Scopes of a peer have no words.
    NO_WORKER = "reciprocal_oauth.W029"  #: (--deploy, database) No worker runs.
    PROXY_CHECKS = "reciprocal_oauth.W030"  #: (--deploy only) The proxy must check the addresses.
    MAIL_WITHOUT_ADDRESS = "reciprocal_oauth.W031"  #: Mails can contain no link to this site.
