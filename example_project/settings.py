"""Settings of the example project. Environment variables contain what differs between the sites.

=============================  ===================================================================
``EXAMPLE_SITE``               ``assistant`` (default) or ``music``
``DATABASE_URL``               default: an SQLite file per site in the working directory
``DJANGO_DEBUG``               ``1`` for development; off by default
``DJANGO_SECRET_KEY``          required unless ``DJANGO_DEBUG`` is on
``DJANGO_ALLOWED_HOSTS``       comma-separated; default: this machine
``RECIPROCAL_DISPATCHER``      the dispatcher that starts deliveries; default ``thread``
``CELERY_BROKER_URL``          broker of the ``celery`` dispatcher, for which you must also run
                               ``celery -A example_project worker --beat``
``EXAMPLE_LOG_LEVEL``          default ``INFO``
``EXAMPLE_ISSUER``             issuer identifier of this site; default: from the request's host
``EXAMPLE_DATA``               directory for files that the site makes; default: working directory
``EXAMPLE_RECIPROCAL_OAUTH``   a JSON object with more keys for ``RECIPROCAL_OAUTH``
``EXAMPLE_OIDC``               ``1``: OpenID Connect, with the RSA key (PEM) in
                               ``EXAMPLE_OIDC_RSA_PRIVATE_KEY``, or one made in ``EXAMPLE_DATA``
``EXAMPLE_USER_MODEL``         ``uuid``: users with UUID keys
``EXAMPLE_HASHED_TOKENS``      ``1``: DOT stores tokens as hashes
``EXAMPLE_LOGIN_REQUIRED``     ``1``: Django's ``LoginRequiredMiddleware``
``EXAMPLE_SESSION_SAMESITE``   ``Lax`` (default) or ``Strict``: ``SESSION_COOKIE_SAMESITE``
``EXAMPLE_REPORT_URI``         URL for the browsers' reports about the content security policy
``EXAMPLE_FAST_PASSWORDS``     ``1``: passwords get a fast, weak hash; only for the demo's users
``EXAMPLE_VENDORS``            a JSON object with the URLs of the stand-ins of ``demo --vendors``
=============================  ===================================================================
"""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from example_project.roles import ROLES

BASE_DIR = Path(__file__).resolve().parent


def _is_on(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


SITE = os.environ.get("EXAMPLE_SITE", "assistant")
if SITE not in ROLES:
    raise ImproperlyConfigured(f"EXAMPLE_SITE must be one of {', '.join(ROLES)}, not {SITE!r}.")
ROLE = ROLES[SITE]
DATA = Path(os.environ.get("EXAMPLE_DATA") or Path.cwd())

# Django

DEBUG = _is_on("DJANGO_DEBUG")
SECRET_KEY = os.environ.get("DJANGO_SECRET_KEY", "")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "Set DJANGO_SECRET_KEY; or DJANGO_DEBUG=1 for development on your own machine."
        )
    # This key is public, and the stored tokens are encrypted with it. Use it only for development.
    SECRET_KEY = f"insecure-development-key-of-the-example-{SITE}"
ALLOWED_HOSTS = os.environ.get("DJANGO_ALLOWED_HOSTS", "127.0.0.1,localhost,[::1]").split(",")
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [
    ("ar", "العربية"),
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fr", "Français"),
    ("ja", "日本語"),
]
LOCALE_PATHS = [BASE_DIR / "locale"]
CSP_REPORT_URI = os.environ.get("EXAMPLE_REPORT_URI", "")

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "rest_framework",
    "oauth2_provider",
    "reciprocal_oauth",
    "example_project",
    f"example_project.{SITE}",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "example_project.middleware.ContentSecurityPolicy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "example_project.context.role",
            ]
        },
    }
]
STATIC_URL = "static/"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "example_project.hashers.FewRoundsHasher",  # For client secrets; see CLIENT_SECRET_HASHER.
]

# The names of the cookies contain the name of the site. If both sites run on 127.0.0.1, a browser
# sends the cookies of one site also to the other site, because it ignores the port.
SESSION_COOKIE_NAME = f"{SITE}_sessionid"
CSRF_COOKIE_NAME = f"{SITE}_csrftoken"
SESSION_COOKIE_SAMESITE = os.environ.get("EXAMPLE_SESSION_SAMESITE") or "Lax"
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL") or f"sqlite:///{DATA / SITE}.sqlite3"
    )
}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {
        # With the default mode of SQLite, a transaction that first reads and then writes fails
        # immediately if another transaction writes at the same time. In this mode it waits.
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "filters": {"without_query": {"()": "example_project.access_log.WithoutQuery"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        # This entry replaces the handler that Django sets for this logger. The logger does not pass
        # its records to the root logger, so it needs a handler of its own.
        "django.server": {"handlers": ["stderr"], "filters": ["without_query"]},
        # At the level DEBUG, Django logs SQL with all values, and many of them are tokens.
        "django.db.backends": {"level": "INFO"},
    },
    "root": {"handlers": ["stderr"], "level": os.environ.get("EXAMPLE_LOG_LEVEL", "INFO")},
}

# OAuth

OAUTH2_PROVIDER: dict[str, Any] = {
    "SCOPES": {
        **ROLE.scopes,
        "reciprocal:read": _("See your connections with other sites"),
        "reciprocal:write": _("Change and end your connections with other sites"),
    },
    # A client gets these scopes if it requests none.
    "DEFAULT_SCOPES": list(ROLE.scopes),
    "CLIENT_SECRET_HASHER": "pbkdf2_sha256_few_rounds",
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    # If a client did not receive the response to a refresh request, it can send the same refresh
    # token again within this time. Otherwise it would lose its access.
    "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 120,
}
SITE_METADATA: dict[str, Any] = {"description": ROLE.about}
if issuer := os.environ.get("EXAMPLE_ISSUER"):
    OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] = issuer
    # The other site calls this address with an access token, and so shows whose account it is.
    SITE_METADATA |= {
        "account_endpoint": f"{issuer.removesuffix('/o')}/api/whoami/",
        "account_member": "username",
    }

RECIPROCAL_OAUTH: dict[str, Any] = {
    "DISPATCHER": os.environ.get("RECIPROCAL_DISPATCHER") or "thread",
    # The app on this machine (the module phone_app), and an app on a phone.
    "API_RETURN_TO": ["http://127.0.0.1/connected", "com.example.app:/connected"],
    "SITE_METADATA": SITE_METADATA,
    **json.loads(os.environ.get("EXAMPLE_RECIPROCAL_OAUTH") or "{}"),
}

# The vendors of "demo --vendors". Their dialects send secrets only to addresses in these classes.
EXAMPLE_VENDORS: dict[str, str] = json.loads(os.environ.get("EXAMPLE_VENDORS") or "{}")
if EXAMPLE_VENDORS:
    RECIPROCAL_OAUTH["DIALECTS"] = {
        "smartthings": "example_project.vendors.dialects.SmartThings",
        "alexa": "example_project.vendors.dialects.Alexa",
    }

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "")
# Each site has its own queue. Both sites can use the same broker, but the ids in a message are
# valid only in the database of the site that sent the message.
CELERY_TASK_DEFAULT_QUEUE = f"example-{SITE}"
CELERY_BEAT_SCHEDULE = {
    "reciprocal_oauth": {
        "task": "reciprocal_oauth.sweep",
        "schedule": RECIPROCAL_OAUTH.get("DISPATCHER_SWEEP_SECONDS", 5.0),
    },
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "oauth2_provider.contrib.rest_framework.OAuth2Authentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "oauth2_provider.contrib.rest_framework.TokenHasScope",
        # A token without a user must not be accepted.
        "rest_framework.permissions.IsAuthenticated",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
}

# The pages with the documentation of the API need drf-spectacular, which the extra [demo] installs.
HAS_API_DOCS = bool(importlib.util.find_spec("drf_spectacular_sidecar"))
if HAS_API_DOCS:
    INSTALLED_APPS += ["drf_spectacular", "drf_spectacular_sidecar"]
    REST_FRAMEWORK["DEFAULT_SCHEMA_CLASS"] = "drf_spectacular.openapi.AutoSchema"
    SPECTACULAR_SETTINGS = {
        "TITLE": format_lazy(_("Connections of {site}"), site=ROLE.name),
        "VERSION": "1",
        "OAS_VERSION": "3.1.0",
        "DESCRIPTION": _("What people connected with other sites, for front ends and apps."),
        "POSTPROCESSING_HOOKS": [
            "drf_spectacular.hooks.postprocess_schema_enums",
            "reciprocal_oauth.api.openapi_introduction.add_introduction",
        ],
        "SWAGGER_UI_DIST": "SIDECAR",
        "SWAGGER_UI_FAVICON_HREF": f"/{STATIC_URL}example/{SITE}.svg",
    }

# Variants

if _is_on("EXAMPLE_OIDC"):
    from example_project.oidc_key import oidc_key

    OAUTH2_PROVIDER |= {
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": os.environ.get("EXAMPLE_OIDC_RSA_PRIVATE_KEY")
        or oidc_key(DATA / f"{SITE}-oidc-key.pem"),
        "OAUTH2_VALIDATOR_CLASS": "example_project.oidc.Validator",
    }
    OAUTH2_PROVIDER["SCOPES"]["openid"] = _("Know which account this is")

if os.environ.get("EXAMPLE_USER_MODEL") == "uuid":
    INSTALLED_APPS.append("example_project.uuid_users")
    AUTH_USER_MODEL = "uuid_users.User"

if _is_on("EXAMPLE_HASHED_TOKENS"):
    # In a grace period, DOT sends the same tokens again to a client that repeats a refresh request.
    # It cannot do this if it stores only hashes of tokens.
    OAUTH2_PROVIDER |= {
        "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
        "REFRESH_TOKEN_GRACE_PERIOD_SECONDS": 0,
    }

if _is_on("EXAMPLE_LOGIN_REQUIRED"):
    MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")

if _is_on("EXAMPLE_FAST_PASSWORDS"):
    PASSWORD_HASHERS.reverse()
