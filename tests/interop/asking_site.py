"""A site with this app and django-allauth, which asks for the password again. It prints what a
person meets, as one JSON document. Run as ``python asking_site.py``."""

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

settings.configure(
    DEBUG=True,
    SECRET_KEY="of-the-site",
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["testserver"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "oauth2_provider",
        "rest_framework",
        "reciprocal_oauth",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "allauth.account.middleware.AccountMiddleware",
    ],
    TEMPLATES=[
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
    ],
    OAUTH2_PROVIDER={"SCOPES": {"playback": "Control what is playing"}},
    RECIPROCAL_OAUTH={
        "DISPATCHER": "none",
        "REAUTHENTICATE": "allauth",
        "BASE_URL": "http://testserver",
    },
)
sys.modules["__main__"] = sys.modules[__name__]
django.setup()

from django.contrib.auth import get_user_model
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer

urlpatterns: list[Any] = [
    path("accounts/", include("allauth.urls")),
    path("o/", include("reciprocal_oauth.oauth2_urls")),
    path("connections/", include("reciprocal_oauth.urls")),
]
call_command("migrate", verbosity=0)
application = get_application_model().objects.create(
    client_type="confidential",
    authorization_grant_type="authorization-code",
    redirect_uris="https://music.example/callback/",
)
Peer.objects.create(
    slug="music",
    name="Music",
    authorization_endpoint="https://music.example/authorize/",
    token_endpoint="https://music.example/token/",
    client_id="us",
    application=application,
)
user = get_user_model().objects.create_user("alice", password="alice")
browser = Client()
browser.force_login(user, backend="django.contrib.auth.backends.ModelBackend")


def connect() -> str:
    return str(browser.post("/connections/music/connect/")["Location"])


met = {"first": connect()}
answered = browser.post(met["first"], {"password": "alice"})
met["after_the_password"] = answered["Location"]
met["second"] = connect()
without_password = get_user_model().objects.create_user("bob")
browser.force_login(without_password, backend="django.contrib.auth.backends.ModelBackend")
met["without_a_password"] = connect()
json.dump(met, sys.stdout)
