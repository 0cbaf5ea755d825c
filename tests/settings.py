"""Settings of the test suite. ``TEST_DATABASE_URL`` names another database than SQLite's."""

import os

import dj_database_url

SECRET_KEY = "only-for-tests-" + "x" * 40
DEBUG = False
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
LANGUAGE_CODE = "en"
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
LOGIN_URL = "/accounts/login/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "oauth2_provider",
    "reciprocal_oauth",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(os.environ.get("TEST_DATABASE_URL") or "sqlite://:memory:")
}
if suffix := os.environ.get("TEST_DATABASE_SUFFIX"):
    # Several runs side by side on one server.
    DATABASES["default"]["TEST"] = {"NAME": f"test_reciprocal_{suffix}"}
if "sqlite" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {"transaction_mode": "IMMEDIATE"}
if "mysql" in DATABASES["default"]["ENGINE"]:
    DATABASES["default"]["OPTIONS"] = {"charset": "utf8mb4"}

# The stored hash is not what these tests are about; the real hashers cost 0.4 s each.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

OAUTH2_PROVIDER = {
    "SCOPES": {
        "profile": "See your name",
        "playback": "Control what is playing",
        "history": "See what you have listened to",
    },
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
}
RECIPROCAL_OAUTH = {
    "DISPATCHER": "none",
    "HTTP_ALLOW_LOOPBACK": True,
    # A busy machine may take longer than the 3.5 seconds that vendors give a site.
    "REDEEM_FIRST_SECONDS": 20,
}
