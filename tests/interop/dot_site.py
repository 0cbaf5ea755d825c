"""A site on django-oauth-toolkit alone, at which clients register themselves (RFC 7591, RFC 7592).

Run as ``python dot_site.py CONFIG.json``. It has none of this package, so no reciprocal grant.
"""

import json
import sys
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.urls import include, path

with open(sys.argv[1]) as file:
    CONFIG = json.load(file)
SUBJECT = "alice-there"
JOURNAL: list[dict[str, Any]] = []


def note(what: str, **more: Any) -> None:
    JOURNAL.append({"what": what, **more})


settings.configure(
    DEBUG=True,
    SECRET_KEY="of-the-foreign-site",
    ROOT_URLCONF="__main__",
    ALLOWED_HOSTS=["127.0.0.1"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": str(Path(CONFIG["data"]) / "dot.sqlite3"),
        }
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    USE_TZ=True,
    INSTALLED_APPS=[
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "oauth2_provider",
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "__main__.EverybodyIsAlice",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    # Cookies of 127.0.0.1 go to every port.
    SESSION_COOKIE_NAME="foreign_sessionid",
    OAUTH2_PROVIDER={
        "DCR_ENABLED": True,
        "DCR_REGISTRATION_PERMISSION_CLASSES": ("__main__.HasInitialAccessToken",),
        "OIDC_ISS_ENDPOINT": f"{CONFIG['url']}/o",
        "SCOPES": {"playback": "P", "history": "H"},
    },
)
sys.modules["__main__"] = sys.modules[__name__]
django.setup()

from django.contrib.auth import get_user_model, login
from django.http import HttpRequest, HttpResponse, JsonResponse
from oauth2_provider.models import get_access_token_model, get_application_model

User = get_user_model()


class HasInitialAccessToken:
    """DOT leaves to the site who may register."""

    def has_permission(self, request: HttpRequest) -> bool:
        allowed = request.headers.get("Authorization") == f"Bearer {CONFIG['registration_token']}"
        note("registration", allowed=allowed)
        return allowed


class EverybodyIsAlice:
    """Everybody is Alice, and is asked nothing."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path == "/o/authorize/":
            get_application_model().objects.update(skip_authorization=True)
            user = User.objects.get(username=SUBJECT)
            login(request, user, backend="django.contrib.auth.backends.ModelBackend")
        return self.get_response(request)


def whoami(request: HttpRequest) -> HttpResponse:
    value = request.headers.get("Authorization", "").removeprefix("Bearer ")
    token = get_access_token_model().objects.filter(token=value).first()
    if token is None or not token.is_valid():
        return HttpResponse(status=401)
    return JsonResponse({"sub": token.user.get_username(), "scope": token.scope})


urlpatterns = [
    path("journal", lambda request: JsonResponse(JOURNAL, safe=False)),
    path("whoami", whoami),
    path("o/", include("oauth2_provider.urls")),
]


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    User.objects.create_user(SUBJECT)
    call_command("runserver", "--noreload", f"127.0.0.1:{CONFIG['port']}")
