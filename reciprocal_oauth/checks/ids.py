"""The ids of the system checks."""

import enum


@enum.unique
class Id(enum.StrEnum):
    """Every check by its id, for ``SILENCED_SYSTEM_CHECKS``. No id is ever given away again."""

    NOT_A_DICT = "reciprocal_oauth.E001"  #: ``RECIPROCAL_OAUTH`` is not a dict.
    UNKNOWN_SETTING = "reciprocal_oauth.E002"  #: It has a key that is no setting.
    WRONG_VALUE = "reciprocal_oauth.E003"  #: A setting has a value of a wrong type or size.
    ENCRYPTION_KEYS = "reciprocal_oauth.E004"  #: ``ENCRYPTION_KEYS`` are no Fernet keys.
    DISPATCHER = "reciprocal_oauth.E005"  #: ``DISPATCHER`` names no dispatcher.
    DIALECTS = "reciprocal_oauth.E006"  #: ``DIALECTS`` names something that is no dialect.
    NETWORKS = "reciprocal_oauth.E007"  #: ``HTTP_ALLOWED_NETWORKS`` has an entry that is none.
    STOCK_VIEW = "reciprocal_oauth.E008"  #: DOT's token view is mounted, not ours.
    MIDDLEWARE = "reciprocal_oauth.E009"  #: The pages need a middleware that is missing.
    DATABASES = "reciprocal_oauth.E010"  #: Our tables and DOT's go to different databases.
    CA_BUNDLE = "reciprocal_oauth.E011"  #: ``HTTP_CA_BUNDLE`` names a file that is not there.
    API_SCOPES = "reciprocal_oauth.E012"  #: A scope of the API is none of the site's.
    API_RETURN_TO = "reciprocal_oauth.E013"  #: ``API_RETURN_TO`` has an entry that is none.
    API_WITHOUT_PAGES = "reciprocal_oauth.E014"  #: The API is mounted, the pages are not.
    UNREACHED = "reciprocal_oauth.E017"  #: DOT no longer calls what this app relies on.
    MAY_AUTHORIZE = "reciprocal_oauth.E018"  #: ``MAY_AUTHORIZE`` names no function that fits.
    BASE_URL = "reciprocal_oauth.E020"  #: ``BASE_URL`` is no URL of a site.
    NO_ENDPOINT = "reciprocal_oauth.W001"  #: No token view is mounted.
    DERIVED_KEYS = "reciprocal_oauth.W002"  #: (deploy) no encryption keys of their own.
    LOOPBACK = "reciprocal_oauth.W003"  #: (deploy) peers on this machine may be called.
    SHORT_LEASE = "reciprocal_oauth.W004"  #: A lease may end before the delivery it covers.
    NO_PAGES = "reciprocal_oauth.W005"  #: The pages, and with them the callback, are not mounted.
    SQLITE_DEFERRED = "reciprocal_oauth.W006"  #: SQLite fails where it should wait.
    CACHED_INTROSPECTION = "reciprocal_oauth.W007"  #: Narrowed tokens are felt late.
    NO_SWEEP = "reciprocal_oauth.W008"  #: Celery delivers, but beat sends no sweep.
    OPENED = "reciprocal_oauth.W018"  #: Our include opens more than the site has mounted.
    ISOLATION = "reciprocal_oauth.W019"  #: The database does not work at READ COMMITTED.
    NO_BASE_URL = "reciprocal_oauth.W020"  #: Several hosts, and nothing says which is the site's.
    UNSOUND_BASE_URL = "reciprocal_oauth.W021"  #: People cannot come back to the site's own URL.
    NO_COUNTING = "reciprocal_oauth.W022"  #: (deploy) the cache counts no wrong secrets.
