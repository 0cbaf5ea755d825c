"""A site on django-allauth: its identity provider, and its OpenID Connect client.

Run as ``python allauth_site.py CONFIG.json``, in an environment with ``django-allauth[idp-oidc]``.
Its authorization server takes no further grant types, so it has no reciprocal grant.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
THERE, HERE = CONFIG["client"], CONFIG["at_the_other"]
SUBJECT = "alice-there"
JOURNAL: list[dict[str, Any]] = []


def note(what: str, **more: Any) -> None:
    JOURNAL.append({"what": what, **more})


def new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


settings.configure(
    DEBUG=True,
    SECRET_KEY="of-the-foreign-site",
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(CONFIG["data"]) / "allauth.sqlite3"),
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
        "allauth",
        "allauth.account",
        "allauth.socialaccount",
        "allauth.socialaccount.providers.openid_connect",
        "allauth.idp.oidc",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "__main__.EverybodyIsAlice",
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
    AUTHENTICATION_BACKENDS=[
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    # Cookies of 127.0.0.1 go to every port.
    SESSION_COOKIE_NAME="foreign_sessionid",
    CSRF_COOKIE_NAME="foreign_csrftoken",
    LOGIN_REDIRECT_URL="/connected",
    IDP_OIDC_PRIVATE_KEY=new_key(),
    IDP_OIDC_ADAPTER="__main__.Adapter",
    SOCIALACCOUNT_STORE_TOKENS=True,
    SOCIALACCOUNT_LOGIN_ON_GET=True,
    SOCIALACCOUNT_PROVIDERS={
        "openid_connect": {
            "OAUTH_PKCE_ENABLED": True,
            "SCOPE": HERE["scope"].split(),
            "APPS": [
                {
                    "provider_id": "assistant",
                    "name": "Assistant",
                    "client_id": HERE["id"],
                    "secret": HERE["secret"],
                    "settings": {"server_url": HERE["issuer"], "fetch_userinfo": False},
                }
            ],
        }
    },
)
sys.modules["__main__"] = sys.modules[__name__]
django.setup()

import requests
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.models import Client, Token
from allauth.socialaccount.models import SocialToken
from allauth.socialaccount.signals import social_account_added, social_account_updated
from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.views.decorators.csrf import csrf_exempt

User = get_user_model()


class Adapter(DefaultOIDCAdapter):
    scope_display = {**DefaultOIDCAdapter.scope_display, "playback": "P", "history": "H"}

    def get_user_sub(self, client: Any, user: Any) -> str:
        return str(user.get_username())


class EverybodyIsAlice:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.user.is_authenticated:
            user = User.objects.get(username=SUBJECT)
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return self.get_response(request)


def whoami(request: HttpRequest) -> HttpResponse:
    value = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = Token.objects.lookup(Token.Type.ACCESS_TOKEN, value)
    if token is None:
        return HttpResponse(status=401)
    return JsonResponse({"sub": token.user.get_username(), "scope": " ".join(token.get_scopes())})


def start(request: HttpRequest) -> HttpResponse:
    return redirect("/accounts/oidc/assistant/login/?process=connect")


def connected(sender: Any, **arguments: Any) -> None:
    note("connected")


social_account_added.connect(connected)
social_account_updated.connect(connected)


@csrf_exempt
def call(request: HttpRequest) -> HttpResponse:
    token = SocialToken.objects.latest("pk").token
    response = requests.get(
        HERE["resource"], headers={"Authorization": f"Bearer {token}"}, timeout=10
    )
    return JsonResponse({"status": response.status_code, "body": response.json()})


urlpatterns = [
    path("journal", lambda request: JsonResponse(JOURNAL, safe=False)),
    path("whoami", whoami),
    path("start", start),
    path("call", call),
    path("connected", lambda request: HttpResponse("connected")),
    path("accounts/", include("allauth.urls")),
    path("", include("allauth.idp.urls")),
]


def prepare() -> None:
    call_command("migrate", verbosity=0)
    User.objects.create_user(SUBJECT, email="alice@example.com", first_name="Alice")
    client = Client(
        id=THERE["id"],
        name="Assistant",
        grant_types="authorization_code\nrefresh_token",
        redirect_uris=THERE["redirect_uri"],
        scopes="openid\nplayback\nhistory",
        skip_consent=True,
    )
    client.set_secret(THERE["secret"])
    client.save()


if __name__ == "__main__":
    prepare()
    call_command("runserver", "--noreload", f"127.0.0.1:{CONFIG['port']}")
